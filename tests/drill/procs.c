/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drill/procs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/nodes.h"
#include "base/wire.h"
#include "skein/shard.h"

static bool
port_is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool is_free = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    close(fd);
    return is_free;
}

int
procs_init(struct procs *procs, const char *skein, uint32_t count)
{
    skein_assert(count >= 1 && count <= PROCS_MAX);
    *procs = (struct procs){.skein = skein, .count = count};
    const char *tmp = getenv("TMPDIR");
    snprintf(procs->folder, sizeof(procs->folder), "%s/skein-drill-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(procs->folder))
        return -errno;
    for (uint32_t try = 0; try < 200; try++) {
        uint16_t base = (uint16_t)(20000 + (getpid() * 37u + try * 211u) % 11000);
        bool all = true;
        for (uint32_t n = 1; n <= count; n++)
            all = all && port_is_free((uint16_t)(base + n)) &&
                  port_is_free((uint16_t)(base + 100 + n));
        if (!all)
            continue;
        procs->base_port = base;
        size_t at = 0;
        for (uint32_t n = 1; n <= count; n++)
            at += (size_t)snprintf(procs->peers + at, sizeof(procs->peers) - at,
                                   "%s%u=127.0.0.1:%u", n > 1 ? "," : "", n, base + 100 + n);
        return 0;
    }
    return -EADDRINUSE;
}

int
procs_start(struct procs *procs, uint32_t n)
{
    skein_assert(procs->pid[n] == 0);
    char node[16], listen[32], data[300], log[300];
    snprintf(node, sizeof(node), "%u", n);
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", procs->base_port + n);
    snprintf(data, sizeof(data), "%s/node-%u", procs->folder, n);
    snprintf(log, sizeof(log), "%s/node-%u.log", procs->folder, n);
    const char *argv[40] = {procs->skein, "serve", "--node",   node,   "--peers",   procs->peers,
                            "--data",     data,    "--listen", listen, "--cluster", "drill"};
    size_t argc = 12;
    for (size_t i = 0; procs->extra[i]; i++)
        argv[argc++] = procs->extra[i];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (fd >= 0) {
            dup2(fd, STDERR_FILENO);
            dup2(fd, STDOUT_FILENO);
        }
        execv(procs->skein, (char *const *)argv);
        _exit(127);
    }
    procs->pid[n] = pid;
    return 0;
}

void
procs_kill(struct procs *procs, uint32_t n)
{
    if (!procs->pid[n])
        return;
    kill(procs->pid[n], SIGKILL);
    waitpid(procs->pid[n], NULL, 0);
    procs->pid[n] = 0;
}

void
procs_signal(struct procs *procs, uint32_t n, int signal)
{
    if (procs->pid[n])
        kill(procs->pid[n], signal);
}

int
procs_stop_all(struct procs *procs)
{
    int bad = 0;
    for (uint32_t n = 1; n <= procs->count; n++)
        procs_signal(procs, n, SIGTERM);
    for (uint32_t n = 1; n <= procs->count; n++) {
        int status = 0;
        if (!procs->pid[n])
            continue;
        waitpid(procs->pid[n], &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "drill: node %u ended with status 0x%x after SIGTERM\n", n, status);
            bad++;
        }
        procs->pid[n] = 0;
    }
    return bad;
}

static int
remove_tree(const char *path)
{
    char command[400];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command) == 0 ? 0 : -EIO;
}

int
procs_wipe(const struct procs *procs, uint32_t n)
{
    char data[300];
    skein_assert(procs->pid[n] == 0);
    snprintf(data, sizeof(data), "%s/node-%u", procs->folder, n);
    return remove_tree(data);
}

#define BLOCK_BYTES 4096

static bool
is_zero(const char *data, size_t count)
{
    return data[0] == 0 && memcmp(data, data + 1, count - 1) == 0;
}

/* A block says in which segment it is: in a file that was used before, older ones say another. */
static bool
is_live(const char block[BLOCK_BYTES], uint32_t number)
{
    return wire_load(block + 16, 4) == number;
}

/*
 * Visits the log's blocks that were ever written, in order. Without @last: finds the last one that
 * counts. With it: flips a bit in one of @one_in, but for the last, which nobody else knows of.
 */
static int
walk_log(const char *folder, uint32_t last, uint32_t one_in, struct prng *prng, uint32_t *out_last)
{
    char path[400], block[BLOCK_BYTES];
    uint32_t seen = 0;
    int hit = 0;
    for (uint32_t number = 1; number < 1000000; number++) {
        snprintf(path, sizeof(path), "%s/%08u.wal", folder, number);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 && seen == 0 && number < 10000)
            continue;
        if (fd < 0)
            break;
        for (off_t at = 0; pread(fd, block, sizeof(block), at) == BLOCK_BYTES; at += BLOCK_BYTES) {
            if (is_zero(block, sizeof(block)))
                continue;
            seen += at > 0; /* a header says nothing of what was promised */
            if (at > 0 && is_live(block, number))
                *out_last = seen;
            bool chosen = last && seen != last &&
                          (prng_below(prng, one_in) == 0 || (hit == 0 && seen == last / 2));
            if (!chosen)
                continue;
            uint64_t byte = prng_below(prng, BLOCK_BYTES);
            block[byte] ^= (char)(1u << prng_below(prng, 8));
            hit += pwrite(fd, &block[byte], 1, at + (off_t)byte) == 1;
        }
        close(fd);
    }
    return hit;
}

int
procs_damage(const struct procs *procs, uint32_t n, uint32_t one_in, struct prng *prng)
{
    char folder[300];
    uint32_t last = 0, again = 0;
    skein_assert(procs->pid[n] == 0);
    snprintf(folder, sizeof(folder), "%s/node-%u/wal", procs->folder, n);
    (void)walk_log(folder, 0, one_in, prng, &last);
    int hit = last > 2 ? walk_log(folder, last, one_in, prng, &again) : 0;
    return hit > 0 ? hit : -ENOENT;
}

uint32_t
procs_died(struct procs *procs, int *out_status)
{
    for (uint32_t n = 1; n <= procs->count; n++)
        if (procs->pid[n] && waitpid(procs->pid[n], out_status, WNOHANG) == procs->pid[n]) {
            procs->pid[n] = 0;
            return n;
        }
    return 0;
}

void
procs_deinit(struct procs *procs, bool keep)
{
    for (uint32_t n = 1; n <= procs->count; n++)
        procs_kill(procs, n);
    if (keep)
        fprintf(stderr, "drill: kept %s\n", procs->folder);
    else if (procs->folder[0])
        remove_tree(procs->folder);
}

struct skein_addr
procs_addr(const struct procs *procs, uint32_t n)
{
    struct skein_addr addr = {.port = (uint16_t)(procs->base_port + n)};
    const uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    memcpy(addr.ip, loopback, 16);
    return addr;
}

int64_t
procs_info(const struct procs *procs, uint32_t n, const char *key)
{
    struct skein_addr addr = procs_addr(procs, n);
    struct bytes text = {0};
    if (nodes_info(&addr, &text, skein_deadline_in(500000000)) < 0)
        return -1;
    int64_t value = (int64_t)nodes_number(text, key);
    bytes_unref(&text);
    return value;
}

uint32_t
procs_leader(const struct procs *procs)
{
    for (uint32_t n = 1; n <= procs->count; n++) {
        int64_t leader = procs->pid[n] ? procs_info(procs, n, "leader") : -1;
        if (leader > 0)
            return (uint32_t)leader;
    }
    return 0;
}
