/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is wrong on a command line or in the environment is refused and named; every row of
 * `skein serve` is read, from the flag and from the environment, and lands where it counts; the
 * defaults in the help are those of the layers below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/serve_config.h"

struct options {
    uint64_t big;
    uint32_t small;
    const char *text;
    bool on;
    struct skein_addr addr;
};

static const struct flags_row rows[] = {
    {"big-ms", "MS", "5", "", flags_parse_number, FLAGS_FIELD(struct options, big), 2, 100,
     1000000},
    {"small", "BYTES", "1K", "", flags_parse_bytes, FLAGS_FIELD(struct options, small), 1, 1 << 30},
    {"text", "T", NULL, "", flags_parse_text, FLAGS_FIELD(struct options, text), .max = 4,
     .required = true},
    {"on", NULL, NULL, "", flags_parse_switch, FLAGS_FIELD(struct options, on)},
    {"addr", "A", "127.0.0.1:1", "", flags_parse_address, FLAGS_FIELD(struct options, addr)},
};

static const struct flags_command command = {.name = "test",
                                             .usage = "--text T [ARGUMENT]",
                                             .summary = "a test",
                                             .rows = rows,
                                             .row_count = BASE_COUNT_OF(rows),
                                             .argument_max = 1};

/* Parse a line of words separated by spaces ("~" stands for an empty word). */
static enum flags_outcome
parse(const struct flags_command *of, const char *line, void *options, int *out_count)
{
    static char copy[4096];
    static char *argv[128];
    char **arguments;
    int argc = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        if (strcmp(word, "~") == 0)
            *word = '\0';
        argv[argc++] = word;
    }
    int count = 0;
    enum flags_outcome outcome = flags_parse(of, argc, argv, options, &arguments, &count);
    if (out_count)
        *out_count = count;
    return outcome;
}

static void
wrong_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "",                                       /* required flag absent */
        "--text",                                 /* value absent */
        "--text ~",                               /* empty */
        "--text=",                                /* empty */
        "--text abcde",                           /* too long */
        "--text a --nope 1",                      /* unknown */
        "--text a --bi 1",                        /* no abbreviations */
        "--text a --text b",                      /* twice */
        "--text a --on=1",                        /* a switch takes no value */
        "--text a x y",                           /* an argument too many */
        "--text a --big-ms 1",                    /* below */
        "--text a --big-ms 101",                  /* above */
        "--text a --big-ms -5",                   /* signs */
        "--text a --big-ms +5",                   /**/
        "--text a --big-ms 0x10",                 /* other bases */
        "--text a --big-ms 5.0",                  /**/
        "--text a --big-ms 5ms",                  /**/
        "--text a --big-ms ~",                    /**/
        "--text a --big-ms 18446744073709551617", /* wraps to 1 */
        "--text a --small 1k",                    /* lower case */
        "--text a --small 1KB",                   /**/
        "--text a --small K",                     /**/
        "--text a --small 2G",                    /* above */
        "--text a --small 18014398509481985K",    /* wraps to 1024 */
        "--text a --addr 127.0.0.1",              /* no port */
        "--text a --addr nowhere:1",              /* names */
    };
    for (size_t i = 0; i < BASE_COUNT_OF(lines); i++) {
        struct options options = {0};
        if (parse(&command, lines[i], &options, NULL) != FLAGS_USAGE)
            fail_msg("accepted: %s", lines[i]);
    }
}

static void
right_lines_fill_the_options(void **state)
{
    struct options options = {0};
    int count;
    assert_int_equal(parse(&command, "--text a", &options, &count), FLAGS_RUN);
    assert_int_equal(count, 0);
    assert_int_equal(options.big, 5000000);
    assert_int_equal(options.small, 1024);
    assert_false(options.on);
    assert_int_equal(options.addr.port, 1);
    assert_int_equal(parse(&command, "--text=ab -5 --on --big-ms=100 --small 3M", &options, &count),
                     FLAGS_RUN);
    assert_int_equal(count, 1);
    assert_string_equal(options.text, "ab");
    assert_true(options.on);
    assert_int_equal(options.big, 100000000);
    assert_int_equal(options.small, 3 << 20);
    assert_int_equal(parse(&command, "--text a -- --on", &options, &count), FLAGS_RUN);
    assert_int_equal(count, 1);
    assert_int_equal(parse(&command, "--nope --help", &options, NULL), FLAGS_HELP);
}

static void
the_environment_lies_between(void **state)
{
    struct options options = {0};
    setenv("SKEIN_BIG_MS", "7", 1);
    setenv("SKEIN_ON", "yes", 1);
    setenv("SKEIN_TEXT", "e", 1);
    assert_int_equal(parse(&command, "", &options, NULL), FLAGS_RUN);
    assert_int_equal(options.big, 7000000);
    assert_true(options.on);
    assert_int_equal(parse(&command, "--big-ms 8", &options, NULL), FLAGS_RUN);
    assert_int_equal(options.big, 8000000);
    setenv("SKEIN_BIG_MS", "", 1);
    assert_int_equal(parse(&command, "", &options, NULL), FLAGS_USAGE);
    setenv("SKEIN_BIG_MS", "1000", 1);
    assert_int_equal(parse(&command, "", &options, NULL), FLAGS_USAGE);
    unsetenv("SKEIN_BIG_MS");
    setenv("SKEIN_ON", "maybe", 1);
    assert_int_equal(parse(&command, "", &options, NULL), FLAGS_USAGE);
    unsetenv("SKEIN_ON");
    unsetenv("SKEIN_TEXT");
}

#define SERVE_LEAST "--node 1 --peers 1=127.0.0.1:7101,2=127.0.0.1:7102 --data d"

static void
serve_defaults(struct serve_config *config)
{
    /* Padding and pointers are compared too: begin from the same bytes. */
    memset(config, 0, sizeof(*config));
    kv_node_options_init(&config->node);
}

/* A value that is permitted and not the default, for each row. */
static const char *
another_value(const struct flags_row *row)
{
    static const struct {
        const char *name, *value;
    } special[] = {{"node", "2"},
                   {"peers", "1=127.0.0.1:9,2=127.0.0.1:8"},
                   {"listen", "127.0.0.1:9999"},
                   {"advertise", "127.0.0.1:9997"},
                   {"metrics", "127.0.0.1:9998"},
                   {"io-properties", "disk"},
                   {"log-level", "debug"},
                   {"backend", "poll"},
                   {"store", "lmdb"},
                   {"snapshot-sends-max", "3"},
                   {"scrub-hours", "5"},
                   {"allow-plaintext", "1"},
                   {"data", "elsewhere"},
                   {"cluster", "other"}};
    static char text[32];
    for (size_t i = 0; i < BASE_COUNT_OF(special); i++)
        if (strcmp(row->name, special[i].name) == 0)
            return special[i].value;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)row->min + 1);
    return text;
}

static void
every_row_of_serve_is_read(void **state)
{
    for (size_t i = 0; i < serve_command.row_count; i++) {
        const struct flags_row *row = &serve_command.rows[i];
        struct serve_config plain, by_env;
        char line[512] = "", env_name[64], *argv[8];
        static const char *const least[][2] = {
            {"node", "--node=1"},
            {"peers", "--peers=1=127.0.0.1:7101,2=127.0.0.1:7102"},
            {"data", "--data=d"}};
        char **arguments;
        int count, argc = 0;
        serve_defaults(&plain);
        serve_defaults(&by_env);
        assert_int_equal(parse(&serve_command, SERVE_LEAST, &plain, NULL), FLAGS_RUN);
        setenv(flags_env_name(row, env_name), another_value(row), 1);
        for (size_t k = 0; k < BASE_COUNT_OF(least); k++)
            if (strcmp(least[k][0], row->name) != 0)
                argv[argc++] = (char *)least[k][1];
        assert_int_equal(flags_parse(&serve_command, argc, argv, &by_env, &arguments, &count),
                         FLAGS_RUN);
        unsetenv(env_name);
        snprintf(line, sizeof(line), "row %s", row->name);
        if (memcmp((char *)&plain + row->field_offset, (char *)&by_env + row->field_offset,
                   row->field_bytes) == 0)
            fail_msg("%s changes nothing", line);
    }
}

static void
serves_defaults_are_the_layers(void **state)
{
    struct kv_node_options layers;
    struct serve_config config;
    serve_defaults(&config);
    kv_node_options_init(&layers);
    assert_int_equal(parse(&serve_command, SERVE_LEAST, &config, NULL), FLAGS_RUN);
    const struct kv_node_options *node = &config.node;
    assert_int_equal(node->replica.tick_ns, layers.replica.tick_ns);
    assert_int_equal(node->replica.election_ticks, layers.replica.election_ticks);
    assert_int_equal(node->replica.segment_bytes, layers.replica.segment_bytes);
    assert_int_equal(node->replica.checkpoint_log_bytes, layers.replica.checkpoint_log_bytes);
    assert_int_equal(node->replica.keep_log_bytes, layers.replica.keep_log_bytes);
    assert_int_equal(node->replica.checkpoint_entries, layers.replica.checkpoint_entries);
    assert_int_equal(node->replica.checkpoint_interval_ns, layers.replica.checkpoint_interval_ns);
    assert_int_equal(node->replica.checkpoints_kept, layers.replica.checkpoints_kept);
    assert_int_equal(node->replica.catchup_log_bytes, layers.replica.catchup_log_bytes);
    assert_int_equal(node->replica.snapshot_bytes_per_second,
                     layers.replica.snapshot_bytes_per_second);
    assert_int_equal(node->replica.scrub_period_ns, layers.replica.scrub_period_ns);
    assert_int_equal(node->replica.snapshot_sends_max, layers.replica.snapshot_sends_max);
    assert_int_equal(node->replica.pending_bytes_max, layers.replica.pending_bytes_max);
    assert_int_equal(node->replica.command_bytes_max, layers.replica.command_bytes_max);
    assert_int_equal(node->limits.key_bytes_max, layers.limits.key_bytes_max);
    assert_int_equal(node->limits.value_bytes_max, layers.limits.value_bytes_max);
    assert_int_equal(node->limits.reply_bytes_max, layers.limits.reply_bytes_max);
    assert_int_equal(node->command_timeout_ns, layers.command_timeout_ns);
    assert_int_equal(node->client_count_max, layers.client_count_max);
    assert_int_equal(node->query_bytes_max, layers.query_bytes_max);
    assert_int_equal(node->shutdown_timeout_ns, layers.shutdown_timeout_ns);
    assert_string_equal(node->replica.cluster_name, layers.replica.cluster_name);
}

static void
serve_refuses_wrong_peers(void **state)
{
    static const char *const lists[] = {
        "~",
        "1",
        "=127.0.0.1:1",
        "0=127.0.0.1:1",
        "65536=127.0.0.1:1",
        "-1=127.0.0.1:1",
        "01=127.0.0.1:1",
        "1x=127.0.0.1:1",
        "1=127.0.0.1",
        "1=127.0.0.1:0",
        "1=127.0.0.1:1,",
        ",1=127.0.0.1:1",
        "1=127.0.0.1:1,1=127.0.0.1:2",
        "1=127.0.0.1:1,2=127.0.0.1:1",
        "1=127.0.0.1:1,2=127.0.0.1:2,3=127.0.0.1:3,4=127.0.0.1:4,5=127.0.0.1:5,6=127.0.0.1:6,"
        "7=127.0.0.1:7,8=127.0.0.1:8,9=127.0.0.1:9,10=127.0.0.1:10,11=127.0.0.1:11,"
        "12=127.0.0.1:12,13=127.0.0.1:13,14=127.0.0.1:14,15=127.0.0.1:15,16=127.0.0.1:16",
    };
    for (size_t i = 0; i < BASE_COUNT_OF(lists); i++) {
        struct serve_config config;
        char line[1024];
        serve_defaults(&config);
        snprintf(line, sizeof(line), "--node 1 --data d --peers %s", lists[i]);
        if (parse(&serve_command, line, &config, NULL) != FLAGS_USAGE)
            fail_msg("accepted: %s", lists[i]);
    }
}

static void
serve_refuses_what_does_not_fit_together(void **state)
{
    static const struct {
        const char *line;
        bool good;
    } cases[] = {
        {SERVE_LEAST, true},
        {"--node 3 --peers 1=127.0.0.1:7101 --data d", false},
        {SERVE_LEAST " --listen 0.0.0.0:7001", false},
        {SERVE_LEAST " --listen 0.0.0.0:7001 --allow-plaintext", true},
        {"--node 1 --peers 1=10.0.0.1:7101 --data d", false},
        {"--node 1 --peers 1=10.0.0.1:7101 --data d --allow-plaintext", true},
        {SERVE_LEAST " --metrics 0.0.0.0:7201", false},
        {SERVE_LEAST " --metrics 127.0.0.1:7201", true},
        {SERVE_LEAST " --value-bytes-max 16M", false},
        {SERVE_LEAST " --value-bytes-max 16M --command-bytes-max 17M", true},
        {SERVE_LEAST " --query-bytes-max 1M", false},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct serve_config config;
        char why[256] = "";
        serve_defaults(&config);
        assert_int_equal(parse(&serve_command, cases[i].line, &config, NULL), FLAGS_RUN);
        int rc = serve_config_check(&config, why);
        if ((rc == 0) != cases[i].good)
            fail_msg("%s: %d %s", cases[i].line, rc, why);
        assert_true(rc == 0 || strstr(why, "--"));
    }
}

static void
leaders_are_named_and_ranked(void **state)
{
    static const char *const bad[] = {" --advertise 0.0.0.0:7001", " --advertise [::]:7001",
                                      " --advertise 10.0.0.1:0", " --advertise nowhere",
                                      " --priority 5"};
    struct serve_config config;
    char line[256];
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        serve_defaults(&config);
        snprintf(line, sizeof(line), SERVE_LEAST "%s", bad[i]);
        assert_int_equal(parse(&serve_command, line, &config, NULL), FLAGS_USAGE);
    }
    assert_int_equal(parse(&serve_command, SERVE_LEAST, &config, NULL), FLAGS_RUN);
    assert_int_equal(config.node.replica.election_rank, 0);
    assert_int_equal(config.node.advertise.port, 0);
    assert_int_equal(
        parse(&serve_command, SERVE_LEAST " --priority 0 --advertise 10.0.0.1:7001", &config, NULL),
        FLAGS_RUN);
    assert_int_equal(config.node.replica.election_rank, REPLICA_RANK_MAX);
    assert_int_equal(config.node.advertise.port, 7001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lines_are_refused),
        cmocka_unit_test(right_lines_fill_the_options),
        cmocka_unit_test(the_environment_lies_between),
        cmocka_unit_test(every_row_of_serve_is_read),
        cmocka_unit_test(leaders_are_named_and_ranked),
        cmocka_unit_test(serves_defaults_are_the_layers),
        cmocka_unit_test(serve_refuses_wrong_peers),
        cmocka_unit_test(serve_refuses_what_does_not_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
