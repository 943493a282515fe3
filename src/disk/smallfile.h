/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_SMALLFILE_H
#define DISK_SMALLFILE_H

#include "base/bytes.h"
#include "base/wire.h"

/*
 * A small file that is replaced as a whole: temporary name, sync, rename, sync directory; with
 * magic, version and CRC32C. Used for a data directory's identity.
 */

/* smallfile_write - replace <dir>/<name>. @magic: 8 bytes. */
int smallfile_write(const char *dir, const char *name, const char magic[8], uint32_t version,
                    const void *data, size_t count) SKEIN_MUST_CHECK;
/* smallfile_read - @count_max bounds the file. **Ownership**: bytes_unref @out_data.
 * **Returns** 0, -ENOENT, -SKEIN_ECORRUPT, -SKEIN_EFORMAT, -errno; @out_why says what and where. */
int smallfile_read(const char *dir, const char *name, const char magic[8], uint32_t version,
                   size_t count_max, struct bytes *out_data, char out_why[512]) SKEIN_MUST_CHECK;

#endif
