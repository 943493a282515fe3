/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_CHECKPOINT_H
#define DISK_CHECKPOINT_H

#include <stdbool.h>
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

/* ---- which file ---- */
/*
 * Two files of one identity have the same bytes, whoever made them: the header's checksum covers
 * cluster, index, term, log time, configuration and roster, and the chain covers the checksum of
 * every block in its order.
 */
struct checkpoint_identity {
    uint64_t index;
    uint64_t file_bytes;
    uint32_t header_crc;
    uint32_t chain; /* as the footer has it */
};
bool checkpoint_identity_equal(const struct checkpoint_identity *a,
                               const struct checkpoint_identity *b);
/* checkpoint_identify - of the open file @handle (not a direct one). Header and footer are read and
 * checked, the blocks are not.
 * **Returns** 0; -SKEIN_ECORRUPT; -SKEIN_EFORMAT; -errno. **Runs on** a fiber, suspends. */
int checkpoint_identify(int handle, struct checkpoint_identity *out_identity) SKEIN_MUST_CHECK;

/* ---- the directory ---- */
/* checkpoint_find - the newest file; -SKEIN_ENOTFOUND: none. Temporary files of an earlier run are
 * removed: for a start only, a checkpoint being written would lose its file. What was received in
 * part stays when it is newer than every whole file: the transfer may go on. */
int checkpoint_find(const char *dir, char *out_path, size_t path_bytes,
                    uint64_t *out_index) SKEIN_MUST_CHECK;
/* checkpoint_path - the final name for @index. */
void checkpoint_path(const char *dir, uint64_t index, char *out_path, size_t path_bytes);
/* checkpoint_prune - remove all but the newest @keep_count files (0: 1), and what was received in
 * part and is not newer than they are. @gently: freed in steps, so that syncs of other files come
 * through; nobody may read them meanwhile. */
int checkpoint_prune(const char *dir, uint32_t keep_count, bool gently);

/*
 * ---- receiving one from a peer: the file's bytes in their order, verified and installed ----
 *
 *   begin --> (receive)* --> commit      verified as a whole, synced, under its final name
 *     ^           |    +---> discard     what came is removed
 *     |           +--------> close       what came stays on the disk
 *     +---- the same identity again ---- goes on where that one had come to
 *
 * The part lies under a name that holds the identity, checkpoint-<index>.skc.<identity>.part, and
 * only bytes that were verified are in it: each block against its checksum, which begins with the
 * header's, and its number. So what a later process finds there is read and verified once more and
 * then belongs to the announced file and no other. One part in a directory: begin removes those of
 * other identities.
 */
struct checkpoint_receiver;
/* checkpoint_receive_begin - go on with the part of @identity, or begin an empty one.
 * **Returns** 0; -ENAMETOOLONG; -errno of the disk. **Runs on** a fiber; suspends while the part is
 * read. */
int checkpoint_receive_begin(struct checkpoint_receiver **out_receiver, const char *dir,
                             const struct checkpoint_identity *identity) SKEIN_MUST_CHECK;
/* checkpoint_receive_offset - the file's byte that is wanted next. */
uint64_t checkpoint_receive_offset(const struct checkpoint_receiver *receiver);
/*
 * checkpoint_receive - @data of the file at @offset, any size. What is there already is skipped.
 * **Returns** 0; -SKEIN_EINVALID: it begins behind what is wanted next, or ends behind the file's
 * end; nothing changed; -SKEIN_ECORRUPT: these are not the announced file's bytes: discard; -errno.
 */
int checkpoint_receive(struct checkpoint_receiver *receiver, uint64_t offset, const void *data,
                       size_t count) SKEIN_MUST_CHECK;
/* checkpoint_receive_commit - sync, read all of it again from the disk, check that it is @expected,
 * rename, sync the directory. Closes in either case; what is refused is removed. */
int checkpoint_receive_commit(struct checkpoint_receiver *receiver, const uint8_t cluster[16],
                              const struct raft_snapshot *expected,
                              char out_why[512]) SKEIN_MUST_CHECK;
void checkpoint_receive_close(struct checkpoint_receiver *receiver);
void checkpoint_receive_discard(struct checkpoint_receiver *receiver);

#endif
