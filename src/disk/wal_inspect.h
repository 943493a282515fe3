/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_INSPECT_H
#define DISK_WAL_INSPECT_H

#include "disk/wal_salvage.h"

/*
 * A log, looked at: everything an opening would find out, without changing a byte, and without the
 * lock of the directory (what a running node writes meanwhile may or may not be seen).
 */

struct wal_inspect_segment {
    uint32_t number;
    uint64_t file_bytes;
    uint32_t version; /* 0: its header cannot be read */
    uint64_t generation;
    uint64_t good_blocks, bad_blocks;
    uint32_t group;                 /* that wrote last, as its last readable block says, */
    uint64_t last_index, last_term; /* and that group's last entry; 0: none */
};

enum wal_inspect_verdict {
    WAL_INSPECT_WHOLE,
    WAL_INSPECT_TORN,       /* an end that was never acknowledged is dropped at the next start */
    WAL_INSPECT_REPAIRABLE, /* damaged; what it promised is known: peers make it whole (0007) */
    WAL_INSPECT_DAMAGED     /* damaged; refused */
};

struct wal_inspect {
    struct wal_identity identity;
    struct wal_inspect_segment *segments;
    size_t segment_count;
    enum wal_inspect_verdict verdict;
    char why[512];           /* damaged: file, offset, what is wrong */
    struct wal_mark mark;    /* REPAIRABLE: what it promised */
    struct wal_recovery log; /* what can be read, up to the damage */
};

/*
 * wal_inspect - read the log in @dir. **Ownership**: wal_inspect_deinit.
 * **Returns** 0, whatever the verdict; -SKEIN_ENOTFOUND: no segment there; -SKEIN_EFORMAT: of
 * another version; -errno; @out_why says which file. **Runs on** a fiber, suspends.
 */
int wal_inspect(const char *dir, struct wal_inspect *out_inspect,
                char out_why[512]) SKEIN_MUST_CHECK;
void wal_inspect_deinit(struct wal_inspect *inspect);

#endif
