/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "disk/checkpoint_block.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"

static const char name_prefix[] = "checkpoint-";
#define PREFIX_BYTES (sizeof(name_prefix) - 1)
#define DIGITS 20u
#define STEP_BYTES (UINT64_C(4) << 20)
#define STEP_PAUSE_NS (2 * UINT64_C(1000000))

void
checkpoint_path(const char *dir, uint64_t index, char *out_path, size_t path_bytes)
{
    snprintf(out_path, path_bytes, "%s/%s%020" PRIu64 ".skc", dir, name_prefix, index);
}

int
checkpoint_part_path(const char *dir, const struct checkpoint_identity *identity,
                     char out_path[CHECKPOINT_PATH_BYTES])
{
    int count = snprintf(out_path, CHECKPOINT_PATH_BYTES,
                         "%s/%s%020" PRIu64 ".skc.%" PRIx64 "-%08" PRIx32 "-%08" PRIx32 ".part",
                         dir, name_prefix, identity->index, identity->file_bytes,
                         identity->header_crc, identity->chain);
    return count < (int)CHECKPOINT_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

enum kind { OTHER, WHOLE, TEMPORARY, PART };

static enum kind
kind_of(const char *name, uint64_t *out_index)
{
    uint64_t index = 0;
    if (strncmp(name, name_prefix, PREFIX_BYTES) != 0)
        return OTHER;
    for (size_t i = 0; i < DIGITS; i++) {
        char digit = name[PREFIX_BYTES + i];
        if (digit < '0' || digit > '9')
            return OTHER;
        if (index > (UINT64_MAX - (uint64_t)(digit - '0')) / 10)
            return OTHER;
        index = index * 10 + (uint64_t)(digit - '0');
    }
    *out_index = index;
    const char *suffix = name + PREFIX_BYTES + DIGITS;
    size_t suffix_bytes = strlen(suffix);
    if (strcmp(suffix, ".skc") == 0)
        return WHOLE;
    if (strcmp(suffix, ".skc.tmp") == 0)
        return TEMPORARY;
    bool part = strncmp(suffix, ".skc.", 5) == 0 && suffix_bytes >= 9 &&
                strcmp(suffix + suffix_bytes - 5, ".part") == 0;
    return part ? PART : OTHER;
}

/* What stays in the directory. */
struct keep {
    uint32_t whole_count;
    bool temporary;   /* a checkpoint is being written */
    const char *part; /* its path; NULL: the newest one, when it is newer than every whole file */
    bool parts_only;  /* whole files stay */
    bool gently;
};

struct survey {
    uint64_t newest;      /* whole; 0: none */
    uint64_t newest_part; /* 0: none */
    uint64_t oldest_kept; /* whole */
};

/* Names come in byte order, which is the order of the indices. */
static struct survey
look(const struct skein_names *names, uint32_t whole_count)
{
    struct survey survey = {0};
    uint32_t seen = 0;
    for (size_t i = names->count; i > 0; i--) {
        uint64_t index = 0;
        enum kind kind = kind_of(names->names[i - 1], &index);
        if (kind == PART && index > survey.newest_part)
            survey.newest_part = index;
        if (kind != WHOLE)
            continue;
        if (seen++ == 0)
            survey.newest = index;
        if (seen <= whole_count)
            survey.oldest_kept = index;
    }
    return survey;
}

static bool
stays(const struct keep *keep, const struct survey *survey, const char *name, const char *path)
{
    uint64_t index = 0;
    switch (kind_of(name, &index)) {
    case OTHER:
        return true;
    case WHOLE:
        return keep->parts_only || index >= survey->oldest_kept;
    case TEMPORARY:
        return keep->temporary;
    case PART:
        if (keep->part)
            return strcmp(path, keep->part) == 0;
        return index > survey->newest && index == survey->newest_part;
    }
    return true;
}

/* The name goes at once. Freeing all blocks of a large file in one step would hold up whoever syncs
 * meanwhile: they go in steps, and at once when that is cut off. */
static int
remove_gently(const char *path)
{
    uint64_t bytes = 0;
    int handle = skein_file_open(path, SKEIN_FILE_RDWR, 0);
    if (handle < 0)
        return skein_file_unlink(path, 0);
    int rc = skein_file_unlink(path, 0);
    int step = rc < 0 ? rc : skein_file_size(handle, &bytes);
    while (step == 0 && bytes > STEP_BYTES) {
        bytes -= STEP_BYTES;
        step = skein_file_truncate(handle, bytes);
        if (step == 0)
            step = skein_sleep(skein_deadline_in(STEP_PAUSE_NS));
    }
    (void)skein_close(handle);
    return rc;
}

static int
sweep(const char *dir, const struct keep *keep, uint64_t *out_newest)
{
    struct skein_names names;
    char path[CHECKPOINT_PATH_BYTES];
    bool removed = false;
    int rc = skein_file_list(dir, &names);
    if (rc < 0)
        return rc;
    struct survey survey = look(&names, keep->whole_count);
    for (size_t i = 0; i < names.count && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names.names[i]);
        if (stays(keep, &survey, names.names[i], path))
            continue;
        rc = keep->gently ? remove_gently(path) : skein_file_unlink(path, 0);
        removed = true;
    }
    skein_names_deinit(&names);
    if (rc == 0 && removed)
        rc = skein_file_sync_directory(dir);
    *out_newest = survey.newest;
    return rc;
}

int
checkpoint_find(const char *dir, char *out_path, size_t path_bytes, uint64_t *out_index)
{
    uint64_t newest = 0;
    const struct keep keep = {.whole_count = UINT32_MAX};
    int rc = sweep(dir, &keep, &newest);
    if (rc < 0)
        return rc;
    if (newest == 0)
        return -SKEIN_ENOTFOUND;
    checkpoint_path(dir, newest, out_path, path_bytes);
    *out_index = newest;
    return 0;
}

int
checkpoint_prune(const char *dir, uint32_t keep_count, bool gently)
{
    uint64_t newest = 0;
    const struct keep keep = {
        .whole_count = keep_count ? keep_count : 1, .temporary = true, .gently = gently};
    return sweep(dir, &keep, &newest);
}

int
checkpoint_remove_parts(const char *dir, const char *kept_path)
{
    uint64_t newest = 0;
    const struct keep keep = {.temporary = true, .part = kept_path, .parts_only = true};
    return sweep(dir, &keep, &newest);
}
