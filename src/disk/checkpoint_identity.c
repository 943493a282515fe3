/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/types.h>

#include "disk/checkpoint_block.h"
#include "skein/error.h"
#include "skein/file.h"

bool
checkpoint_identity_equal(const struct checkpoint_identity *a, const struct checkpoint_identity *b)
{
    return a->index == b->index && a->file_bytes == b->file_bytes &&
           a->header_crc == b->header_crc && a->chain == b->chain;
}

static int
unit_read(int handle, uint64_t offset, uint8_t unit[CHECKPOINT_UNIT_BYTES])
{
    ssize_t got = skein_file_pread(handle, unit, CHECKPOINT_UNIT_BYTES, offset);
    return got < 0 ? (int)got : got < (ssize_t)CHECKPOINT_UNIT_BYTES ? -SKEIN_ECORRUPT : 0;
}

int
checkpoint_identify(int handle, struct checkpoint_identity *out_identity)
{
    uint8_t unit[CHECKPOINT_UNIT_BYTES];
    struct checkpoint_info info;
    struct checkpoint_identity identity = {0};
    uint32_t version = 0;
    int rc = skein_file_size(handle, &identity.file_bytes);
    if (rc == 0 && identity.file_bytes < 2 * CHECKPOINT_UNIT_BYTES)
        rc = -SKEIN_ECORRUPT;
    if (rc == 0)
        rc = unit_read(handle, 0, unit);
    if (rc == 0)
        rc = checkpoint_header_decode(unit, &info, &identity.header_crc, &version);
    if (rc == 0)
        rc = unit_read(handle, identity.file_bytes - CHECKPOINT_UNIT_BYTES, unit);
    if (rc == 0)
        rc = checkpoint_footer_decode(unit, identity.header_crc, &identity.chain);
    if (rc != 0)
        return rc;
    identity.index = info.snapshot.index;
    *out_identity = identity;
    return 0;
}
