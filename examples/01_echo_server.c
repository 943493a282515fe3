/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo server: a shard for each processor, a fiber for each connection. What a client sends
 * comes back; one that says nothing for a minute is closed. Ends at SIGTERM or Ctrl-C.
 *
 *     01_echo_server 127.0.0.1:7000
 */
#include <signal.h>
#include <stdio.h>

#include "skein/core.h"
#include "skein/listener.h"
#include "skein/process.h"

#define IDLE_NS 60000000000ull

static struct {
    struct skein_signals *signals;
    struct skein_endpoint listen;
} app;

static void
echo(void *arg, int client, const struct skein_addr *peer)
{
    char data[16384];
    ssize_t count;
    do {
        count = skein_socket_recv(client, data, sizeof(data), skein_deadline_in(IDLE_NS));
    } while (count > 0 && skein_socket_send(client, data, (size_t)count, SKEIN_NEVER) == 0);
}

static int
serve_until_signal(void *arg)
{
    struct skein_listener_options options = {.endpoint = app.listen, .serve = echo};
    struct skein_listener *listener;
    struct skein_signal signal;
    char text[SKEIN_ENDPOINT_TEXT_BYTES];
    int rc = skein_listener_start(&listener, &options);
    if (rc < 0) {
        fprintf(stderr, "01_echo_server: cannot listen: %s\n", skein_error_text(rc));
        return 1;
    }
    app.listen.addr.port = skein_listener_port(listener);
    printf("listening on %s\n", skein_net_format(&app.listen, text));
    fflush(stdout);
    rc = skein_signals_next(app.signals, &signal, SKEIN_NEVER);
    skein_listener_stop(listener);
    return rc < 0;
}

int
main(int argc, char **argv)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES] = "usage: 01_echo_server ADDRESS:PORT";
    int result = 1;
    int rc = argc == 2 ? skein_net_parse(argv[1], &app.listen, why) : -SKEIN_EINVALID;
    if (rc == 0)
        rc = skein_signals_open(&app.signals, (int[]){SIGTERM, SIGINT}, 2);
    if (rc == 0)
        rc = skein_runtime_run(&options, serve_until_signal, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "01_echo_server: %s: %s\n", skein_error_text(rc), why);
    skein_signals_close(app.signals);
    return result;
}
