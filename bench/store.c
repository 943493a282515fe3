/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables by themselves, in one process: put N keys in random order, read random ones, open
 * again. One line for bench/store:
 *
 *   store  keys  puts_per_second  cpu_us_per_put  gets_per_second  p99_get_us  rss_anon_mib
 *   file_mib  open_ms
 *
 * A table on disk is persisted whenever it wants to be, beside the puts, and once at the end; its
 * puts per second count that. The table in memory has no disk here: its checkpoints are the
 * replica's. With --seconds the load ends early, and keys says how many there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/prng.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/runtime.h"
#include "skein/shard.h"
#include "store/lmdb_table.h"

#define SECOND UINT64_C(1000000000)
#define KEY_BYTES 23
#define GETS 500000u
#define YIELD_EVERY 256u

struct bench {
    const char *store, *dir;
    uint64_t keys, value_bytes, seconds;
    struct store_table *table;
    struct skein_scope scope;
    bool writing;
    uint64_t gets_ns[64]; /* by the logarithm of four times the microseconds */
};

/* The place of the @i-th key: a permutation of 64 bits, so that keys come in random order. */
static void
make_key(uint64_t i, uint8_t key[KEY_BYTES])
{
    uint64_t a = i * UINT64_C(0x9e3779b97f4a7c15);
    a ^= a >> 32;
    a *= UINT64_C(0xd6e8feb86659fd93);
    for (int b = 0; b < 8; b++)
        key[b] = (uint8_t)(a >> (56 - 8 * b));
    for (int d = KEY_BYTES - 1; d >= 8; d--, i /= 10)
        key[d] = (uint8_t)('0' + i % 10);
}

static void
persist(void *arg)
{
    struct bench *bench = arg;
    int rc = bench->table->ops->disk->persist(bench->table, bytes_borrow("n", 1));
    if (rc < 0) {
        fprintf(stderr, "bench_store: persist: %s\n", skein_error_text(rc));
        exit(1);
    }
    bench->writing = false;
}

static void
relieve(struct bench *bench)
{
    if (!bench->table->ops->disk) {
        skein_yield();
        return;
    }
    int rc = bench->table->ops->disk->relieve(bench->table);
    if (rc > 0 && !bench->writing) {
        bench->writing = true;
        rc = skein_spawn(&bench->scope, "persist", persist, bench, SKEIN_STACK_LARGE);
    }
    if (rc < 0)
        exit(1);
    skein_yield();
}

static int
open_table(struct bench *bench)
{
    char why[512];
    const struct store_lmdb_options options = {.dir = bench->dir, .memory_bytes_max = 64 << 20};
    if (strcmp(bench->store, "memory") == 0)
        return store_memtable_open(&bench->table);
    int rc = store_lmdb_open(&bench->table, &options, why);
    if (rc < 0)
        fprintf(stderr, "bench_store: %s\n", why);
    return rc;
}

static uint64_t
cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static uint64_t
rss_anon_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "RssAnon: %llu", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

/* How many keys were put. */
static uint64_t
put_all(struct bench *bench)
{
    uint8_t key[KEY_BYTES], *value = malloc(bench->value_bytes);
    uint64_t until_ns = skein_now_ns() + bench->seconds * SECOND, i = 0;
    memset(value, 'v', bench->value_bytes);
    for (; i < bench->keys && skein_now_ns() < until_ns; i++) {
        make_key(i, key);
        memcpy(value, key, KEY_BYTES);
        int rc = bench->table->ops->put(bench->table, key, KEY_BYTES,
                                        bytes_borrow(value, bench->value_bytes));
        if (rc < 0)
            exit(1);
        if (i % YIELD_EVERY == 0)
            relieve(bench);
    }
    skein_scope_join(&bench->scope);
    if (bench->table->ops->disk)
        persist(bench);
    free(value);
    return i;
}

static double
get_random(struct bench *bench, uint64_t keys)
{
    struct prng prng;
    uint64_t total_ns = 0;
    prng_init(&prng, 1);
    for (uint32_t i = 0; i < GETS; i++) {
        uint8_t key[KEY_BYTES];
        struct bytes value;
        make_key(prng_below(&prng, keys), key);
        uint64_t begun_ns = skein_now_ns();
        if (bench->table->ops->get(bench->table, key, KEY_BYTES, &value) < 0)
            exit(1);
        uint64_t took_ns = skein_now_ns() - begun_ns;
        bytes_unref(&value);
        total_ns += took_ns;
        uint64_t quarter_us = took_ns / 250;
        bench->gets_ns[quarter_us ? 64 - __builtin_clzll(quarter_us) : 0]++;
        if (i % YIELD_EVERY == 0)
            skein_yield();
    }
    return (double)GETS * (double)SECOND / (double)total_ns;
}

static double
p99_us(const struct bench *bench)
{
    uint64_t above = GETS / 100, seen = 0;
    int slot = 63;
    while (slot > 0 && (seen += bench->gets_ns[slot]) < above)
        slot--;
    return (double)(UINT64_C(1) << slot) / 4;
}

static int
run(void *arg)
{
    struct bench *bench = arg;
    skein_scope_init(&bench->scope);
    if (open_table(bench) < 0)
        return 1;
    uint64_t begun_ns = skein_now_ns(), begun_cpu_ns = cpu_ns();
    uint64_t keys = put_all(bench);
    double seconds = (double)(skein_now_ns() - begun_ns) / (double)SECOND;
    double cpu_us = (double)(cpu_ns() - begun_cpu_ns) / 1000 / (double)keys;
    uint64_t rss_kib = rss_anon_kib(), open_ns = 0;
    struct store_disk_stats stats = {0};
    double gets = get_random(bench, keys);
    bool on_disk = bench->table->ops->disk;
    if (on_disk)
        bench->table->ops->disk->stats(bench->table, &stats);
    bench->table->ops->close(bench->table);
    if (on_disk) {
        begun_ns = skein_now_ns();
        if (open_table(bench) < 0)
            return 1;
        open_ns = skein_now_ns() - begun_ns;
        bench->table->ops->close(bench->table);
    }
    printf("%s\t%llu\t%.0f\t%.2f\t%.0f\t%.1f\t%llu\t%llu\t%.1f\n", bench->store,
           (unsigned long long)keys, (double)keys / seconds, cpu_us, gets, p99_us(bench),
           (unsigned long long)(rss_kib >> 10), (unsigned long long)(stats.file_bytes >> 20),
           (double)open_ns / 1e6);
    return 0;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.store = "memory", .keys = 1000000, .value_bytes = 256, .seconds = 60};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--store") == 0)
            bench.store = argv[i + 1];
        else if (strcmp(argv[i], "--keys") == 0)
            bench.keys = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--value-bytes") == 0)
            bench.value_bytes = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            bench.seconds = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--dir") == 0)
            bench.dir = argv[i + 1];
    }
    bool on_disk = strcmp(bench.store, "lmdb") == 0;
    if ((!on_disk && strcmp(bench.store, "memory") != 0) || (on_disk && !bench.dir) ||
        bench.keys == 0 || bench.seconds == 0 || bench.value_bytes < KEY_BYTES) {
        fprintf(stderr, "usage: bench_store --store memory|lmdb --dir DIR [--keys N] "
                        "[--value-bytes N] [--seconds N]\n");
        return 64;
    }
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result = 1;
    options.shard_count = 1;
    options.pin = false;
    options.stall_ns = SKEIN_NEVER;
    int rc = skein_runtime_run(&options, run, &bench, &result, why);
    if (rc < 0)
        fprintf(stderr, "bench_store: %s\n", why);
    return rc < 0 ? 1 : result;
}
