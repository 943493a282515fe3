/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat room, for netcat: the first line is a name, the others go to everybody. Two fibers a
 * guest: one reads, one writes what comes through its channel. Who is too slow loses lines.
 *
 *     02_chat 127.0.0.1:7000
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "skein/core.h"
#include "skein/listener.h"
#include "skein/process.h"

enum { GUESTS_MAX = 100, LINE_BYTES = 256 };
struct guest {
    int handle;
    struct skein_channel lines; /* to be sent to it */
};

static struct {
    struct skein_signals *signals;
    struct skein_endpoint listen;
    struct guest *guests[GUESTS_MAX]; /* one shard: nobody else touches them */
} app;

static void
tell_all(const char *name, const char *text)
{
    char line[LINE_BYTES] = "";
    snprintf(line, sizeof(line), "%.40s%s\n", name, text);
    for (int i = 0; i < GUESTS_MAX; i++)
        if (app.guests[i]) /* a full channel loses the line */
            (void)!skein_channel_try_send(&app.guests[i]->lines, line);
}

static void
write_lines(void *arg)
{
    struct guest *guest = arg;
    char line[LINE_BYTES];
    while (skein_channel_recv(&guest->lines, line, SKEIN_NEVER) == 0 &&
           skein_socket_send(guest->handle, line, strlen(line), SKEIN_NEVER) == 0)
        ;
}

/* The next line without its end, cut off when too long. False: the guest has left. */
static bool
read_line(int handle, char text[LINE_BYTES])
{
    char c;
    for (size_t count = 0; skein_socket_recv(handle, &c, 1, SKEIN_NEVER) == 1;) {
        if (c == '\n') {
            text[count] = '\0';
            return true;
        }
        if (c != '\r' && count + 1 < LINE_BYTES - 50)
            text[count++] = c;
    }
    return false;
}

static void
serve(void *arg, int client, const struct skein_addr *peer)
{
    struct guest guest = {.handle = client};
    struct skein_scope scope;
    char name[LINE_BYTES], text[LINE_BYTES + 2] = ": ";
    int seat = 0;
    if (!read_line(client, name) || skein_channel_init(&guest.lines, LINE_BYTES, 64) < 0)
        return;
    while (app.guests[seat]) /* the listener admits no more than there are seats */
        seat++;
    skein_scope_init(&scope);
    if (skein_spawn(&scope, "writer", write_lines, &guest, SKEIN_STACK_SMALL) == 0) {
        app.guests[seat] = &guest;
        tell_all(name, " is here");
        while (read_line(client, text + 2))
            tell_all(name, text);
        app.guests[seat] = NULL;
        tell_all(name, " has left");
    }
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    skein_channel_deinit(&guest.lines);
}

static int
serve_until_signal(void *arg)
{
    struct skein_listener_options options = {.serve = serve, .live_count_max = GUESTS_MAX};
    struct skein_listener *listener;
    struct skein_signal signal;
    char text[SKEIN_ENDPOINT_TEXT_BYTES];
    options.endpoint = app.listen;
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
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES] = "usage: 02_chat ADDRESS:PORT";
    int result = 1, rc = argc == 2 ? skein_net_parse(argv[1], &app.listen, why) : -SKEIN_EINVALID;
    options.shard_count = 1;
    if (rc == 0 && (rc = skein_signals_open(&app.signals, (int[]){SIGTERM, SIGINT}, 2)) == 0)
        rc = skein_runtime_run(&options, serve_until_signal, NULL, &result, why);
    if (rc < 0)
        fprintf(stderr, "02_chat: %s: %s\n", skein_error_text(rc), why);
    skein_signals_close(app.signals);
    return result;
}
