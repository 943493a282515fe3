/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of one register in the simulator: it crashes, is cut off, its disk is slow and fails;
 * and whatever it has acknowledged has to be there. "--bug" leaves out what makes a write durable.
 *     06_simulate [--bug]          seeds 1 to 20; exit status 1: one failed
 */
#include <stdio.h>
#include <string.h>

#include "skein/core.h"
#include "skein/linear.h"
#include "skein/sim.h"

#define SECOND 1000000000ull
#define PORT 7000

struct request {
    char what, value; /* what: 'r' or 'w' */
};

/* The program: it would run as it is on the real runtime, with another address. */
static void
serve_client(int client, int file, bool bug)
{
    struct request request;
    char answer;
    while (skein_socket_recv(client, &request, sizeof(request), skein_deadline_in(5 * SECOND)) ==
           2) {
        if (request.what == 'w' &&
            skein_file_pwrite(file, &request.value, 1, 0, bug ? 0 : SKEIN_FILE_DSYNC) < 0)
            return; /* nobody knows what is on the disk now: say nothing */
        if (skein_file_pread(file, &answer, 1, 0) != 1)
            answer = '-';
        if (skein_socket_send(client, &answer, 1, SKEIN_NEVER) < 0)
            return;
    }
}

static int
server(struct skein_sim *sim, uint32_t node, void *arg)
{
    struct skein_addr addr = skein_sim_addr(node, PORT);
    int listener = skein_socket_listen(&addr, 16);
    int file = skein_file_open("/register", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0644);
    if (listener < 0 || file < 0 || skein_file_sync_directory("/") < 0)
        return 1; /* it is started again */
    for (;;) {
        int client = skein_socket_accept(listener, &addr, SKEIN_NEVER);
        if (client < 0)
            return 1;
        serve_client(client, file, *(bool *)arg);
        (void)skein_close(client);
    }
}

/* Returns the answer; 0: nobody knows what became of it. */
static char
ask(const struct request *request)
{
    struct skein_addr addr = skein_sim_addr(1, PORT);
    char answer = 0;
    int handle = skein_socket_connect(&addr, skein_deadline_in(SECOND));
    if (handle < 0)
        return 0;
    if (skein_socket_send(handle, request, 2, skein_deadline_in(SECOND)) < 0 ||
        skein_socket_recv(handle, &answer, 1, skein_deadline_in(SECOND)) != 1)
        answer = 0;
    (void)skein_close(handle);
    return answer;
}

static int
client(struct skein_sim *sim, void *unused)
{
    struct skein_linear_history *history = skein_linear_open(0);
    struct skein_linear_options options = {.explain = true};
    struct skein_linear_result result;
    for (uint32_t i = 0; !skein_sim_calm(sim) || i % 50 != 0; i++) {
        bool read = skein_random() % 2;
        struct request request = {read ? 'r' : 'w', (char)('a' + i % 26)};
        struct skein_linear_value none = SKEIN_LINEAR_ABSENT, key = {"register", 8};
        struct skein_linear_value arg =
            read ? none : (struct skein_linear_value){&request.value, 1};
        enum skein_linear_kind kind = read ? SKEIN_LINEAR_READ : SKEIN_LINEAR_WRITE;
        size_t op = skein_linear_call(history, i, kind, key, arg, none, skein_now_ns());
        char answer = ask(&request);
        struct skein_linear_value seen = {answer == '-' ? NULL : &answer, 1};
        if (answer != 0)
            skein_linear_ok(history, op, read, seen, skein_now_ns());
        (void)skein_sleep(skein_deadline_in(skein_random() % (SECOND / 10)));
    }
    if (skein_linear_check(history, &options, &result) != SKEIN_LINEAR_OK)
        skein_sim_fail(sim, "an acknowledged write was lost, or a read was stale");
    skein_linear_print(history, &options, &result, stdout);
    skein_linear_result_deinit(&result);
    skein_linear_close(history);
    return 0;
}

int
main(int argc, char **argv)
{
    bool bug = argc > 1 && strcmp(argv[1], "--bug") == 0, failed = false;
    for (int seed = 1; seed <= 20; seed++) {
        struct skein_sim_result result;
        struct skein_sim_options options = {.seed = (uint64_t)seed,
                                            .node_count = 1,
                                            .arg = &bug,
                                            .node_main = server,
                                            .workload_main = client,
                                            .faults = SKEIN_SIM_FAULTS_USUAL};
        if (skein_sim_run(&options, &result) < 0)
            return 64;
        printf("seed %d: %s%s; %u crashes, trace %016llx\n", seed,
               result.verdict ? "failed: " : "passed", result.why, (unsigned)result.crashes,
               (unsigned long long)result.trace_hash);
        failed = failed || result.verdict != SKEIN_SIM_PASSED;
    }
    return failed;
}
