/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the port for metrics answers every request, however malformed, with one answer or none,
 * keeps within its limits, and what it says passes the strict readers of the formats.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "base/wire.h"
#include "core/check.h"
#include "core/uring.h"
#include "kv/scrape.h"
#include "obs/metric_check.h"
#include "skein/fiber.h"
#include "skein/file.h"

#define SECOND_NS UINT64_C(1000000000)
#define GET "GET /metrics HTTP/1.1\r\n"

/* ---- requests without a connection ---- */

static void
requests_are_understood_or_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
        enum skein_metric_format format;
    } cases[] = {
        {GET "Host: x\r\n\r\n", 200, SKEIN_FORMAT_PROMETHEUS},
        {"GET /metrics HTTP/1.0\n\n", 200, SKEIN_FORMAT_PROMETHEUS},
        {"HEAD /metrics HTTP/1.1\r\n\r\n", 200, SKEIN_FORMAT_PROMETHEUS},
        {GET "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n\r\n", 200,
         SKEIN_FORMAT_OPENMETRICS},
        {GET "aCCEPT:text/plain, Application/OpenMetrics-Text\r\n\r\n", 200,
         SKEIN_FORMAT_OPENMETRICS},
        {"GET /metrics?format=json HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n", 200,
         SKEIN_FORMAT_JSON},
        {"GET /metrics?a=b&format=csv&c HTTP/1.1\r\n\r\n", 200, SKEIN_FORMAT_CSV},
        {"GET /metrics? HTTP/1.1\r\n\r\n", 200, SKEIN_FORMAT_PROMETHEUS},
        {"GET /metrics?format=xml HTTP/1.1\r\n\r\n", 400, 0},
        {"GET /metrics?format=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n", 400, 0},
        {"GET / HTTP/1.1\r\n\r\n", 404, 0},
        {"GET /metrics/ HTTP/1.1\r\n\r\n", 404, 0},
        {"GET http://x/metrics HTTP/1.1\r\n\r\n", 404, 0},
        {"POST /metrics HTTP/1.1\r\n\r\n", 405, 0},
        {"get /metrics HTTP/1.1\r\n\r\n", 405, 0},
        {"GET /metrics HTTP/2.0\r\n\r\n", 505, 0},
        {"GET /metrics HTTP/1.10\r\n\r\n", 505, 0},
        {"GET /metrics\r\n\r\n", 400, 0},
        {"GET  /metrics HTTP/1.1\r\n\r\n", 400, 0},
        {" /metrics HTTP/1.1\r\n\r\n", 400, 0},
        {"\r\n\r\n", 400, 0},
        {GET "no colon\r\n\r\n", 400, 0},
        {GET ": x\r\n\r\n", 400, 0},
        {GET " folded: x\r\n\r\n", 400, 0},
        {"\x16\x03\x01\x02\n\n", 400, 0}, /* a TLS hello */
    };
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct kv_scrape_request request;
        size_t bytes = strlen(cases[i].text);
        assert_true(kv_scrape_parse(cases[i].text, bytes, &request));
        if (request.status != cases[i].status)
            fail_msg("%s: %d", cases[i].text, request.status);
        if (request.status == 200)
            assert_int_equal(request.format, cases[i].format);
        assert_string_not_equal(kv_scrape_reason(request.status), "Error");
        /* What has not come whole is waited for. */
        for (size_t part = 0; part + 1 < bytes; part++) {
            bool ended = kv_scrape_parse(cases[i].text, part, &request);
            if (ended && memmem(cases[i].text, part, "\n\r\n", 3) == NULL &&
                memmem(cases[i].text, part, "\n\n", 2) == NULL)
                fail_msg("ended after %zu bytes: %s", part, cases[i].text);
        }
    }
}

static void
long_and_random_requests_end(void **state)
{
    char text[KV_SCRAPE_REQUEST_BYTES];
    struct kv_scrape_request request;
    struct prng random;
    memset(text, 'a', sizeof(text));
    assert_false(kv_scrape_parse(text, sizeof(text) - 1, &request));
    assert_true(kv_scrape_parse(text, sizeof(text), &request));
    assert_int_equal(request.status, 431);
    memcpy(text, GET, strlen(GET));
    assert_true(kv_scrape_parse(text, sizeof(text), &request));
    assert_int_equal(request.status, 431);
    prng_init(&random, 5);
    for (int i = 0; i < 20000; i++) {
        static const char pieces[] = "GET /metrics?format=json HTTP/1.1\r\n:,&\n\n";
        size_t bytes = (size_t)prng_range(&random, 0, 80);
        for (size_t k = 0; k < bytes; k++)
            text[k] = prng_chance(&random, 1, 10) ? (char)prng_next(&random)
                                                  : pieces[(k + i) % (sizeof(pieces) - 1)];
        if (kv_scrape_parse(text, bytes, &request))
            assert_true(request.status >= 200 && request.status <= 505);
    }
}

/* ---- with connections ---- */

struct fixture {
    struct check check;
    struct kv_scrape *scrape;
    struct skein_addr addr;
    uint64_t sample; /* a metric of our own */
    void (*body)(struct fixture *f);
};

static int
fixture_main(void *arg)
{
    static const struct skein_metric row = {"t_sample_total", "x\ny", SKEIN_COUNTER, 0, 8};
    struct fixture *f = arg;
    char why[512];
    struct skein_addr loopback = {.ip = {[10] = 255, [11] = 255, [12] = 127, [15] = 1}};
    struct skein_label label = {"l", "a\"b\n"};
    f->sample = 77;
    CHECK(&f->check, skein_metrics_add(skein_shard_metrics(), &f->sample, &row, 1, &label, 1) == 0);
    CHECK(&f->check, kv_scrape_open(&f->scrape, &loopback, why) == 0);
    f->addr = kv_scrape_addr(f->scrape);
    struct kv_scrape *second = NULL;
    CHECK(&f->check, kv_scrape_open(&second, &f->addr, why) == -EADDRINUSE);
    CHECK(&f->check, strstr(why, "--metrics") != NULL);
    f->body(f);
    kv_scrape_stop(f->scrape);
    skein_metrics_remove(skein_shard_metrics(), &f->sample);
    return 0;
}

static void
run(void (*body)(struct fixture *f))
{
    struct fixture f = {.body = body};
    struct backend *backend;
    struct skein_shard *shard;
    assert_int_equal(uring_open(&backend, 1), 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, fixture_main, &f), 0);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    uring_close(backend);
    assert_int_equal(f.check.failed_count, 0);
}

/* The whole answer to @request, ended by a zero; NULL: none. */
static char *
exchange(struct fixture *f, const char *request, size_t bytes, size_t *out_bytes)
{
    struct wire_writer answer = {0};
    uint64_t deadline_ns = skein_deadline_in(10 * SECOND_NS);
    int handle = skein_socket_connect(&f->addr, deadline_ns);
    CHECK(&f->check, handle >= 0);
    int rc = skein_socket_send(handle, request, bytes, deadline_ns);
    ssize_t n = rc < 0 ? rc : 1;
    while (n > 0) {
        char piece[4096];
        n = skein_socket_recv(handle, piece, sizeof(piece), deadline_ns);
        if (n > 0)
            wire_put_raw(&answer, piece, (size_t)n);
    }
    skein_close(handle);
    wire_put_u8(&answer, 0);
    *out_bytes = answer.count - 1;
    return (char *)answer.data;
}

static void
read_all_formats(struct fixture *f)
{
    for (int format = 0; format < SKEIN_FORMAT_COUNT; format++) {
        char request[128];
        size_t bytes;
        struct metric_check check = {0};
        int count = snprintf(request, sizeof(request), "GET /metrics?format=%s HTTP/1.1\r\n\r\n",
                             skein_format_name((enum skein_metric_format)format));
        char *answer = exchange(f, request, (size_t)count, &bytes);
        char *body = strstr(answer, "\r\n\r\n");
        CHECK(&f->check, strncmp(answer, "HTTP/1.1 200 OK\r\n", 17) == 0);
        CHECK(&f->check, body != NULL);
        body += 4;
        size_t body_bytes = bytes - (size_t)(body - answer);
        char length[64];
        snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", body_bytes);
        CHECK(&f->check, strstr(answer, length) != NULL);
        if (format <= SKEIN_FORMAT_OPENMETRICS)
            metric_check_prometheus(&check, body, body_bytes, format == SKEIN_FORMAT_OPENMETRICS);
        else if (format == SKEIN_FORMAT_JSON)
            metric_check_json(&check, body, body_bytes);
        else if (format == SKEIN_FORMAT_CSV)
            metric_check_csv(&check, body, body_bytes);
        else
            metric_check_influx(&check, body, body_bytes, true);
        if (check.why[0])
            fprintf(stderr, "%s: %s\n", skein_format_name((enum skein_metric_format)format),
                    check.why);
        CHECK(&f->check, check.why[0] == '\0');
        bool found = false, switches = false;
        for (size_t i = 0; i < check.count; i++) {
            found |= strcmp(check.lines[i], "t_sample_total{l=a\"b\n;} 77") == 0;
            switches |= strncmp(check.lines[i], "skein_fiber_switches_total{} ", 29) == 0;
        }
        CHECK(&f->check, found);
        CHECK(&f->check, switches);
        metric_check_deinit(&check);
        mem_free(answer);
    }
}

static void
refuse_strangers(struct fixture *f)
{
    size_t bytes;
    char *answer =
        exchange(f, "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 48, &bytes);
    CHECK(&f->check, strncmp(answer, "HTTP/1.1 405 Method Not Allowed\r\n", 33) == 0);
    CHECK(&f->check, strstr(answer, "Allow: GET, HEAD\r\n") != NULL);
    mem_free(answer);
    answer = exchange(f, "HEAD /metrics HTTP/1.1\r\n\r\n", 26, &bytes);
    CHECK(&f->check, strncmp(answer, "HTTP/1.1 200", 12) == 0);
    CHECK(&f->check, bytes > 4 && memcmp(answer + bytes - 4, "\r\n\r\n", 4) == 0);
    mem_free(answer);
    char big[3 * KV_SCRAPE_REQUEST_BYTES];
    memset(big, 'x', sizeof(big));
    answer = exchange(f, big, sizeof(big), &bytes);
    CHECK(&f->check, strncmp(answer, "HTTP/1.1 431", 12) == 0);
    mem_free(answer);
}

/* Eight that say nothing are borne with; the ninth is hung up on; when they go, all is well. */
static void
crowd(struct fixture *f)
{
    int handles[KV_SCRAPE_CONNS + 1];
    uint64_t deadline_ns = skein_deadline_in(10 * SECOND_NS);
    for (size_t i = 0; i < BASE_COUNT_OF(handles); i++) {
        handles[i] = skein_socket_connect(&f->addr, deadline_ns);
        CHECK(&f->check, handles[i] >= 0);
    }
    char byte;
    CHECK(&f->check, skein_socket_recv(handles[KV_SCRAPE_CONNS], &byte, 1, deadline_ns) <= 0);
    for (size_t i = 0; i < BASE_COUNT_OF(handles); i++)
        skein_close(handles[i]);
    size_t bytes = 0;
    bool served = false;
    for (int i = 0; i < 100 && !served; i++) {
        char *answer = exchange(f, GET "\r\n", strlen(GET) + 2, &bytes);
        served = strncmp(answer, "HTTP/1.1 200", 12) == 0;
        if (served)
            CHECK(&f->check, strstr(answer, "\nskein_scrape_refused_total 0\n") == NULL);
        mem_free(answer);
    }
    CHECK(&f->check, served);
}

static void
every_format_is_served(void **state)
{
    run(read_all_formats);
}

static void
strangers_are_refused(void **state)
{
    run(refuse_strangers);
}

static void
a_crowd_is_bounded(void **state)
{
    run(crowd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_understood_or_refused),
        cmocka_unit_test(long_and_random_requests_end),
        cmocka_unit_test(every_format_is_served),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(a_crowd_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
