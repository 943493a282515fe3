/* SPDX-License-Identifier: Apache-2.0 */

/*
 * floor - what a replicated, synced write costs when nothing but the write is done.
 *
 *     client --256 bytes--> leader --256 bytes--> follower 1, follower 2
 *                             |                        |
 *                      4 KiB, synced            4 KiB, synced
 *                             |                        |
 *     client <----answer--- leader <----answer----  whichever is first
 *
 * Four processes joined by TCP over loopback. The leader hands the message to both followers before
 * its own write, and answers when it and one follower are durable. Each write is one block,
 * O_DIRECT | O_DSYNC, into a file that was filled with zeros before. Processes sleep in the kernel
 * whenever they wait, none is pinned. Nothing is parsed, checked or kept: no server that gives the
 * same promise over the same sockets is faster, so it is the measure for one client's median.
 *
 * It is not built on core/: it has to be what core/ is compared with.
 *
 *     floor [--count N] [--dir DIR]     prints {"count": N, "median_us": ..., "p99_us": ...}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOLLOWERS 2
#define MESSAGE_BYTES 256
#define BLOCK_BYTES 4096
#define WARMUP_COUNT 100
#define COUNT_MAX 100000

/* A message begins with its number; an answer is the number alone. */
struct message {
    uint64_t number;
    char value[MESSAGE_BYTES - sizeof(uint64_t)];
};

struct log_file {
    int fd;
    char *block; /* aligned for O_DIRECT */
};

/* One TCP connection: [0] is the end that asks, [1] the one that answers. */
struct pair {
    int end[2];
};

static void
fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct pair
pair_open(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t addr_bytes = sizeof(addr);
    struct pair pair;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&addr, &addr_bytes))
        fail("cannot listen on loopback");
    pair.end[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair.end[0] < 0 || connect(pair.end[0], (struct sockaddr *)&addr, sizeof(addr)) != 0)
        fail("cannot connect over loopback");
    pair.end[1] = accept(listener, NULL, NULL);
    if (pair.end[1] < 0)
        fail("cannot accept on loopback");
    for (int i = 0; i < 2; i++)
        if (setsockopt(pair.end[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
            fail("TCP_NODELAY");
    close(listener);
    return pair;
}

/* False when the other end hung up before the first byte. */
static int
read_all(int fd, void *to, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t got = read(fd, (char *)to + at, bytes - at);
        if (got == 0 && at == 0)
            return 0;
        if (got <= 0)
            fail("read");
        at += (size_t)got;
    }
    return 1;
}

static void
write_all(int fd, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t put = send(fd, (const char *)from + at, bytes - at, MSG_NOSIGNAL);
        if (put <= 0)
            fail("write");
        at += (size_t)put;
    }
}

/* A file of @block_count zeroed, synced blocks without a name. */
static struct log_file
log_open(const char *dir, int number, size_t block_count)
{
    struct log_file file;
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/floor-%d-%d", dir, (int)getpid(), number) >=
        (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        fail(dir);
    }
    file.block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    if (!file.block)
        fail("memory");
    memset(file.block, 0, BLOCK_BYTES);
    int plain = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (plain < 0)
        fail(path);
    for (size_t i = 0; i < block_count; i++)
        if (write(plain, file.block, BLOCK_BYTES) != BLOCK_BYTES)
            fail("cannot fill the file");
    if (fsync(plain) != 0)
        fail("fsync");
    struct statfs where;
    if (fstatfs(plain, &where) != 0)
        fail("fstatfs");
    close(plain);
    file.fd = open(path, O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC);
    int why = where.f_type == TMPFS_MAGIC ? EINVAL : errno;
    unlink(path);
    errno = why;
    if (file.fd < 0 || where.f_type == TMPFS_MAGIC)
        fail("O_DIRECT (--dir has to be on a disk, not in memory)");
    return file;
}

static void
log_write(struct log_file *file, const struct message *message)
{
    memcpy(file->block, message, sizeof(*message));
    if (pwrite(file->fd, file->block, BLOCK_BYTES, (off_t)(message->number * BLOCK_BYTES)) !=
        BLOCK_BYTES)
        fail("cannot write the block");
}

static void
run_follower(int leader, struct log_file *file)
{
    struct message message;
    while (read_all(leader, &message, sizeof(message))) {
        log_write(file, &message);
        write_all(leader, &message.number, sizeof(message.number));
    }
}

/* Sleeps until one follower has answered for @number; older answers are late ones. */
static void
wait_one(const int followers[FOLLOWERS], uint64_t number)
{
    struct pollfd wanted[FOLLOWERS];
    for (int i = 0; i < FOLLOWERS; i++)
        wanted[i] = (struct pollfd){.fd = followers[i], .events = POLLIN};
    for (;;) {
        if (poll(wanted, FOLLOWERS, -1) <= 0)
            fail("poll");
        for (int i = 0; i < FOLLOWERS; i++) {
            uint64_t answer;
            if (!wanted[i].revents)
                continue;
            if (!read_all(followers[i], &answer, sizeof(answer))) {
                errno = ECONNRESET;
                fail("a follower ended");
            }
            if (answer == number)
                return;
        }
    }
}

static void
run_leader(int client, const int followers[FOLLOWERS], struct log_file *file)
{
    struct message message;
    while (read_all(client, &message, sizeof(message))) {
        for (int i = 0; i < FOLLOWERS; i++)
            write_all(followers[i], &message, sizeof(message));
        log_write(file, &message);
        wait_one(followers, message.number);
        write_all(client, &message.number, sizeof(message.number));
    }
    /* The slower follower's last answers are still to come: hang up after them. */
    for (int i = 0; i < FOLLOWERS; i++) {
        uint64_t answer;
        shutdown(followers[i], SHUT_WR);
        while (read_all(followers[i], &answer, sizeof(answer)))
            ;
    }
}

/* Forks leader and followers; each keeps only its own ends, so that one's end is seen by all. */
static int
start(const char *dir, size_t block_count)
{
    struct pair client = pair_open(), link[FOLLOWERS];
    int followers[FOLLOWERS];
    for (int i = 0; i < FOLLOWERS; i++) {
        link[i] = pair_open();
        followers[i] = link[i].end[0];
    }
    for (int node = 0; node <= FOLLOWERS; node++) {
        struct log_file file = log_open(dir, node, block_count);
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            close(client.end[0]);
            if (node > 0)
                close(client.end[1]);
            for (int i = 0; i < FOLLOWERS; i++) {
                if (node > 0)
                    close(link[i].end[0]);
                if (node != i + 1)
                    close(link[i].end[1]);
            }
            if (node == 0)
                run_leader(client.end[1], followers, &file);
            else
                run_follower(link[node - 1].end[1], &file);
            _exit(0);
        }
        close(file.fd);
        free(file.block);
    }
    close(client.end[1]);
    for (int i = 0; i < FOLLOWERS; i++) {
        close(link[i].end[0]);
        close(link[i].end[1]);
    }
    return client.end[0];
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
ask(int leader, uint64_t number)
{
    struct message message = {.number = number};
    uint64_t answer, begin_ns = now_ns();
    memset(message.value, 'x', sizeof(message.value));
    write_all(leader, &message, sizeof(message));
    if (!read_all(leader, &answer, sizeof(answer)) || answer != number) {
        errno = EPROTO;
        fail("the leader did not answer");
    }
    return now_ns() - begin_ns;
}

static int
compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void
usage(void)
{
    fprintf(stderr, "usage: floor [--count 1..%d] [--dir DIR]\n", COUNT_MAX);
    exit(64);
}

int
main(int argc, char **argv)
{
    const char *dir = ".";
    unsigned long count = 2000;
    for (int i = 1; i < argc; i += 2) {
        char no_number[] = "", *end = no_number;
        if (i + 1 == argc)
            usage();
        if (strcmp(argv[i], "--count") == 0)
            count = strtoul(argv[i + 1], &end, 10);
        else if (strcmp(argv[i], "--dir") == 0)
            dir = argv[i + 1];
        else
            usage();
        if (*end != '\0' || count < 1 || count > COUNT_MAX)
            usage();
    }
    uint64_t *took_ns = calloc(count, sizeof(*took_ns));
    if (!took_ns)
        fail("memory");
    int leader = start(dir, count + WARMUP_COUNT);
    for (uint64_t i = 0; i < WARMUP_COUNT; i++)
        ask(leader, i);
    for (uint64_t i = 0; i < count; i++)
        took_ns[i] = ask(leader, WARMUP_COUNT + i);
    close(leader);
    int status, failed = 0;
    while (wait(&status) > 0)
        failed |= status;
    qsort(took_ns, count, sizeof(*took_ns), compare);
    printf("{\"count\": %lu, \"median_us\": %.1f, \"p99_us\": %.1f}\n", count,
           (double)took_ns[count / 2] / 1e3, (double)took_ns[count * 99 / 100] / 1e3);
    free(took_ns);
    return failed ? 1 : 0;
}
