/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: RESP requests and replies. A stream cut into pieces must give what the whole gives;
 * what a scan accepted must build. The first byte chooses the size of the pieces.
 */
#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"
#include "kv/resp.h"
#include "kv/resp_reply.h"
#include "skein/error.h"

#define LIMIT_BYTES ((size_t)64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

/* A checksum over the commands and the error of a stream. */
static uint32_t
run_requests(const uint8_t *data, size_t count, size_t step)
{
    struct kv_resp parser;
    kv_resp_init(&parser, LIMIT_BYTES);
    uint32_t sum = 0;
    size_t begin = 0;
    int rc = 0;
    for (size_t end = 0; rc == 0 && end < count;) {
        end = count - end < step ? count : end + step;
        /* A block of its own: the parser may not look behind what it was given. */
        uint8_t *copy = mem_alloc(end - begin);
        memcpy(copy, data + begin, end - begin);
        size_t used = 0, consumed = 0;
        while ((rc = kv_resp_next(&parser, copy + used, end - begin - used, &consumed)) == 1) {
            skein_assert(parser.argc > 0 && consumed > 0);
            sum = crc32c(sum, &parser.argc, sizeof(parser.argc));
            for (uint32_t i = 0; i < parser.argc; i++) {
                sum = crc32c(sum, &parser.argv[i].count, sizeof(parser.argv[i].count));
                sum = crc32c(sum, parser.argv[i].data, parser.argv[i].count);
            }
            used += consumed;
        }
        begin += used + consumed;
        mem_free(copy);
    }
    skein_assert(rc == 0 || rc == -SKEIN_EPROTO);
    if (rc < 0)
        sum = crc32c(sum, parser.error, strlen(parser.error));
    kv_resp_deinit(&parser);
    return sum;
}

static int
scan_reply(const uint8_t *data, size_t count, size_t step, size_t *out_bytes)
{
    struct kv_reply_scan scan = {0};
    int rc = 0;
    for (size_t end = 0; rc == 0 && end < count;) {
        end = count - end < step ? count : end + step;
        uint8_t *copy = mem_alloc(end);
        memcpy(copy, data, end);
        rc = kv_reply_scan(&scan, copy, end, LIMIT_BYTES);
        mem_free(copy);
    }
    *out_bytes = scan.position;
    return rc;
}

static void
run_reply(const uint8_t *data, size_t count, size_t step)
{
    size_t whole_bytes, cut_bytes;
    int rc = scan_reply(data, count, count, &whole_bytes);
    int cut_rc = scan_reply(data, count, step, &cut_bytes);
    skein_assert(rc == cut_rc);
    if (rc != 1)
        return;
    skein_assert(whole_bytes == cut_bytes);
    struct kv_reply reply;
    rc = kv_reply_build(data, whole_bytes, &reply);
    skein_assert(rc == 0);
    kv_reply_deinit(&reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count < 2 || count > (size_t)2 * LIMIT_BYTES)
        return 0;
    size_t step = (size_t)data[0] + 1;
    uint32_t whole = run_requests(data + 1, count - 1, count - 1);
    skein_assert(run_requests(data + 1, count - 1, step) == whole);
    run_reply(data + 1, count - 1, step);
    return 0;
}
