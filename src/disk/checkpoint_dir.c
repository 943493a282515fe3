/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/checkpoint.h"
#include "skein/error.h"

#define PATH_BYTES 512u

static const char name_prefix[] = "checkpoint-";
#define PREFIX_BYTES (sizeof(name_prefix) - 1)
#define DIGITS 20u

void
checkpoint_path(const char *dir, uint64_t index, char *out_path, size_t path_bytes)
{
    snprintf(out_path, path_bytes, "%s/%s%020" PRIu64 ".skc", dir, name_prefix, index);
}

/* What @name is: ".skc" a checkpoint, ".skc.tmp" and ".skc.part" leftovers; NULL: another file. */
static const char *
name_suffix(const char *name, uint64_t *out_index)
{
    uint64_t index = 0;
    if (strncmp(name, name_prefix, PREFIX_BYTES) != 0)
        return NULL;
    for (size_t i = 0; i < DIGITS; i++) {
        char digit = name[PREFIX_BYTES + i];
        if (digit < '0' || digit > '9')
            return NULL;
        if (index > (UINT64_MAX - (uint64_t)(digit - '0')) / 10)
            return NULL;
        index = index * 10 + (uint64_t)(digit - '0');
    }
    *out_index = index;
    return name + PREFIX_BYTES + DIGITS;
}

enum sweep { SWEEP_LEFTOVERS, SWEEP_OLDER };

/* Remove leftovers, or all but the newest; the newest's index comes back, 0 when there is none. */
static int
sweep(const char *dir, enum sweep what, uint64_t *out_newest)
{
    struct skein_names names;
    char path[PATH_BYTES];
    uint64_t newest = 0;
    uint64_t index = 0;
    bool removed = false;
    int rc = skein_file_list(dir, &names);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names.count; i++) {
        const char *suffix = name_suffix(names.names[i], &index);
        if (suffix && strcmp(suffix, ".skc") == 0 && index > newest)
            newest = index;
    }
    for (size_t i = 0; i < names.count && rc == 0; i++) {
        const char *suffix = name_suffix(names.names[i], &index);
        if (!suffix)
            continue;
        bool whole = strcmp(suffix, ".skc") == 0;
        bool leftover = strcmp(suffix, ".skc.tmp") == 0 || strcmp(suffix, ".skc.part") == 0;
        if (what == SWEEP_OLDER ? !whole || index >= newest : !leftover)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, names.names[i]);
        rc = skein_file_unlink(path, 0);
        removed = true;
    }
    skein_names_deinit(&names);
    if (rc == 0 && removed)
        rc = skein_file_sync_directory(dir);
    *out_newest = newest;
    return rc;
}

int
checkpoint_find(const char *dir, char *out_path, size_t path_bytes, uint64_t *out_index)
{
    uint64_t newest = 0;
    int rc = sweep(dir, SWEEP_LEFTOVERS, &newest);
    if (rc < 0)
        return rc;
    if (newest == 0)
        return -SKEIN_ENOTFOUND;
    checkpoint_path(dir, newest, out_path, path_bytes);
    *out_index = newest;
    return 0;
}

int
checkpoint_prune(const char *dir)
{
    uint64_t newest = 0;
    return sweep(dir, SWEEP_OLDER, &newest);
}
