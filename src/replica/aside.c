/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/aside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/file.h"

#define SUFFIX ".damaged"
#define REMEDY_ANEW                                                                               \
    "nothing was changed; move the data directory away and start the node again: the others let " \
    "it in anew and give it their state"
#define REMEDY_EITHER                                                                              \
    "nothing was changed; if other nodes have the data, move the directory away and start again; " \
    "if none has, restore a backup (skein snapshot restore)"

bool
aside_is_state(const struct replica_machine_ops *ops, const char *name)
{
    return strcmp(name, "wal") == 0 || strcmp(name, "groups") == 0 || strcmp(name, "repair") == 0 ||
           strncmp(name, "checkpoint-", 11) == 0 ||
           (ops->directory && strcmp(name, ops->directory) == 0);
}

static bool
is_aside(const char *name)
{
    size_t bytes = strlen(name), suffix = strlen(SUFFIX);
    return bytes > suffix && strcmp(name + bytes - suffix, SUFFIX) == 0;
}

/* As far as it is known: the log that tells all of it is damaged. */
static bool
has_other_voters(const struct host *host)
{
    bool others = host->identity.map.count > 1 || host->identity.state == GENESIS_JOINING;
    for (uint32_t i = 0; i < host->group_count; i++)
        others |= raft_config_count(&host->groups[i]->config, RAFT_VOTER | RAFT_OUTGOING) > 1;
    return others;
}

static int
refuse(char why[512], const char *reason, const char *remedy)
{
    size_t used = strlen(why);
    snprintf(why + used, 512 - used, " (not set aside: %s); %s", reason, remedy);
    return -SKEIN_EREFUSED;
}

static int
move(const struct host *host, const char *name)
{
    char from[4200], to[4200];
    snprintf(from, sizeof from, "%.4000s/%.150s", host->data_dir, name);
    snprintf(to, sizeof to, "%.4000s/%.150s" SUFFIX, host->data_dir, name);
    return skein_file_rename(from, to);
}

/* The log first: a start that comes in between finds it gone, and goes on here. */
static int
move_all(const struct host *host, const struct skein_names *names)
{
    int rc = move(host, "wal");
    if (rc == -ENOENT)
        rc = 0;
    for (size_t i = 0; i < names->count && rc == 0; i++) {
        const char *name = names->names[i];
        if (strcmp(name, "wal") != 0 && !is_aside(name) &&
            aside_is_state(host->options.machine_ops, name))
            rc = move(host, name);
    }
    return rc == 0 ? skein_file_sync_directory(host->data_dir) : rc;
}

static int
become_new(struct host *host, const struct skein_names *names)
{
    struct identity next;
    int rc = identity_write_aside(host->data_dir, &host->identity);
    if (rc == 0)
        rc = move_all(host, names);
    identity_draw(&next, host->identity.name, host->identity.node);
    next.group_count = host->identity.group_count;
    next.rejoined = true;
    return rc == 0 ? identity_write(host->data_dir, &next) : rc;
}

int
aside_take(struct host *host, char why[512])
{
    struct skein_names names = {0};
    bool done_before = false;
    if (host->identity.node == 0 || host->identity.state == GENESIS_UNBORN)
        return refuse(why, "its members are not known", REMEDY_EITHER);
    if (!has_other_voters(host))
        return refuse(why, "no other voter is known to have the data", REMEDY_EITHER);
    if (host->options.refuse_damaged)
        return refuse(why, "--refuse-damaged", REMEDY_ANEW);
    if (host->group_count > 1)
        return refuse(why, "it holds many groups", REMEDY_ANEW);
    int rc = skein_file_list(host->data_dir, &names);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names.count; i++)
        done_before |= host->identity.rejoined && is_aside(names.names[i]);
    if (done_before) {
        skein_names_deinit(&names);
        return refuse(why, "it was done before",
                      "look at the disk, and remove the *" SUFFIX " of that time");
    }
    obs_log(OBS_ERROR, "replica", "the damaged directory is set aside; this node joins anew",
            "node=%u raft_id=%" PRIx64 " why=\"%.400s\"", host->options.node,
            genesis_raft_id(host->identity.node, host->identity.incarnation), why);
    rc = become_new(host, &names);
    skein_names_deinit(&names);
    if (rc < 0)
        obs_log(OBS_ERROR, "replica", "it cannot be set aside", "node=%u error=%s",
                host->options.node, skein_error_name(rc));
    return rc;
}
