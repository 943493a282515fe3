/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/runtime.h"

#define IDLE_POLL_NS_BARE 200000u
#define IDLE_POLL_NS_VIRTUAL 2000000u

void
launch_meet(struct launch *launch)
{
    pthread_mutex_lock(&launch->lock);
    uint64_t meeting = launch->meeting;
    launch->arrived_count++;
    while (launch->meeting == meeting) {
        /* Whoever sees that all are there ends the meeting. */
        if (launch->meeting_count > 0 && launch->arrived_count == launch->meeting_count) {
            launch->arrived_count = 0;
            launch->meeting++;
            pthread_cond_broadcast(&launch->met);
            break;
        }
        pthread_cond_wait(&launch->met, &launch->lock);
    }
    pthread_mutex_unlock(&launch->lock);
}

int
launch_pin(struct placement_cpu cpu, int memory_node)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu.number, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        return -errno;
    if (memory_node >= 0) {
        unsigned long nodes = 1ul << memory_node;
        /* Refused (a container without the right): memory is where it is first touched. */
        (void)!syscall(SYS_set_mempolicy, MPOL_PREFERRED, &nodes, sizeof(nodes) * 8);
    }
    return 0;
}

void
launch_affinity_save(struct launch_affinity *affinity)
{
    affinity->known = sched_getaffinity(0, sizeof(affinity->cpus), &affinity->cpus) == 0;
    affinity->memory_known =
        syscall(SYS_get_mempolicy, &affinity->memory_mode, affinity->memory_nodes,
                sizeof(affinity->memory_nodes) * 8, NULL, 0) == 0;
}

void
launch_affinity_restore(const struct launch_affinity *affinity)
{
    if (affinity->known)
        (void)sched_setaffinity(0, sizeof(affinity->cpus), &affinity->cpus);
    if (affinity->memory_known)
        (void)!syscall(SYS_set_mempolicy, affinity->memory_mode, affinity->memory_nodes,
                       sizeof(affinity->memory_nodes) * 8);
}

static bool
is_virtual(void)
{
#if defined(__x86_64__)
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 31);
#else
    return false;
#endif
}

uint64_t
launch_idle_poll_ns(void)
{
    return is_virtual() ? IDLE_POLL_NS_VIRTUAL : IDLE_POLL_NS_BARE;
}

uint64_t
launch_preempted_count(void)
{
    struct rusage usage;
    skein_assert(getrusage(RUSAGE_THREAD, &usage) == 0);
    return (uint64_t)usage.ru_nivcsw;
}
