/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the checker accepts what is linearizable and nothing else: small histories by hand, random
 * ones against an exhaustive search, and the published verdicts where the data folder is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "sim/linear/internal.h"

#define V(text) ((struct linear_value){text, strlen(text)})
#define NOTHING LINEAR_ABSENT

static size_t
call(struct linear_history *h, uint32_t process, enum linear_kind kind, const char *arg)
{
    return linear_call(h, process, kind, V("k"), arg ? V(arg) : NOTHING, NOTHING, 0);
}

static void
done(struct linear_history *h, size_t op, const char *observed)
{
    linear_ok(h, op, true, observed ? V(observed) : NOTHING, 0);
}

static void
wrote(struct linear_history *h, size_t op)
{
    linear_ok(h, op, false, NOTHING, 0);
}

static void
verdict_is(struct linear_history *h, enum linear_verdict wanted)
{
    assert_int_equal(linear_check(h, NULL, NULL), wanted);
    linear_history_close(h);
}

static void
stale_read_is_found(void **state)
{
    struct linear_history *h = linear_history_open();
    wrote(h, call(h, 1, LINEAR_WRITE, "a"));
    wrote(h, call(h, 1, LINEAR_WRITE, "b"));
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    verdict_is(h, LINEAR_VIOLATION);
}

static void
lost_write_is_found(void **state)
{
    struct linear_history *h = linear_history_open();
    wrote(h, call(h, 1, LINEAR_WRITE, "a"));
    done(h, call(h, 2, LINEAR_READ, NULL), NULL);
    verdict_is(h, LINEAR_VIOLATION);
}

static void
concurrent_reads_may_disagree_only_in_order(void **state)
{
    struct linear_history *h = linear_history_open();
    size_t w = call(h, 1, LINEAR_WRITE, "a");
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    done(h, call(h, 3, LINEAR_READ, NULL), NULL);
    wrote(h, w);
    verdict_is(h, LINEAR_VIOLATION);
    h = linear_history_open();
    w = call(h, 1, LINEAR_WRITE, "a");
    done(h, call(h, 3, LINEAR_READ, NULL), NULL);
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    wrote(h, w);
    verdict_is(h, LINEAR_OK);
}

static void
unknown_outcome_may_come_late_or_never(void **state)
{
    struct linear_history *h = linear_history_open();
    linear_unknown(h, call(h, 1, LINEAR_WRITE, "a"));
    wrote(h, call(h, 2, LINEAR_WRITE, "b"));
    done(h, call(h, 2, LINEAR_READ, NULL), "b");
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    verdict_is(h, LINEAR_OK);
    h = linear_history_open();
    linear_unknown(h, call(h, 1, LINEAR_WRITE, "a"));
    wrote(h, call(h, 2, LINEAR_WRITE, "b"));
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    done(h, call(h, 2, LINEAR_READ, NULL), "b");
    verdict_is(h, LINEAR_VIOLATION);
}

static void
failed_write_has_no_effect(void **state)
{
    struct linear_history *h = linear_history_open();
    linear_fail(h, call(h, 1, LINEAR_WRITE, "a"));
    done(h, call(h, 2, LINEAR_READ, NULL), "a");
    verdict_is(h, LINEAR_VIOLATION);
}

static void
equal_write_may_be_needed_later(void **state)
{
    struct linear_history *h = linear_history_open();
    wrote(h, call(h, 1, LINEAR_WRITE, "v"));
    size_t again = call(h, 1, LINEAR_WRITE, "v");
    size_t other = call(h, 2, LINEAR_WRITE, "z");
    done(h, call(h, 3, LINEAR_READ, NULL), "z");
    done(h, call(h, 3, LINEAR_READ, NULL), "v");
    wrote(h, again);
    wrote(h, other);
    verdict_is(h, LINEAR_OK);
}

static void
every_kind_is_checked(void **state)
{
    const struct {
        enum linear_kind kind;
        const char *arg, *observed;
        bool fits_absent, fits_five;
    } rows[] = {
        {LINEAR_ADD, "2", "2", true, false},        {LINEAR_ADD, "2", "7", false, true},
        {LINEAR_APPEND, "x", "1", true, false},     {LINEAR_APPEND, "x", "2", false, true},
        {LINEAR_DELETE, NULL, "0", true, false},    {LINEAR_DELETE, NULL, "1", false, true},
        {LINEAR_WRITE_NEW, "x", NULL, true, false}, {LINEAR_WRITE_NEW, "x", "", false, true},
        {LINEAR_WRITE_OLD, "x", NULL, true, false}, {LINEAR_WRITE_OLD, "x", "", false, true},
        {LINEAR_WRITE, "x", NULL, true, false},     {LINEAR_WRITE, "x", "5", false, true},
        {LINEAR_READ, NULL, NULL, true, false},     {LINEAR_READ, NULL, "5", false, true},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct linear_history *h = linear_history_open();
        done(h, call(h, 1, rows[i].kind, rows[i].arg), rows[i].observed);
        verdict_is(h, rows[i].fits_absent ? LINEAR_OK : LINEAR_VIOLATION);
        h = linear_history_open();
        wrote(h, call(h, 1, LINEAR_WRITE, "5"));
        done(h, call(h, 1, rows[i].kind, rows[i].arg), rows[i].observed);
        verdict_is(h, rows[i].fits_five ? LINEAR_OK : LINEAR_VIOLATION);
    }
}

static void
limits_give_undecided(void **state)
{
    struct linear_history *h = linear_history_open();
    for (uint32_t p = 0; p < 65; p++)
        call(h, p, LINEAR_WRITE, "a");
    for (size_t op = 0; op < 65; op++)
        wrote(h, op);
    verdict_is(h, LINEAR_UNDECIDED);
    h = linear_history_open();
    for (int i = 0; i < 20; i++)
        wrote(h, call(h, 1, LINEAR_WRITE, "a"));
    struct linear_limits limits = {.step_count_max = 3};
    assert_int_equal(linear_check(h, &limits, NULL), LINEAR_UNDECIDED);
    linear_history_close(h);
}

/* ---- random histories against a search without memory or rules ---- */

static bool
brute(struct value_set *values, const struct op *ops, size_t count, uint32_t done_bits, uint32_t at)
{
    bool all = true;
    uint64_t horizon = UINT64_MAX; /* nothing called after this may come next */
    for (size_t i = 0; i < count; i++) {
        if (ops[i].end != OP_OK || done_bits >> i & 1)
            continue;
        all = false;
        horizon = ops[i].return_seq < horizon ? ops[i].return_seq : horizon;
    }
    if (all)
        return true;
    for (size_t i = 0; i < count; i++) {
        uint32_t after;
        if (done_bits >> i & 1 || ops[i].end == OP_FAILED || ops[i].call_seq > horizon ||
            !model_step(values, &ops[i], at, &after))
            continue;
        if (brute(values, ops, count, done_bits | 1u << i, after))
            return true;
    }
    return false;
}

static void
random_histories_agree_with_brute_force(void **state)
{
    static const char *const small[] = {"0", "1", "2", "", "12"};
    unsigned violations = 0, fine = 0;
    for (uint64_t seed = 1; seed <= 6000; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct linear_history *h = linear_history_open();
        size_t open[3];
        bool busy[3] = {false};
        while (linear_op_count(h) < 9) {
            uint32_t p = (uint32_t)prng_below(&prng, 3);
            if (!busy[p]) {
                enum linear_kind kind = (enum linear_kind)prng_below(&prng, LINEAR_KIND_COUNT);
                open[p] = linear_call(h, p, kind, V("k"), V(small[prng_below(&prng, 3)]),
                                      V(small[prng_below(&prng, 3)]), 0);
                busy[p] = true;
                continue;
            }
            uint64_t how = prng_below(&prng, 10);
            const char *seen = small[prng_below(&prng, 5)];
            if (how < 1)
                linear_fail(h, open[p]);
            else if (how < 3)
                linear_unknown(h, open[p]);
            else
                linear_ok(h, open[p], how < 7, prng_chance(&prng, 1, 4) ? NOTHING : V(seen), 0);
            busy[p] = false;
        }
        enum linear_verdict got = linear_check(h, NULL, NULL);
        bool wanted = brute(&h->values, h->ops, h->op_count, 0, VALUE_ABSENT);
        if ((got == LINEAR_OK) != wanted)
            fail_msg("seed %llu: the search says %d", (unsigned long long)seed, (int)got);
        *(wanted ? &fine : &violations) += 1;
        linear_history_close(h);
    }
    assert_true(fine > 300 && violations > 300);
}

/* ---- published histories ---- */

static char *
read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t count = 0, capacity = 0;
    char *text = NULL;
    for (int c; (c = fgetc(file)) != EOF;) {
        mem_grow(&text, &capacity, count + 1, 1);
        text[count++] = (char)c;
        text[count] = 0;
    }
    fclose(file);
    return text;
}

#define PROCESS_MAX 1024

/* "INFO  jepsen.util - 3	:ok	:cas	[1 2]" */
static struct linear_history *
load_register(char *text)
{
    struct linear_history *h = linear_history_open();
    size_t open[PROCESS_MAX];
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned p;
        char what[16], f[16], a[32] = "", b[32] = "";
        if (sscanf(line, "INFO jepsen.util - %u :%15s :%15s %31s %31s", &p, what, f, a, b) < 4)
            continue;
        assert_true(p < PROCESS_MAX);
        enum linear_kind kind = strcmp(f, "cas") == 0    ? LINEAR_CAS
                                : strcmp(f, "read") == 0 ? LINEAR_READ
                                                         : LINEAR_WRITE;
        if (strcmp(what, "invoke") == 0) {
            if (kind == LINEAR_CAS)
                b[strcspn(b, "]")] = 0;
            open[p] = linear_call(h, p, kind, V("register"), kind == LINEAR_CAS ? V(b) : V(a),
                                  kind == LINEAR_CAS ? V(a + 1) : NOTHING, 0);
        } else if (strcmp(what, "info") == 0) {
            linear_unknown(h, open[p]);
        } else if (kind == LINEAR_CAS) {
            done(h, open[p], strcmp(what, "ok") == 0 ? "1" : "0");
        } else if (strcmp(what, "fail") == 0) {
            linear_fail(h, open[p]);
        } else if (kind == LINEAR_READ) {
            done(h, open[p], strcmp(a, "nil") == 0 ? NULL : a);
        } else {
            wrote(h, open[p]);
        }
    }
    return h;
}

/* {:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}; an absent key reads as "" */
static struct linear_history *
load_kv(char *text)
{
    struct linear_history *h = linear_history_open();
    size_t open[PROCESS_MAX];
    char keys[PROCESS_MAX][16], *rest;
    bool seen[PROCESS_MAX] = {false};
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned p;
        char what[16], f[16], key[16];
        int n = 0;
        assert_int_equal(
            sscanf(line,
                   "{:process %u, :type :%15[a-z], :f :%15[a-z], :key \"%15[^\"]\", :value %n", &p,
                   what, f, key, &n),
            4);
        assert_true(n > 0 && p < PROCESS_MAX);
        char *value = line + n;
        bool nil = strncmp(value, "nil", 3) == 0;
        value[strlen(value) - 2] = 0;
        unsigned number = (unsigned)atoi(key);
        if (!nil && !seen[number]) {
            seen[number] = true;
            wrote(h, linear_call(h, PROCESS_MAX, LINEAR_WRITE, V(key), V(""), NOTHING, 0));
        }
        if (strcmp(what, "invoke") == 0) {
            if (!seen[number]) {
                seen[number] = true;
                wrote(h, linear_call(h, PROCESS_MAX, LINEAR_WRITE, V(key), V(""), NOTHING, 0));
            }
            strcpy(keys[p], key);
            enum linear_kind kind = f[0] == 'g'   ? LINEAR_READ
                                    : f[0] == 'p' ? LINEAR_WRITE
                                                  : LINEAR_APPEND;
            open[p] = linear_call(h, p, kind, V(keys[p]), nil ? NOTHING : V(value + 1), NOTHING, 0);
        } else if (f[0] == 'g') {
            done(h, open[p], value + 1);
        } else {
            wrote(h, open[p]);
        }
    }
    return h;
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
        char *text = read_whole(path);
        struct linear_history *h = load_register(text);
        enum linear_verdict wanted = strcmp(verdict, "linearizable") ? LINEAR_VIOLATION : LINEAR_OK;
        enum linear_verdict got = linear_check(h, NULL, NULL);
        if (got != wanted)
            fail_msg("%s: %d, published: %s", name, (int)got, verdict);
        compared++;
        linear_history_close(h);
        mem_free(text);
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
        char *text = read_whole(path);
        struct linear_history *h = load_kv(text);
        enum linear_verdict got = linear_check(h, NULL, NULL);
        if (got != (ok ? LINEAR_OK : LINEAR_VIOLATION))
            fail_msg("%s: %d", entry->d_name, (int)got);
        compared++;
        linear_history_close(h);
        mem_free(text);
    }
    closedir(dir);
    assert_true(compared > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stale_read_is_found),
        cmocka_unit_test(lost_write_is_found),
        cmocka_unit_test(concurrent_reads_may_disagree_only_in_order),
        cmocka_unit_test(unknown_outcome_may_come_late_or_never),
        cmocka_unit_test(failed_write_has_no_effect),
        cmocka_unit_test(equal_write_may_be_needed_later),
        cmocka_unit_test(every_kind_is_checked),
        cmocka_unit_test(limits_give_undecided),
        cmocka_unit_test(random_histories_agree_with_brute_force),
        cmocka_unit_test(published_register_verdicts_are_reproduced),
        cmocka_unit_test(published_kv_verdicts_are_reproduced),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
