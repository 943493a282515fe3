/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the checker accepts what is linearizable and nothing else: small histories by hand, random
 * ones against an exhaustive search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "sim/linear/internal.h"

#define V(text) ((struct skein_linear_value){text, strlen(text)})
#define NOTHING SKEIN_LINEAR_ABSENT

static size_t
call(struct skein_linear_history *h, uint32_t process, enum skein_linear_kind kind, const char *arg)
{
    return skein_linear_call(h, process, kind, V("k"), arg ? V(arg) : NOTHING, NOTHING, 0);
}

static void
done(struct skein_linear_history *h, size_t op, const char *observed)
{
    skein_linear_ok(h, op, true, observed ? V(observed) : NOTHING, 0);
}

static void
wrote(struct skein_linear_history *h, size_t op)
{
    skein_linear_ok(h, op, false, NOTHING, 0);
}

static void
verdict_is(struct skein_linear_history *h, enum skein_linear_verdict wanted)
{
    assert_int_equal(skein_linear_check(h, NULL, NULL), wanted);
    skein_linear_close(h);
}

static void
stale_read_is_found(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, "a"));
    wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, "b"));
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
}

static void
lost_write_is_found(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, "a"));
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), NULL);
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
}

static void
concurrent_reads_may_disagree_only_in_order(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    size_t w = call(h, 1, SKEIN_LINEAR_WRITE, "a");
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    done(h, call(h, 3, SKEIN_LINEAR_READ, NULL), NULL);
    wrote(h, w);
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
    h = skein_linear_open(0);
    w = call(h, 1, SKEIN_LINEAR_WRITE, "a");
    done(h, call(h, 3, SKEIN_LINEAR_READ, NULL), NULL);
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    wrote(h, w);
    verdict_is(h, SKEIN_LINEAR_OK);
}

static void
unknown_outcome_may_come_late_or_never(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    skein_linear_unknown(h, call(h, 1, SKEIN_LINEAR_WRITE, "a"));
    wrote(h, call(h, 2, SKEIN_LINEAR_WRITE, "b"));
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "b");
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    verdict_is(h, SKEIN_LINEAR_OK);
    h = skein_linear_open(0);
    skein_linear_unknown(h, call(h, 1, SKEIN_LINEAR_WRITE, "a"));
    wrote(h, call(h, 2, SKEIN_LINEAR_WRITE, "b"));
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "b");
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
}

static void
failed_write_has_no_effect(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    skein_linear_fail(h, call(h, 1, SKEIN_LINEAR_WRITE, "a"));
    done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), "a");
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
}

static void
equal_write_may_be_needed_later(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, "v"));
    size_t again = call(h, 1, SKEIN_LINEAR_WRITE, "v");
    size_t other = call(h, 2, SKEIN_LINEAR_WRITE, "z");
    done(h, call(h, 3, SKEIN_LINEAR_READ, NULL), "z");
    done(h, call(h, 3, SKEIN_LINEAR_READ, NULL), "v");
    wrote(h, again);
    wrote(h, other);
    verdict_is(h, SKEIN_LINEAR_OK);
}

static void
every_kind_is_checked(void **state)
{
    const struct {
        enum skein_linear_kind kind;
        const char *arg, *observed;
        bool fits_absent, fits_five;
    } rows[] = {
        {SKEIN_LINEAR_ADD, "2", "2", true, false},
        {SKEIN_LINEAR_ADD, "2", "7", false, true},
        {SKEIN_LINEAR_APPEND, "x", "1", true, false},
        {SKEIN_LINEAR_APPEND, "x", "2", false, true},
        {SKEIN_LINEAR_DELETE, NULL, "0", true, false},
        {SKEIN_LINEAR_DELETE, NULL, "1", false, true},
        {SKEIN_LINEAR_WRITE_NEW, "x", NULL, true, false},
        {SKEIN_LINEAR_WRITE_NEW, "x", "", false, true},
        {SKEIN_LINEAR_WRITE_OLD, "x", NULL, true, false},
        {SKEIN_LINEAR_WRITE_OLD, "x", "", false, true},
        {SKEIN_LINEAR_WRITE, "x", NULL, true, false},
        {SKEIN_LINEAR_WRITE, "x", "5", false, true},
        {SKEIN_LINEAR_READ, NULL, NULL, true, false},
        {SKEIN_LINEAR_READ, NULL, "5", false, true},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct skein_linear_history *h = skein_linear_open(0);
        done(h, call(h, 1, rows[i].kind, rows[i].arg), rows[i].observed);
        verdict_is(h, rows[i].fits_absent ? SKEIN_LINEAR_OK : SKEIN_LINEAR_VIOLATION);
        h = skein_linear_open(0);
        wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, "5"));
        done(h, call(h, 1, rows[i].kind, rows[i].arg), rows[i].observed);
        verdict_is(h, rows[i].fits_five ? SKEIN_LINEAR_OK : SKEIN_LINEAR_VIOLATION);
    }
}

/* Of twenty operations the two that contradict each other are shown, and the write between. */
static void
smallest_part_is_found(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    char value[16];
    for (int i = 0; i < 20; i++) {
        snprintf(value, sizeof(value), "v%d", i);
        wrote(h, call(h, 1, SKEIN_LINEAR_WRITE, value));
        done(h, call(h, 2, SKEIN_LINEAR_READ, NULL), i == 12 ? "v10" : value);
    }
    struct skein_linear_options options = {.explain = true};
    struct skein_linear_result result;
    assert_int_equal(skein_linear_check(h, &options, &result), SKEIN_LINEAR_VIOLATION);
    assert_true(result.is_minimal);
    /* v10 was written before v11 or v12, whichever had to be done, and read behind it. */
    assert_in_range(result.op_count, 2, 3);
    assert_int_equal(result.ops[result.op_count - 1], 25);
    skein_linear_result_deinit(&result);
    skein_linear_close(h);
}

/* A user's model: a set of bits; kind 64 sets the bit of its argument, 65 observes whether it was
 * set. */
static bool
bits_step(void *owner, const struct skein_linear_op *op, struct skein_linear_value state,
          struct skein_linear_state *out_state)
{
    uint8_t bits = *(const uint8_t *)state.data,
            bit = (uint8_t)(1u << *(const char *)op->arg.data % 8);
    if (op->kind == SKEIN_LINEAR_USER + 1)
        return !op->has_observed || (*(const char *)op->observed.data == 'y') == !!(bits & bit);
    bits |= bit;
    skein_linear_state_set(out_state, &bits, 1);
    return true;
}

static bool
bits_observes(void *owner, const struct skein_linear_op *op)
{
    return op->kind == SKEIN_LINEAR_USER + 1;
}

static const struct skein_linear_model bits = {
    .name = "bits", .initial = {"\0", 1}, .step = bits_step, .observes = bits_observes};

static void
user_model_is_checked(void **state)
{
    struct skein_linear_options options = {.model = &bits, .explain = true};
    for (int stale = 0; stale < 2; stale++) {
        struct skein_linear_history *h = skein_linear_open(0);
        for (const char *c = "01234567"; *c; c++)
            wrote(h, skein_linear_call(h, 1, SKEIN_LINEAR_USER, V("k"),
                                       (struct skein_linear_value){c, 1}, NOTHING, 0));
        done(h, skein_linear_call(h, 2, SKEIN_LINEAR_USER + 1, V("k"), V("3"), NOTHING, 0),
             stale ? "n" : "y");
        struct skein_linear_result result;
        assert_int_equal(skein_linear_check(h, &options, &result),
                         stale ? SKEIN_LINEAR_VIOLATION : SKEIN_LINEAR_OK);
        assert_int_equal(result.op_count, stale ? 2 : 0);
        skein_linear_result_deinit(&result);
        skein_linear_close(h);
    }
}

/* More clients on one key than a word has bits. */
static void
hundred_writes_at_once_are_decided(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    char value[16];
    for (uint32_t p = 0; p < 100; p++) {
        snprintf(value, sizeof(value), "%u", p);
        call(h, p, SKEIN_LINEAR_APPEND, value);
    }
    for (size_t op = 0; op < 100; op++)
        wrote(h, op);
    done(h, call(h, 1, SKEIN_LINEAR_READ, NULL), "nothing of this");
    verdict_is(h, SKEIN_LINEAR_VIOLATION);
}

static bool
stops(void *owner)
{
    return true;
}

static void
limits_give_undecided(void **state)
{
    struct skein_linear_history *h = skein_linear_open(0);
    for (int i = 0; i < 20; i++)
        wrote(h, call(h, 1, SKEIN_LINEAR_ADD, "1"));
    struct skein_linear_options options = {.step_count_max = 3};
    assert_int_equal(skein_linear_check(h, &options, NULL), SKEIN_LINEAR_UNDECIDED);
    options = (struct skein_linear_options){.memory_bytes_max = 100};
    assert_int_equal(skein_linear_check(h, &options, NULL), SKEIN_LINEAR_UNDECIDED);
    options = (struct skein_linear_options){.stop = stops};
    skein_linear_ok(h, skein_linear_call(h, 1, SKEIN_LINEAR_WRITE, V("l"), V("a"), NOTHING, 0),
                    false, NOTHING, 0);
    assert_int_equal(skein_linear_check(h, &options, NULL), SKEIN_LINEAR_UNDECIDED);
    skein_linear_close(h);
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
            !model_step(skein_linear_model_find("store"), values, &ops[i], at, &after))
            continue;
        if (brute(values, ops, count, done_bits | 1u << i, after))
            return true;
    }
    return false;
}

/* PLAIN: only what is read, written and appended, and writes that tell nothing. FRAMED: and what is
 * read can be cut up in one way only. */
enum mode { EVERY_KIND, PLAIN, FRAMED };

static struct skein_linear_history *
draw_history(uint64_t seed, enum mode mode)
{
    static const char *const bare[] = {"0", "1", "2", "", "12", "01", "120"};
    static const char *const framed[] = {"<0>", "<1>", "<2>", "", "<1><2>", "<0><1>", "<1><2><0>"};
    const char *const *small = mode == FRAMED ? framed : bare;
    bool plain = mode != EVERY_KIND;
    static const enum skein_linear_kind plain_kinds[] = {SKEIN_LINEAR_READ, SKEIN_LINEAR_WRITE,
                                                         SKEIN_LINEAR_APPEND, SKEIN_LINEAR_READ};
    struct prng prng;
    prng_init(&prng, seed);
    struct skein_linear_history *h = skein_linear_open(0);
    size_t open[4];
    enum skein_linear_kind kinds[4];
    bool busy[4] = {false};
    uint32_t processes = 2 + (uint32_t)(seed % 3);
    while (skein_linear_op_count(h) < 9) {
        uint32_t p = (uint32_t)prng_below(&prng, processes);
        if (!busy[p]) {
            kinds[p] = plain ? plain_kinds[prng_below(&prng, seed % 2 ? 4 : 2)]
                             : (enum skein_linear_kind)prng_below(&prng, SKEIN_LINEAR_KIND_COUNT);
            const char *arg = small[prng_below(&prng, 3)], *arg2 = small[prng_below(&prng, 3)];
            open[p] = skein_linear_call(h, p, kinds[p], V("k"), V(arg), V(arg2), 0);
            busy[p] = true;
            continue;
        }
        uint64_t how = prng_below(&prng, 10);
        const char *seen = small[prng_below(&prng, plain ? 7 : 5)];
        bool absent = prng_chance(&prng, 1, 4);
        bool observed = plain ? kinds[p] == SKEIN_LINEAR_READ && how < 9 : how < 7;
        if (how < 1)
            skein_linear_fail(h, open[p]);
        else if (how < 3)
            skein_linear_unknown(h, open[p]);
        else
            skein_linear_ok(h, open[p], observed, absent ? NOTHING : V(seen), 0);
        busy[p] = false;
    }
    return h;
}

static void
random_histories_agree_with_brute_force(void **state)
{
    for (enum mode mode = EVERY_KIND; mode <= FRAMED; mode++) {
        unsigned violations = 0, fine = 0;
        for (uint64_t seed = 1; seed <= 8000; seed++) {
            struct skein_linear_history *h = draw_history(seed, mode);
            enum skein_linear_verdict got = skein_linear_check(h, NULL, NULL);
            bool wanted = brute(&h->values, h->ops, h->op_count, 0, VALUE_ABSENT);
            if ((got == SKEIN_LINEAR_OK) != wanted)
                fail_msg("mode %d, seed %llu: the search says %d", (int)mode,
                         (unsigned long long)seed, (int)got);
            *(wanted ? &fine : &violations) += 1;
            skein_linear_close(h);
        }
        assert_true(fine > 300);
        assert_true(violations > 300);
    }
}

/* What is shown as the smallest part is a violation, and each of it is needed. */
static void
smallest_part_is_needed(void **state)
{
    struct skein_linear_options options = {.explain = true};
    unsigned shown = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct skein_linear_history *h = draw_history(seed, (enum mode)(seed % 3));
        struct skein_linear_result result;
        skein_linear_check(h, &options, &result);
        for (size_t without = 0; without <= result.op_count && result.op_count > 0; without++) {
            struct op ops[9];
            memcpy(ops, h->ops, sizeof(ops));
            for (size_t i = 0; i < h->op_count; i++) {
                bool kept = false;
                for (size_t k = 0; k < result.op_count; k++)
                    kept = kept || (result.ops[k] == i && k != without);
                if (kept || ops[i].end != OP_OK)
                    continue;
                /* What only looked is not there, the others may or may not be. */
                bool looks = model_observes(skein_linear_model_find("store"), &h->values, &ops[i]);
                ops[i].end = looks ? OP_FAILED : OP_OPEN;
                ops[i].has_observed = false;
            }
            bool fits = brute(&h->values, ops, h->op_count, 0, VALUE_ABSENT);
            assert_true(fits == (without < result.op_count));
            shown++;
        }
        skein_linear_result_deinit(&result);
        skein_linear_close(h);
    }
    assert_true(shown > 300);
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
        cmocka_unit_test(smallest_part_is_found),
        cmocka_unit_test(user_model_is_checked),
        cmocka_unit_test(hundred_writes_at_once_are_decided),
        cmocka_unit_test(limits_give_undecided),
        cmocka_unit_test(random_histories_agree_with_brute_force),
        cmocka_unit_test(smallest_part_is_needed),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
