/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd-raft DIR - run etcd's data-driven files of DIR/quorum, DIR/confchange and DIR/interaction
 * against Skein's consensus core.
 *
 * Prints what differs. Exit codes: 0 nothing does, 1 something does, 2 a folder or file cannot be
 * read or is malformed (also when nothing was found to run).
 */
#include "etcd_raft/datadriven.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

#define FILE_BYTES_MAX (64u << 20)

static const struct datadriven_handler *const handlers[] = {&quorum_handler, &confchange_handler,
                                                            &interaction_handler};

static bool
complain(const char *path, const char *what)
{
    fprintf(stderr, "etcd-raft: %s: %s\n", path, what);
    return false;
}

/* Editors' leftovers and hidden files are none of the data. */
static int
is_data(const struct dirent *entry)
{
    size_t count = strlen(entry->d_name);
    char last = count ? entry->d_name[count - 1] : 0;
    return entry->d_name[0] != '.' && last != '~' && last != '#';
}

static bool
run_file(const struct datadriven_handler *handler, const char *path,
         struct datadriven_totals *totals)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file)
        return complain(path, strerror(errno));
    if (fstat(fileno(file), &status) || !S_ISREG(status.st_mode) ||
        status.st_size > FILE_BYTES_MAX) {
        fclose(file);
        return complain(path, "not a file of at most 64 MiB");
    }
    size_t bytes = (size_t)status.st_size;
    char *content = mem_alloc(bytes + 1);
    size_t got = fread(content, 1, bytes, file);
    fclose(file);
    if (got != bytes) {
        mem_free(content);
        return complain(path, "cannot be read whole");
    }
    struct text report = {0};
    datadriven_run(handler, path, content, bytes, &report, totals);
    fputs(text_str(&report), stdout);
    text_deinit(&report);
    mem_free(content);
    return true;
}

static bool
run_folder(const struct datadriven_handler *handler, const char *folder,
           struct datadriven_totals *totals)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_data, alphasort);
    if (count < 0)
        return complain(folder, strerror(errno));
    bool readable = true;
    for (int i = 0; i < count; i++) {
        char path[8192];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        readable &= (size_t)length < sizeof(path) ? run_file(handler, path, totals)
                                                  : complain(folder, "the path is too long");
        free(entries[i]);
    }
    free(entries);
    return readable;
}

static bool
run_all(const char *dir, struct datadriven_totals *totals)
{
    bool readable = true;
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        struct datadriven_totals before = *totals;
        char folder[4096];
        int length = snprintf(folder, sizeof(folder), "%s/%s", dir, handlers[i]->folder);
        if ((size_t)length >= sizeof(folder))
            return complain(dir, "the path is too long");
        readable &= run_folder(handlers[i], folder, totals);
        printf("%s: %u files, %u commands, %u differ\n", handlers[i]->folder,
               totals->files - before.files, totals->blocks - before.blocks,
               totals->differing_blocks - before.differing_blocks);
    }
    return readable;
}

int
main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: etcd-raft DIR (with the folders quorum, confchange, "
                        "interaction)\n");
        return 2;
    }
    struct datadriven_totals totals = {0};
    bool readable = run_all(argv[1], &totals);
    printf("%u files: %u differ, %u malformed\n", totals.files, totals.differing_files,
           totals.malformed_files);
    if (!readable || totals.malformed_files)
        return 2;
    if (!totals.blocks) {
        complain(argv[1], "no command was found in it");
        return 2;
    }
    return totals.differing_blocks ? 1 : 0;
}
