/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_RESP_H
#define KV_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/wire.h"
#include "kv/batch.h"

/*
 * The RESP2 request parser: pure and incremental, over the caller's receive buffer.
 *
 *   *2\r\n $3\r\nGET\r\n $1\r\nk\r\n        an array of bulk strings
 *   GET "k\x00" 'it''s'\r\n                 an inline command, with Redis' quoting rules
 *
 *              +---------- need more (0) ---------+
 *              v                                  |
 *   idle --> multibulk: argc known, arguments one by one --> command (1) --> idle
 *     \----> inline: until the newline ----------------------> command (1) --> idle
 *              |
 *              +--> broken (-SKEIN_EPROTO): send the text as an error, close the connection
 *
 * Arguments are views into the caller's buffer (an inline command's: into the parser's scratch), so
 * the buffer must start at the first byte that was not consumed, may grow at its end, and may move
 * between calls, but not before the command that was returned has been used.
 *
 * How the bytes are cut into calls makes no difference: the same commands come out, then the same
 * error. Memory grows only with bytes that were received: a claimed length allocates nothing.
 *
 * Limits: a header line or an inline command has at most KV_RESP_LINE_BYTES_MAX bytes, a command
 * KV_ARGC_MAX arguments, and all of a command `command_bytes_max` bytes.
 */

#define KV_RESP_LINE_BYTES_MAX ((size_t)64 << 10)

struct kv_resp {
    /* The command that was parsed: valid after kv_resp_next returned 1, until it is called again.
     */
    struct kv_arg *argv;
    uint32_t argc;
    /* After -SKEIN_EPROTO: the text for the client, without the dash. */
    char error[96];

    /* The parser's own. Positions count from the first byte of the command under way. */
    size_t command_bytes_max;
    size_t argv_capacity;
    size_t position;      /* parsed up to here */
    size_t scanned;       /* no newline before here */
    uint32_t argc_wanted; /* of the multibulk command under way; 0: none */
    int64_t bulk_bytes;   /* of the argument under way; -1: its header is still to come */
    struct wire_writer scratch;
    bool broken;
};

void kv_resp_init(struct kv_resp *parser, size_t command_bytes_max);
void kv_resp_deinit(struct kv_resp *parser);

/*
 * kv_resp_next - parse one command.
 * @data, @count: everything received that has not been consumed; @out_consumed: bytes that may be
 * dropped now (with a command: all of it; without: empty lines and empty arrays only).
 * **Returns** 1: a command in argv and argc (at least one argument); 0: more bytes are needed;
 * -SKEIN_EPROTO: the stream is broken for good, `error` says how; -SKEIN_ENOMEM.
 */
int kv_resp_next(struct kv_resp *parser, const uint8_t *data, size_t count,
                 size_t *out_consumed) SKEIN_MUST_CHECK;

/* kv_resp_shrink - give back what a big command needed; between commands. */
void kv_resp_shrink(struct kv_resp *parser);

/* kv_resp_integer - a decimal integer exactly as Redis reads one: no plus, spaces or leading zeros.
 * True and *@out_value, else false. */
bool kv_resp_integer(const void *text, size_t count, int64_t *out_value);

/*
 * kv_resp_split_line - split an inline command (resp_inline.c).
 * @line: without its newline. The arguments' bytes are appended to parser->scratch, argv and argc
 * are set. **Returns** 0, -SKEIN_EPROTO: unbalanced quotes; -SKEIN_ENOMEM.
 */
int kv_resp_split_line(struct kv_resp *parser, const uint8_t *line, size_t count) SKEIN_MUST_CHECK;

#endif
