/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_DISK_MODEL_H
#define DISK_WAL_DISK_MODEL_H

#include "base/prng.h"
#include "disk/disk_test.h"

/*
 * A directory as a crash may leave it, rebuilt from recorded operations: every sector of 512 bytes
 * that was written and not synced is there or not, each by itself; directory changes that were not
 * synced are there up to some point; a changed length that was not synced is there or not.
 */

#define MODEL_FILES_MAX 64
#define MODEL_NAMES_MAX 64
#define MODEL_PENDING_MAX 64

struct model_file {
    uint8_t *now;
    uint8_t *durable;
    uint64_t now_bytes;
    uint64_t durable_bytes;
};

struct model_names {
    char names[MODEL_NAMES_MAX][32];
    int files[MODEL_NAMES_MAX];
    int count;
};

struct disk_model {
    struct model_file files[MODEL_FILES_MAX];
    int file_count;
    struct model_names now;
    struct model_names past[MODEL_PENDING_MAX]; /* past[0]: what is durable */
    int past_count;
};

void disk_model_init(struct disk_model *model);
void disk_model_deinit(struct disk_model *model);
/* disk_model_apply - @event happened; @complete: false: it was under way at the crash. */
void disk_model_apply(struct disk_model *model, const struct disk_test_event *event, bool complete);
/* disk_model_crash - draw what is left; it is durable from now on. */
void disk_model_crash(struct disk_model *model, struct prng *prng);
/* disk_model_store - make @dir, emptied, hold exactly that. */
void disk_model_store(const struct disk_model *model, const char *dir);

#endif
