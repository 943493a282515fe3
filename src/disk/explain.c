/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/explain.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/assert.h"
#include "skein/error.h"

struct remedy {
    int code;
    const char *text;
};

static const struct remedy remedies[] = {
    {-ENOSPC, "the disk is full: free some space or use a larger disk, then start again"},
    {-EDQUOT, "the disk quota is used up: raise it or free some space, then start again"},
    {-EROFS,
     "the file system is read-only: remount it writable, or give a data directory elsewhere"},
    {-EACCES, "permission denied: make the directory writable for the user that runs this program"},
    {-EPERM, "not permitted: make the directory writable for the user that runs this program"},
    {-ENOENT, "there is no such file or directory: correct the path, or create what is missing"},
    {-ENOTDIR, "a part of the path is a file: correct the path of the data directory"},
    {-EISDIR, "a directory is in the way of a file: move it away"},
    {-ENAMETOOLONG, "the path is too long: use a shorter data directory"},
    {-ELOOP, "too many symbolic links: correct the path of the data directory"},
    {-EMFILE, "too many open files: raise the limit (ulimit -n)"},
    {-ENFILE, "too many open files on this machine: raise fs.file-max"},
    {-ENOMEM, "out of memory: give the machine or the container more"},
    {-EFBIG, "the file would be too large: raise the limit (ulimit -f)"},
    {-EIO,
     "the disk reports an error: look at the kernel's log, replace the disk, and start with an "
     "empty data directory"},
    {-EBUSY, "another process uses it: stop that process, or use another data directory"},
    {-EWOULDBLOCK, "another process uses it: stop that process, or use another data directory"},
    {-SKEIN_EBUSY, "another process uses it: stop that process, or use another data directory"},
    {-SKEIN_ECORRUPT, "it is damaged; nothing was changed"},
    {-SKEIN_EFORMAT, "written by another version of this program: use that one"},
    {-SKEIN_ENOMEM, "out of memory: give the machine or the container more"},
};

int
disk_explain(int code, const char *what, const char *path, char out_why[512])
{
    const char *text = "see the cause named before";
    for (size_t i = 0; i < BASE_COUNT_OF(remedies); i++) {
        if (remedies[i].code == code) {
            text = remedies[i].text;
            break;
        }
    }
    snprintf(out_why, 512, "%s %.300s: %s (%s)", what, path, text, skein_error_name(code));
    return code;
}
