/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: small texts that come from outside: requests for metrics, disk properties, log
 * levels. The first byte chooses which. What is accepted must come back the same when it is written
 * and read again; a request that ended with fewer bytes does not go on with more.
 */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "kv/scrape.h"
#include "skein/io.h"
#include "skein/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void
run_request(const char *text, size_t count)
{
    struct kv_scrape_request whole, part;
    bool ended = kv_scrape_parse(text, count, &whole);
    skein_assert(!ended || strcmp(kv_scrape_reason(whole.status), "Error") != 0);
    for (size_t bytes = 0; bytes < count && bytes < 300; bytes++)
        if (kv_scrape_parse(text, bytes, &part) && part.status == 200)
            skein_assert(ended);
}

static void
run_properties(const char *text, size_t count)
{
    struct skein_io_properties properties, again;
    char why[256], written[SKEIN_IO_TEXT_BYTES_MAX];
    if (skein_io_properties_parse(text, count, &properties, why) < 0)
        return;
    size_t bytes = skein_io_properties_text(&properties, written);
    int rc = skein_io_properties_parse(written, bytes, &again, why);
    skein_assert(rc == 0);
    skein_assert(memcmp(&properties, &again, sizeof(again)) == 0);
}

static void
run_levels(const char *text, size_t count)
{
    struct skein_log_levels levels = {0}, again = {0};
    char why[256], written[SKEIN_LOG_LEVELS_BYTES];
    char *copy = mem_alloc(count + 1);
    memcpy(copy, text, count);
    copy[count] = '\0';
    if (skein_log_levels_parse(&levels, copy, why) == 0) {
        int rc = skein_log_levels_parse(&again, skein_log_levels_text(&levels, written), why);
        skein_assert(rc == 0);
        skein_assert(memcmp(&levels, &again, sizeof(again)) == 0);
    }
    mem_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return 0;
    /* A block of its own: nobody may look behind what was given. */
    char *copy = mem_alloc(count);
    memcpy(copy, data + 1, count - 1);
    if (data[0] % 3 == 0)
        run_request(copy, count - 1);
    else if (data[0] % 3 == 1)
        run_properties(copy, count - 1);
    else
        run_levels(copy, count - 1);
    mem_free(copy);
    return 0;
}
