/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a checkpoint file to the machine: at start, and beside the driver when a snapshot was taken
 * over. The driver goes on meanwhile; what is committed behind the snapshot waits here.
 */
#include "base/mem.h"
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

#include <inttypes.h>
#include <stdio.h>

struct source {
    struct replica_source base;
    struct checkpoint_reader *reader;
};

/* What a file says beside the machine's state. */
struct loaded {
    struct checkpoint_info info;
    struct roster roster;
};

struct load {
    struct raft_snapshot snapshot;
    struct loaded loaded;
    bool done;
    int result;
    char why[512];
    struct raft_entry *entries; /* committed behind it; the core hands out few before they are
                                   applied */
    size_t entry_count, entry_capacity;
};

static int
read_source(struct replica_source *base, void *data, size_t count)
{
    struct source *source = BASE_CONTAINER_OF(base, struct source, base);
    return checkpoint_read(source->reader, data, count);
}

/* The machine becomes what @path holds; the replica's own fields stay. */
static int
read_file(struct replica *replica, const char *path, struct loaded *out_loaded, char out_why[512])
{
    struct source source = {.base.read = read_source};
    struct checkpoint_info *info = &out_loaded->info;
    out_loaded->roster = (struct roster){0};
    int rc =
        checkpoint_open(&source.reader, path, replica->host->identity.map.cluster, info, out_why);
    if (rc < 0)
        return rc;
    if (info->note_bytes &&
        roster_decode(bytes_borrow(info->note, info->note_bytes), &out_loaded->roster) < 0) {
        snprintf(out_why, 512, "%.400s: its list of nodes makes no sense", path);
        checkpoint_close(source.reader);
        return -SKEIN_ECORRUPT;
    }
    rc = sessions_load(replica->sessions, replica->host->options.machine_ops, replica->machine,
                       &source.base);
    if (rc == 0)
        rc = checkpoint_finish(source.reader);
    if (rc < 0)
        snprintf(out_why, 512, "%s (the machine's state, %s)", checkpoint_reader_why(source.reader),
                 skein_error_name(rc));
    skein_shield(true);
    checkpoint_close(source.reader);
    skein_shield(false);
    return rc;
}

static void
take_over(struct replica *replica, const struct checkpoint_info *info, const struct roster *roster)
{
    replica->roster = *roster;
    replica->applied_index = info->snapshot.index;
    replica->applied_term = info->snapshot.term;
    replica->config = info->snapshot.config;
    if (info->time_ms > replica->log_time_ms)
        replica->log_time_ms = info->time_ms;
    if (info->time_ms > replica->stamp_time_ms)
        replica->stamp_time_ms = info->time_ms;
}

static void
note_checkpoint(struct replica *replica, uint64_t index)
{
    replica->checkpoint_index = index;
    replica->checkpoint_log_bytes = replica->log_bytes;
    replica->mark_count = 0;
}

void
load_stand_at(struct replica *replica, const struct checkpoint_info *info,
              const struct roster *roster)
{
    take_over(replica, info, roster);
    note_checkpoint(replica, info->snapshot.index);
}

int
load_at_start(struct replica *replica, const char *path, struct checkpoint_info *out_info,
              char out_why[512])
{
    struct loaded loaded;
    int rc = read_file(replica, path, &loaded, out_why);
    if (rc < 0)
        return rc;
    load_stand_at(replica, &loaded.info, &loaded.roster);
    replica->file_index = loaded.info.snapshot.index;
    *out_info = loaded.info;
    return persist_is_machines(replica) ? persist_take(replica, &loaded.info) : 0;
}

static void
drop_entries(struct load *load)
{
    for (size_t i = 0; i < load->entry_count; i++)
        bytes_unref(&load->entries[i].data);
    load->entry_count = 0;
}

void
load_drop(struct replica *replica)
{
    struct load *load = replica->load;
    if (!load)
        return;
    drop_entries(load);
    mem_free(load->entries);
    mem_free(load);
    replica->load = NULL;
}

void
load_begin(struct replica *replica, const struct raft_snapshot *snapshot)
{
    if (!replica->load)
        replica->load = mem_zalloc(sizeof *replica->load);
    struct load *load = replica->load;
    drop_entries(load); /* of one before, which it has overtaken */
    load->snapshot = *snapshot;
    load->done = false;
    note_checkpoint(replica, snapshot->index);
    replica->file_index = snapshot->index;
    snapshot_receive_signal(replica);
}

bool
load_wanted(const struct replica *replica)
{
    return replica->load && !replica->load->done;
}

void
load_run(struct replica *replica)
{
    struct load *load = replica->load;
    struct raft_snapshot snapshot = load->snapshot;
    char path[4096];
    while (replica->checkpoint_busy && !replica->host->ending)
        if (skein_wait(&replica->progress_wake, SKEIN_NEVER) < 0)
            return;
    checkpoint_path(replica->dir, snapshot.index, path, sizeof path);
    int rc = read_file(replica, path, &load->loaded, load->why);
    if (rc == 0 && persist_is_machines(replica))
        rc = persist_take(replica, &load->loaded.info);
    if (replica->host->ending || load->snapshot.index != snapshot.index)
        return;
    load->result = rc;
    load->done = true;
    replica_signal(replica);
}

bool
load_holds(struct replica *replica, const struct raft_entry *entries, size_t count)
{
    struct load *load = replica->load;
    if (!load)
        return false;
    for (size_t i = 0; i < count; i++) {
        mem_grow(&load->entries, &load->entry_capacity, load->entry_count, sizeof *load->entries);
        load->entries[load->entry_count] = entries[i];
        load->entries[load->entry_count++].data = bytes_ref(entries[i].data);
    }
    return true;
}

void
load_complete(struct replica *replica)
{
    struct load *load = replica->load;
    if (!load || !load->done)
        return;
    if (load->result < 0) {
        host_fail(replica->host, load->result, "%s", load->why);
        return;
    }
    uint64_t index = load->snapshot.index;
    take_over(replica, &load->loaded.info, &load->loaded.roster);
    skein_assert(replica->applied_index == index);
    apply_forget_proposals(replica, index);
    raft_applied(replica->raft, index);
    replica->counters.snapshots_installed++;
    obs_log(OBS_INFO, "replica", "snapshot installed", "node=%u index=%" PRIu64 " behind=%zu",
            replica->host->options.node, index, load->entry_count);
    members_sync_peers(replica->host);
    membership_refresh(replica);
    replica->load = NULL;
    apply_entries(replica, load->entries, load->entry_count);
    apply_reads(replica);
    drop_entries(load);
    mem_free(load->entries);
    mem_free(load);
    checkpoint_signal(replica);
}
