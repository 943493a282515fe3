/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/dev.h"

/*
 * The log is a plain descriptor, since a child inherits it. It is opened for appending, so that it
 * can be cut while the child writes: the next line lands at the new end.
 */

#define LOG_BYTES_MAX (8 << 20)
#define KEEP_BYTES (1 << 20)

int
dev_log_open(const struct dev_node *node)
{
    int fd = open(node->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

/* Copy the last KEEP_BYTES of @from to the file @path. False: not everything was written. */
static bool
keep_end(int from, off_t size, const char *path)
{
    char buffer[16384];
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    off_t at = size > KEEP_BYTES ? size - KEEP_BYTES : 0;
    bool good = to >= 0;
    while (good && at < size) {
        ssize_t count = pread(from, buffer, sizeof(buffer), at);
        good = count > 0 && write(to, buffer, (size_t)count) == count;
        at += count;
    }
    if (to >= 0)
        close(to);
    return good;
}

void
dev_log_trim(const struct dev_node *node)
{
    struct stat stat;
    char old_path[sizeof(node->log_path) + 4];
    int fd = open(node->log_path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &stat) == 0 && stat.st_size > LOG_BYTES_MAX) {
        snprintf(old_path, sizeof(old_path), "%s.old", node->log_path);
        /* Cut in either case: a full disk is no reason to fill it further. */
        if (!keep_end(fd, stat.st_size, old_path))
            unlink(old_path);
        if (ftruncate(fd, 0) != 0)
            unlink(node->log_path);
    }
    close(fd);
}

const char *
dev_log_tail(const struct dev_node *node, char *out, size_t out_bytes)
{
    char end[1024];
    struct stat stat;
    ssize_t count = 0;
    out[0] = '\0';
    int fd = open(node->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return out;
    if (fstat(fd, &stat) == 0) {
        off_t from = stat.st_size > (off_t)sizeof(end) ? stat.st_size - (off_t)sizeof(end) : 0;
        count = pread(fd, end, sizeof(end), from);
    }
    close(fd);
    while (count > 0 && end[count - 1] == '\n')
        count--;
    ssize_t start = count;
    while (start > 0 && end[start - 1] != '\n')
        start--;
    if (count > start)
        snprintf(out, out_bytes, "%.*s", (int)(count - start), end + start);
    return out;
}
