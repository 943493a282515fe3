/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: history files are read as they mean it or refused with the line that is wrong; what is
 * written is read back the same; the published verdicts are reproduced, each within 10 s and 2 GiB,
 * where the data folder is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/prng.h"
#include "sim/linear/internal.h"

#define V(text) ((struct skein_linear_value){text, strlen(text)})
#define J "INFO  jepsen.util - "
#define KV(process, type, f, value) \
    "{:process " process ", :type :" type ", :f :" f ", :key \"k\", :value " value "}\n"

static enum skein_linear_verdict
verdict_of(const char *text)
{
    struct skein_linear_history *h = skein_linear_open(0);
    struct skein_linear_options options = {0};
    char why[256] = "";
    int rc = skein_linear_read(h, text, strlen(text), NULL, &options.model, why);
    if (rc < 0)
        fail_msg("%s", why);
    enum skein_linear_verdict verdict = skein_linear_check(h, &options, NULL);
    skein_linear_close(h);
    return verdict;
}

static void
formats_are_read_as_they_mean_it(void **state)
{
    const struct {
        enum skein_linear_verdict verdict;
        const char *text;
    } rows[] = {
        {SKEIN_LINEAR_OK, J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:write\t3\n" J
                            "0\t:invoke\t:read\tnil\n" J "0\t:ok\t:read\t3\n"},
        {SKEIN_LINEAR_VIOLATION, J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:write\t3\n" J
                                   "0\t:invoke\t:read\tnil\n" J "0\t:ok\t:read\tnil\n"},
        /* a read that timed out has no effect, a write that did may have one */
        {SKEIN_LINEAR_OK, J "0\t:invoke\t:write\t3\n" J "0\t:info\t:write\t:timed-out\n" J
                            "1\t:invoke\t:read\tnil\n" J "1\t:fail\t:read\t:timed-out\n" J
                            "1\t:invoke\t:read\tnil\n" J "1\t:ok\t:read\tnil\n" J
                            "1\t:invoke\t:read\tnil\n" J "1\t:ok\t:read\t3\n"},
        /* a failed cas has seen another value */
        {SKEIN_LINEAR_VIOLATION, J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:write\t3\n" J
                                   "0\t:invoke\t:cas\t[3 4]\n" J "0\t:fail\t:cas\t[3 4]\n"},
        {SKEIN_LINEAR_OK, "WARN jepsen.core - something else\n" J ":nemesis\t:info\t:start\tnil\n" J
                          "0\t:invoke\t:cas\t[3 4]\r\n\n" J "0\t:fail\t:cas\t[3 4]"},
        {SKEIN_LINEAR_OK,
         KV("0", "invoke", "append", "\"x\\\"y\"") KV("0", "ok", "append", "\"x\\\"y\"")
             KV("0", "invoke", "get", "nil") KV("0", "ok", "get", "\"x\\\"y\"")},
        {SKEIN_LINEAR_OK, KV("0", "invoke", "get", "nil") KV("0", "ok", "get", "\"\"")},
        {SKEIN_LINEAR_VIOLATION, KV("0", "invoke", "get", "nil") KV("0", "ok", "get", "\"a\"")},
        {SKEIN_LINEAR_OK, "{:type :invoke, :f :cas, :value [nil 2], :process 7, :index 0}\n"
                          "{:process :nemesis, :type :info, :f :start, :value nil}\n"
                          "{:type :ok, :f :cas, :value [nil 2], :process 7, :time 9}\n"
                          "{:type :invoke, :f :read, :value nil, :process 7}\n"
                          "{:type :info, :f :read, :value :timed-out, :process 7, :error :odd}\n"},
        {SKEIN_LINEAR_OK,
         "; skein history 1\n" KV("0", "invoke", "add", "\"2\"")
             KV("0", "ok", "add", "\"2\", :observed \"2\"") KV("1", "invoke", "delete", "nil")
                 KV("1", "ok", "delete", "nil, :observed \"1\"")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (verdict_of(rows[i].text) != rows[i].verdict)
            fail_msg("row %zu", i);
}

static void
what_is_no_history_is_refused_with_its_line(void **state)
{
    const struct {
        const char *line, *text;
    } rows[] = {
        {"line 0:", ""},
        {"line 2:", "\n\n"},
        {"line 1:", "hello\n"},
        {"line 1:", "INFO jepsen.util hello\n"},
        {"line 1:", J "0\t:ok\t:write\t3\n"},
        {"line 1:", J "x\t:invoke\t:write\t3\n"},
        {"line 1:", J "4294967296\t:invoke\t:write\t3\n"},
        {"line 1:", J "99999999999999999999\t:invoke\t:write\t3\n"},
        {"line 1:", J "0\t:invoke\t:append\t3\n"},
        {"line 1:", J "0\t:invoke\t:write\tnil\n"},
        {"line 1:", J "0\t:invoke\t:write\tthree\n"},
        {"line 1:", J "0\t:invoke\t:write\t3 4\n"},
        {"line 1:", J "0\t:invoke\t:write\n"},
        {"line 1:", J "0\t:invoke\t:cas\t[3]\n"},
        {"line 1:", J "0\t:invoke\t:cas\t[3 4\n"},
        {"line 1:", J "0\t:invoke\t:read\t3\n"},
        {"line 2:", J "0\t:invoke\t:write\t3\n" J "0\t:invoke\t:write\t3\n"},
        {"line 2:", J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:write\t4\n"},
        {"line 2:", J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:write\t:timed-out\n"},
        {"line 2:", J "0\t:invoke\t:write\t3\n" J "0\t:ok\t:read\t3\n"},
        {"line 2:", J "0\t:invoke\t:write\t3\n" KV("0", "ok", "get", "\"a\"")},
        {"line 1:", "{:process 0, :type :invoke, :f :get, :key \"k\", :value nil\n"},
        {"line 1:", "{:process 0, :type :invoke, :f :get, :key \"k, :value nil}\n"},
        {"line 1:", "{:process 0, :type :invoke, :key \"k\", :value nil}\n"},
        {"line 1:", "{:process 0, :process 0, :type :invoke, :f :get, :value nil}\n"},
        {"line 1:", "{:process 0, :type :invoke, :f :get, :odd 1, :value nil}\n"},
        {"line 1:", "{:process 0, :type :invoke, :f :get, :value nil} {}\n"},
        {"line 1:", "{:process -1, :type :invoke, :f :get, :value nil}\n"},
        {"line 1:", "{:process 0, :type :invoke, :f :put, :value [1 2]}\n"},
        {"line 1:", "{:process 0, :type :invoke, :f :put, :value \"\\q\"}\n"},
        {"line 1:", "{:process 0, :type :maybe, :f :put, :value \"\"}\n"},
        {"line 2:",
         KV("0", "invoke", "get", "nil") "{:process 0, :type :ok, :f :get, :key \"l\"}\n"},
        {"line 2:",
         KV("0", "invoke", "get", "nil") "{:process 0, :type :ok, :f :get, :key \"k\"}\n"},
        {"line 2:", KV("0", "invoke", "get", "nil") KV("1", "invoke", "cas", "[1 2]")},
        {"line 1:", KV("0", "invoke", "put", "\"a\", :observed \"b\"")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct skein_linear_history *h = skein_linear_open(0);
        char why[256] = "";
        int rc = skein_linear_read(h, rows[i].text, strlen(rows[i].text), NULL, NULL, why);
        if (rc != -SKEIN_EFORMAT || strncmp(why, rows[i].line, strlen(rows[i].line)) != 0)
            fail_msg("row %zu: %d %s", i, rc, why);
        skein_linear_close(h);
    }
}

static void
larger_than_the_limit_is_refused(void **state)
{
    struct skein_linear_history *h = skein_linear_open(1000);
    char why[256], text[4096] = "";
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), J "%d\t:invoke\t:write\t%d\n", i,
                 i);
    assert_int_equal(skein_linear_read(h, text, strlen(text), NULL, NULL, why), -SKEIN_ENOMEM);
    skein_linear_close(h);
}

static void
another_model_than_the_file_is_refused(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    char why[256];
    const char *text = KV("0", "invoke", "append", "\"a\"");
    assert_int_equal(
        skein_linear_read(h, text, strlen(text), skein_linear_model_find("register"), NULL, why),
        -SKEIN_EFORMAT);
    assert_non_null(strstr(why, "register"));
    assert_null(skein_linear_model_find("queue"));
    skein_linear_close(h);
}

static struct skein_linear_history *
draw_history(uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    struct skein_linear_history *h = skein_linear_open(0);
    uint32_t process = 0;
    for (int i = 0; i < 30; i++) {
        uint32_t kind = (uint32_t)prng_below(&prng, SKEIN_LINEAR_KIND_COUNT);
        bool takes = kind != SKEIN_LINEAR_READ && kind != SKEIN_LINEAR_DELETE;
        const char bytes[] = {(char)prng_next(&prng), '"', '\\', (char)prng_next(&prng), '\n', 0};
        struct skein_linear_value value = {bytes, (size_t)prng_below(&prng, 7)};
        size_t op =
            skein_linear_call(h, process, kind, V("a key"), takes ? value : SKEIN_LINEAR_ABSENT,
                              kind == SKEIN_LINEAR_CAS ? value : SKEIN_LINEAR_ABSENT, 5);
        uint64_t how = prng_below(&prng, 4);
        if (how == 0)
            skein_linear_fail(h, op);
        else if (how > 1)
            skein_linear_ok(h, op,
                            how == 2 || kind <= SKEIN_LINEAR_READ || kind == SKEIN_LINEAR_CAS,
                            prng_chance(&prng, 1, 2) ? value : SKEIN_LINEAR_ABSENT, 6);
        process++;
    }
    return h;
}

static void
what_is_written_is_read_back(void **state)
{
    for (uint64_t seed = 1; seed < 200; seed++) {
        struct skein_linear_history *h = draw_history(seed), *again = skein_linear_open(0);
        char *text = NULL, *text2 = NULL, why[256];
        size_t count, count2;
        FILE *file = open_memstream(&text, &count);
        skein_linear_write(h, file);
        fclose(file);
        if (skein_linear_read(again, text, count, NULL, NULL, why) < 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed, why);
        file = open_memstream(&text2, &count2);
        skein_linear_write(again, file);
        fclose(file);
        assert_int_equal(count, count2);
        assert_memory_equal(text, text2, count);
        assert_int_equal(skein_linear_check(h, NULL, NULL), skein_linear_check(again, NULL, NULL));
        free(text);
        free(text2);
        skein_linear_close(h);
        skein_linear_close(again);
    }
}

/* ---- published histories ---- */

static char *
read_whole(const char *path, size_t *out_count)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t count = 0, capacity = 0;
    char *text = NULL;
    for (int c; (c = fgetc(file)) != EOF;) {
        mem_grow(&text, &capacity, count, 1);
        text[count++] = (char)c;
    }
    fclose(file);
    *out_count = count;
    return text;
}

/* The clock of the process: another program beside it does not count. */
static bool
takes_too_long(void *owner)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec - *(time_t *)owner >= 10;
}

static void
expect_published(const char *path, enum skein_linear_verdict wanted)
{
    size_t count;
    char why[256], *text = read_whole(path, &count);
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    struct skein_linear_history *h = skein_linear_open(0);
    struct skein_linear_options options = {
        .stop = takes_too_long, .owner = &now.tv_sec, .explain = true};
    struct skein_linear_result result;
    if (skein_linear_read(h, text, count, NULL, &options.model, why) < 0)
        fail_msg("%s: %s", path, why);
    if (skein_linear_check(h, &options, &result) != wanted)
        fail_msg("%s: %d, published: %d", path, (int)result.verdict, (int)wanted);
    assert_true(result.bytes_max < (uint64_t)2 << 30);
    assert_true((result.op_count > 0) == (wanted == SKEIN_LINEAR_VIOLATION));
    skein_linear_result_deinit(&result);
    skein_linear_close(h);
    mem_free(text);
}

static const char *
data_folder(char *out, size_t out_bytes, const char *part)
{
    const char *root = getenv("SKEIN_DATA");
    snprintf(out, out_bytes, "%s/linearizability/%s", root ? root : "../shared/data", part);
    DIR *dir = opendir(out);
    if (!dir) {
        print_message("skipped: no folder %s (SKEIN_DATA names another place)\n", out);
        return NULL;
    }
    closedir(dir);
    return out;
}

static void
published_register_verdicts_are_reproduced(void **state)
{
    char folder[512], path[1024], name[64], verdict[64];
    if (!data_folder(folder, sizeof(folder), "jepsen-etcd"))
        skip();
    snprintf(path, sizeof(path), "%s/VERDICTS.txt", folder);
    FILE *verdicts = fopen(path, "r");
    assert_non_null(verdicts);
    unsigned compared = 0;
    while (fscanf(verdicts, "%63s %63s", name, verdict) == 2) {
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        expect_published(path, strcmp(verdict, "linearizable") ? SKEIN_LINEAR_VIOLATION
                                                               : SKEIN_LINEAR_OK);
        compared++;
    }
    fclose(verdicts);
    assert_true(compared > 10);
}

static void
published_kv_verdicts_are_reproduced(void **state)
{
    char folder[512], path[1024];
    if (!data_folder(folder, sizeof(folder), "kv"))
        skip();
    DIR *dir = opendir(folder);
    unsigned compared = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        bool ok = strstr(entry->d_name, "-ok.txt"), bad = strstr(entry->d_name, "-bad.txt");
        if (!ok && !bad)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        expect_published(path, ok ? SKEIN_LINEAR_OK : SKEIN_LINEAR_VIOLATION);
        compared++;
    }
    closedir(dir);
    assert_true(compared > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_read_as_they_mean_it),
        cmocka_unit_test(what_is_no_history_is_refused_with_its_line),
        cmocka_unit_test(larger_than_the_limit_is_refused),
        cmocka_unit_test(another_model_than_the_file_is_refused),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(published_register_verdicts_are_reproduced),
        cmocka_unit_test(published_kv_verdicts_are_reproduced),
    };
    return cmocka_run_group_tests_name("linear/read", tests, NULL, NULL);
}
