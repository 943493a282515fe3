/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes of a history file can make the reader or the search crash, hang or use memory
 * without bound; what was read is written and read back the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "skein/linear.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_and_read(const struct skein_linear_history *history)
{
    struct skein_linear_history *again = skein_linear_open(0);
    char *text = NULL, why[256];
    size_t count;
    FILE *file = open_memstream(&text, &count);
    if (!file)
        abort();
    skein_linear_write(history, file);
    fclose(file);
    if (skein_linear_read(again, text, count, NULL, NULL, why) < 0 ||
        skein_linear_op_count(again) != skein_linear_op_count(history))
        __builtin_trap();
    free(text);
    skein_linear_close(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct skein_linear_history *history = skein_linear_open(8 << 20);
    struct skein_linear_options options = {
        .step_count_max = 2000, .memory_bytes_max = 16 << 20, .explain = true};
    struct skein_linear_result result;
    char why[256] = "";
    if (skein_linear_read(history, data, size, NULL, &options.model, why) < 0) {
        if (why[0] == '\0')
            __builtin_trap();
        skein_linear_close(history);
        return 0;
    }
    write_and_read(history);
    FILE *sink = fopen("/dev/null", "w");
    if (!sink)
        abort();
    skein_linear_check(history, &options, &result);
    skein_linear_print(history, &options, &result, sink);
    skein_linear_print_json(history, &options, &result, sink);
    fclose(sink);
    skein_linear_result_deinit(&result);
    skein_linear_close(history);
    return 0;
}
