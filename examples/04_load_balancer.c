/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP load balancer: each connection goes to the back end with the fewest, past those whose
 * breaker is open; both directions are passed on until both ends have ended. Ends at SIGTERM.
 *
 *     04_load_balancer 127.0.0.1:8000 127.0.0.1:9001 127.0.0.1:9002 ...
 */
#include <signal.h>
#include <stdio.h>

#include "skein/core.h"

#define BACKENDS_MAX 16
#define CONNECT_NS 1000000000ull
#define IDLE_NS 300000000000ull

static struct {
    struct skein_signals *signals;
    struct skein_balancer *balancer;
    struct skein_endpoint listen, backends[BACKENDS_MAX];
    struct skein_breaker breakers[BACKENDS_MAX];
} app;

static void
pass_on(void *arg)
{
    const int *pipe = arg; /* from, to */
    char data[16384];
    ssize_t n;
    do {
        n = skein_socket_recv(pipe[0], data, sizeof(data), skein_deadline_in(IDLE_NS));
    } while (n > 0 && skein_socket_send(pipe[1], data, (size_t)n, SKEIN_NEVER) == 0);
    (void)!skein_socket_shutdown(pipe[1]);
}

/* A connection to the best back end that answers; -1: none does. */
static int
connect_somewhere(struct skein_pick *pick)
{
    struct skein_target_id tried[BACKENDS_MAX];
    struct skein_ask ask = {.avoid = tried};
    while (skein_balancer_pick(app.balancer, &ask, pick, skein_now_ns()) == 0) {
        struct skein_breaker *breaker = &app.breakers[pick->target.value];
        struct skein_breaker_pass pass;
        if (skein_breaker_allow(breaker, &pass, skein_now_ns()) == 0) {
            int handle = skein_net_connect(&app.backends[pick->target.value], NULL,
                                           skein_deadline_in(CONNECT_NS));
            enum skein_outcome outcome = handle >= 0 ? SKEIN_OUTCOME_OK : SKEIN_OUTCOME_FAILED;
            skein_breaker_report(breaker, &pass, outcome, skein_now_ns());
            if (handle >= 0)
                return handle;
        }
        skein_balancer_done(app.balancer, pick, false, skein_now_ns());
        tried[ask.avoid_count++] = pick->target;
    }
    return -1;
}

static void
serve(void *arg, int client, const struct skein_addr *peer)
{
    struct skein_pick pick;
    int backend = connect_somewhere(&pick);
    if (backend < 0)
        return;
    int up[] = {client, backend}, down[] = {backend, client};
    struct skein_scope scope;
    skein_scope_init(&scope);
    if (skein_spawn(&scope, "up", pass_on, up, SKEIN_STACK_SMALL) == 0)
        pass_on(down);
    if (skein_cancelled())
        skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    skein_balancer_done(app.balancer, &pick, true, skein_now_ns());
    skein_close(backend);
}

static int
balance(void *arg)
{
    struct skein_listener_options options = {.endpoint = app.listen, .serve = serve};
    struct skein_listener *listener;
    struct skein_signal signal;
    char text[SKEIN_ENDPOINT_TEXT_BYTES];
    if (skein_listener_start(&listener, &options) < 0)
        return 1;
    app.listen.addr.port = skein_listener_port(listener);
    printf("listening on %s\n", skein_net_format(&app.listen, text));
    fflush(stdout);
    int rc = skein_signals_next(app.signals, &signal, SKEIN_NEVER);
    skein_listener_stop(listener);
    return rc < 0;
}

int
main(int argc, char **argv)
{
    static const struct skein_breaker_options breaking = SKEIN_BREAKER_OPTIONS_INIT;
    struct skein_balancer_options balancing = SKEIN_BALANCER_OPTIONS_INIT;
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES] = "usage: 04_load_balancer LISTEN BACKEND...";
    int result = 1, rc = argc < 3 || argc > 2 + BACKENDS_MAX ? -SKEIN_EINVALID : 0;
    options.shard_count = 1;
    balancing.kind = SKEIN_BALANCER_LEAST_CONNECTIONS;
    if (rc == 0 && (rc = skein_balancer_open(&app.balancer, &balancing)) == 0)
        rc = skein_net_parse(argv[1], &app.listen, why);
    for (uint32_t i = 0; rc == 0 && argv[2 + i]; i++) {
        rc = skein_net_parse(argv[2 + i], &app.backends[i], why);
        if (rc == 0 && (rc = skein_breaker_init(&app.breakers[i], &breaking, 0)) == 0)
            rc = skein_balancer_add(app.balancer, (struct skein_target_id){i}, 1);
    }
    if (rc == 0 && (rc = skein_signals_open(&app.signals, (int[]){SIGTERM}, 1)) == 0)
        rc = skein_runtime_run(&options, balance, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "04_load_balancer: %s: %s\n", skein_error_text(rc), why);
    skein_signals_close(app.signals);
    skein_balancer_close(app.balancer);
    return result;
}
