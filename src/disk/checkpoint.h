/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_CHECKPOINT_H
#define DISK_CHECKPOINT_H

#include <stdint.h>

#include "disk/wal.h"
#include "raft/raft.h"

/*
 * Checkpoint files: a state machine's bytes at one log index
 * (docs/design/0004-checkpoint-format.md).
 *
 *   <dir>/checkpoint-<index, 20 digits>.skc     header | blocks (<= 64 KiB, each with CRC32C and
 * number) | footer
 *
 * Written to a temporary name, synced, renamed, directory synced: a file under the final name is
 * whole or it is damaged, never torn. The file is self-contained and the same on every member, so
 * it is what is sent to a follower that is too far behind, byte for byte.
 */

#define CHECKPOINT_NOTE_BYTES_MAX 1024u

struct checkpoint_info {
    uint8_t cluster[16]; /* not the node: checkpoints travel */
    struct raft_snapshot snapshot;
    uint64_t time_ms; /* log time at the index */
    /* What whoever drives the core keeps beside the configuration; opaque here. */
    uint32_t note_bytes;
    uint8_t note[CHECKPOINT_NOTE_BYTES_MAX];
};

/* ---- writing ---- */
struct checkpoint_writer;
int checkpoint_create(struct checkpoint_writer **out_writer, const char *dir,
                      const struct checkpoint_info *info) SKEIN_MUST_CHECK;
int checkpoint_write(struct checkpoint_writer *writer, const void *data,
                     size_t count) SKEIN_MUST_CHECK;
/* checkpoint_commit - footer, sync, rename, sync directory. Closes in either case. */
int checkpoint_commit(struct checkpoint_writer *writer) SKEIN_MUST_CHECK;
/* checkpoint_abort - remove the temporary file. */
void checkpoint_abort(struct checkpoint_writer *writer);

/* ---- reading ---- */
struct checkpoint_reader;
/* checkpoint_open - @cluster: NULL, any. @out_why: as wal_open. Verifies the header; blocks are
 * verified as they are read.
 * **Returns** 0, -SKEIN_ECORRUPT, -SKEIN_EFORMAT, -SKEIN_EIDENTITY (another cluster), -ENOENT,
 * -errno. */
int checkpoint_open(struct checkpoint_reader **out_reader, const char *path,
                    const uint8_t cluster[16], struct checkpoint_info *out_info,
                    char out_why[512]) SKEIN_MUST_CHECK;
/* checkpoint_read - exactly @count bytes of the content. -SKEIN_EEOF: the content ended (and the
 * footer was right). */
int checkpoint_read(struct checkpoint_reader *reader, void *data, size_t count) SKEIN_MUST_CHECK;
/* checkpoint_read_some - what there is, 1 to @count_max bytes. **Returns** as checkpoint_read. */
int checkpoint_read_some(struct checkpoint_reader *reader, void *data, size_t count_max,
                         size_t *out_count) SKEIN_MUST_CHECK;
/* checkpoint_finish - the content has been read to its end and the footer matches; else
 * -SKEIN_ECORRUPT. */
int checkpoint_finish(struct checkpoint_reader *reader) SKEIN_MUST_CHECK;
/* checkpoint_verify - read and check all that is left, in place of read and finish. */
int checkpoint_verify(struct checkpoint_reader *reader) SKEIN_MUST_CHECK;
const char *checkpoint_reader_why(const struct checkpoint_reader *reader);
void checkpoint_close(struct checkpoint_reader *reader);

/* ---- the directory ---- */
/* checkpoint_find - the newest file; -SKEIN_ENOTFOUND: none. Temporary files of an earlier run are
 * removed: for a start only, a checkpoint being written or received would lose its file. */
int checkpoint_find(const char *dir, char *out_path, size_t path_bytes,
                    uint64_t *out_index) SKEIN_MUST_CHECK;
/* checkpoint_path - the final name for @index. */
void checkpoint_path(const char *dir, uint64_t index, char *out_path, size_t path_bytes);
/* checkpoint_prune - remove all but the newest file. */
int checkpoint_prune(const char *dir);

/* ---- receiving one whole from a peer: raw file bytes in, verified and installed or refused ----
 */
struct checkpoint_receiver;
int checkpoint_receive_begin(struct checkpoint_receiver **out_receiver, const char *dir,
                             uint64_t index) SKEIN_MUST_CHECK;
int checkpoint_receive(struct checkpoint_receiver *receiver, uint64_t offset, const void *data,
                       size_t count) SKEIN_MUST_CHECK;
/* checkpoint_receive_commit - verify every block and that it is @expected, sync, rename. Closes in
 * either case. */
int checkpoint_receive_commit(struct checkpoint_receiver *receiver, const uint8_t cluster[16],
                              const struct raft_snapshot *expected,
                              char out_why[512]) SKEIN_MUST_CHECK;
void checkpoint_receive_abort(struct checkpoint_receiver *receiver);

#endif
