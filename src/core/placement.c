/* SPDX-License-Identifier: Apache-2.0 */
#include "core/placement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

#define TEXT_BYTES 16384

/* **Returns** bytes read (at most @size - 1), terminated; -errno. */
static int
read_text(const char *root, const char *path, char *text, size_t size)
{
    char whole[512];
    if ((size_t)snprintf(whole, sizeof(whole), "%s%s", root, path) >= sizeof(whole))
        return -ENAMETOOLONG;
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t count = 0;
    ssize_t n;
    do {
        n = read(fd, text + count, size - 1 - count);
        if (n > 0)
            count += (size_t)n;
    } while ((n > 0 && count < size - 1) || (n < 0 && errno == EINTR));
    int rc = n < 0 ? -errno : (int)count;
    close(fd);
    text[count] = '\0';
    return rc;
}

static const char *
parse_number(const char *at, unsigned *out_number, unsigned count_max)
{
    unsigned number = 0;
    if (*at < '0' || *at > '9')
        return NULL;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (unsigned)(*at - '0');
        if (number >= count_max)
            return NULL;
    }
    *out_number = number;
    return at;
}

int
placement_list_parse(const char *text, bool *out_set, unsigned count_max)
{
    int count = 0;
    memset(out_set, 0, count_max * sizeof(*out_set));
    const char *at = text + strspn(text, " \t");
    for (;; at++) {
        unsigned first = 0;
        at = parse_number(at, &first, count_max);
        unsigned last = first;
        if (at && *at == '-')
            at = parse_number(at + 1, &last, count_max);
        if (!at || last < first)
            return -SKEIN_EINVALID;
        for (unsigned i = first; i <= last; i++) {
            count += !out_set[i];
            out_set[i] = true;
        }
        if (*at != ',')
            break;
    }
    return at[strspn(at, " \t\n")] == '\0' ? count : -SKEIN_EINVALID;
}

static int
refuse(char why[SKEIN_WHY_BYTES], const char *root, const char *path, const char *what)
{
    snprintf(why, SKEIN_WHY_BYTES, "%s%s: %s", root, path, what);
    return -SKEIN_EINVALID;
}

/* The line "Cpus_allowed_list:\t0-1\n" of /proc/self/status. */
static int
read_allowed(const char *root, bool *allowed, char *text, char why[SKEIN_WHY_BYTES])
{
    static const char path[] = "/proc/self/status";
    static const char key[] = "Cpus_allowed_list:";
    int rc = read_text(root, path, text, TEXT_BYTES);
    if (rc < 0)
        return refuse(why, root, path, strerror(-rc));
    char *line = strstr(text, key);
    if (!line)
        return refuse(why, root, path, "no line Cpus_allowed_list");
    line += sizeof(key) - 1;
    line[strcspn(line, "\n")] = '\0';
    if (placement_list_parse(line, allowed, PLACEMENT_CPU_MAX) < 0)
        return refuse(why, root, path, "Cpus_allowed_list is no list of processors below 1024");
    return 0;
}

static int
narrow(bool *allowed, const char *cpus, char why[SKEIN_WHY_BYTES])
{
    bool wanted[PLACEMENT_CPU_MAX];
    if (placement_list_parse(cpus, wanted, PLACEMENT_CPU_MAX) < 0) {
        snprintf(why, SKEIN_WHY_BYTES, "cpus: \"%.100s\" is no list of processors like 0-3,8",
                 cpus);
        return -SKEIN_EINVALID;
    }
    for (unsigned i = 0; i < PLACEMENT_CPU_MAX; i++) {
        if (wanted[i] && !allowed[i]) {
            snprintf(why, SKEIN_WHY_BYTES,
                     "cpus: the process may not use processor %u (see taskset -p, cpuset)", i);
            return -SKEIN_EINVALID;
        }
        allowed[i] = wanted[i];
    }
    return 0;
}

/* The node of each processor; a machine without the files has one node. */
static int
read_nodes(const char *root, unsigned *nodes, char *text, char why[SKEIN_WHY_BYTES])
{
    static const char online_path[] = "/sys/devices/system/node/online";
    bool online[PLACEMENT_NODE_MAX];
    bool members[PLACEMENT_CPU_MAX];
    int rc = read_text(root, online_path, text, TEXT_BYTES);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 || placement_list_parse(text, online, PLACEMENT_NODE_MAX) < 0)
        return refuse(why, root, online_path, "no list of nodes below 64");
    for (unsigned node = 0; node < PLACEMENT_NODE_MAX; node++) {
        char path[80];
        if (!online[node])
            continue;
        snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node);
        rc = read_text(root, path, text, TEXT_BYTES);
        if (rc >= 0 && strspn(text, " \t\n") == (size_t)rc)
            continue; /* memory only */
        if (rc < 0 || placement_list_parse(text, members, PLACEMENT_CPU_MAX) < 0)
            return refuse(why, root, path, "no list of processors below 1024");
        for (unsigned i = 0; i < PLACEMENT_CPU_MAX; i++)
            if (members[i])
                nodes[i] = node;
    }
    return 0;
}

/* How many of the core's hardware threads come before this one. */
static int
read_thread(const char *root, unsigned number, unsigned *out_thread, char *text,
            char why[SKEIN_WHY_BYTES])
{
    bool siblings[PLACEMENT_CPU_MAX];
    char path[100];
    *out_thread = 0;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
             number);
    int rc = read_text(root, path, text, TEXT_BYTES);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 || placement_list_parse(text, siblings, PLACEMENT_CPU_MAX) < 0)
        return refuse(why, root, path, "no list of processors below 1024");
    for (unsigned i = 0; i < number; i++)
        *out_thread += siblings[i];
    return 0;
}

int
placement_read(struct placement *out_placement, const char *root, const char *cpus,
               char out_why[SKEIN_WHY_BYTES])
{
    char text[TEXT_BYTES];
    bool allowed[PLACEMENT_CPU_MAX];
    unsigned nodes[PLACEMENT_CPU_MAX] = {0};
    bool used[PLACEMENT_NODE_MAX] = {false};
    struct placement_cpu *cpu = out_placement->cpus;
    int rc = read_allowed(root, allowed, text, out_why);
    if (rc == 0 && cpus)
        rc = narrow(allowed, cpus, out_why);
    if (rc == 0)
        rc = read_nodes(root, nodes, text, out_why);
    for (unsigned i = 0; i < PLACEMENT_CPU_MAX && rc == 0; i++) {
        if (!allowed[i])
            continue;
        rc = read_thread(root, i, &cpu->thread, text, out_why);
        cpu->number = i;
        cpu->node = nodes[i];
        used[cpu->node] = true;
        cpu++;
    }
    if (rc < 0)
        return rc;
    out_placement->cpu_count = (unsigned)(cpu - out_placement->cpus);
    out_placement->node_count = 0;
    for (unsigned i = 0; i < PLACEMENT_NODE_MAX; i++)
        out_placement->node_count += used[i];
    skein_assert(out_placement->cpu_count > 0);
    return 0;
}

static int
by_thread_and_node(const void *left, const void *right)
{
    const struct placement_cpu *a = left;
    const struct placement_cpu *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

struct turned {
    unsigned turn; /* how many of its node and thread come before it */
    struct placement_cpu cpu;
};

static int
by_turn(const void *left, const void *right)
{
    const struct turned *a = left;
    const struct turned *b = right;
    if (a->cpu.thread != b->cpu.thread)
        return a->cpu.thread < b->cpu.thread ? -1 : 1;
    if (a->turn != b->turn)
        return a->turn < b->turn ? -1 : 1;
    return a->cpu.node < b->cpu.node ? -1 : a->cpu.node > b->cpu.node;
}

void
placement_order(struct placement *placement, bool spread)
{
    struct placement_cpu *cpus = placement->cpus;
    qsort(cpus, placement->cpu_count, sizeof(cpus[0]), by_thread_and_node);
    if (!spread)
        return;
    struct turned turned[PLACEMENT_CPU_MAX];
    for (unsigned i = 0; i < placement->cpu_count; i++) {
        bool same =
            i > 0 && cpus[i].node == cpus[i - 1].node && cpus[i].thread == cpus[i - 1].thread;
        turned[i] = (struct turned){.turn = same ? turned[i - 1].turn + 1 : 0, .cpu = cpus[i]};
    }
    qsort(turned, placement->cpu_count, sizeof(turned[0]), by_turn);
    for (unsigned i = 0; i < placement->cpu_count; i++)
        cpus[i] = turned[i].cpu;
}

int
placement_memory_node(const struct placement *placement, struct placement_cpu cpu)
{
    return placement->node_count > 1 ? (int)cpu.node : -1;
}
