/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whoever has nothing but skein/raft.h can run a group: elect, write, apply, restart from
 * what was written, read, change members, and be sent a snapshot; and bytes may be anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skein/raft.h>

#define NODES 4
#define LOG_MAX 64
#define BUS_MAX 4096

struct disk {
    struct skein_raft_hard_state hard_state;
    struct skein_raft_snapshot snapshot;
    struct skein_raft_entry entries[LOG_MAX]; /* data: the disk's own */
    size_t entry_count;
};

struct node {
    struct skein_raft *raft;
    struct disk disk;
    uint64_t sum; /* the state machine: of all bytes applied */
    uint64_t snapshot_sum;
    uint64_t read_index;
};

struct packet {
    uint64_t from, to, snapshot_index;
    uint8_t *data;
    size_t bytes;
};

struct group {
    struct node nodes[NODES + 1];
    struct packet bus[BUS_MAX];
    size_t bus_count;
};

static void
start(struct group *group, uint64_t id)
{
    struct node *node = &group->nodes[id];
    struct skein_raft_options options = {.id = id,
                                         .seed = id,
                                         .hard_state = node->disk.hard_state,
                                         .snapshot = node->disk.snapshot,
                                         .applied = node->disk.snapshot.index,
                                         .entries = node->disk.entries,
                                         .entry_count = node->disk.entry_count};
    node->sum = node->snapshot_sum;
    assert_int_equal(skein_raft_open(&node->raft, &options), 0);
}

static void
begin(struct group *group)
{
    memset(group, 0, sizeof *group);
    for (uint64_t id = 1; id <= NODES; id++) {
        struct skein_raft_members *members = &group->nodes[id].disk.snapshot.members;
        for (uint64_t m = 1; id <= 3 && m <= 3; m++) {
            members->ids[members->count] = m;
            members->roles[members->count++] = SKEIN_RAFT_VOTER;
        }
        start(group, id);
    }
}

static void
cut_disk(struct disk *disk, uint64_t from)
{
    while (disk->entry_count && disk->entries[disk->entry_count - 1].index >= from)
        free((void *)(uintptr_t)disk->entries[--disk->entry_count].data);
}

static void
end(struct group *group)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        skein_raft_close(group->nodes[id].raft);
        cut_disk(&group->nodes[id].disk, 0);
    }
    for (size_t i = 0; i < group->bus_count; i++)
        free(group->bus[i].data);
}

static void
write_disk(struct disk *disk, const struct skein_raft_ready *ready)
{
    if (ready->hard_state_changed)
        disk->hard_state = ready->hard_state;
    if (ready->snapshot.index) {
        cut_disk(disk, 0);
        disk->snapshot = ready->snapshot;
    }
    for (size_t i = 0; i < ready->entry_count; i++) {
        struct skein_raft_entry entry = ready->entries[i];
        cut_disk(disk, entry.index);
        void *data = malloc(entry.bytes + 1);
        if (entry.bytes)
            memcpy(data, entry.data, entry.bytes);
        entry.data = data;
        assert_true(disk->entry_count < LOG_MAX);
        disk->entries[disk->entry_count++] = entry;
    }
}

static void
apply(struct node *node, const struct skein_raft_entry *entry)
{
    const uint8_t *data = entry->data;
    for (size_t i = 0; entry->type == SKEIN_RAFT_ENTRY_NORMAL && i < entry->bytes; i++)
        node->sum += data[i];
    skein_raft_applied(node->raft, entry);
}

static void
take(struct group *group, uint64_t id)
{
    struct node *node = &group->nodes[id];
    struct skein_raft_ready ready;
    skein_raft_take(node->raft, &ready);
    for (size_t i = 0; i < ready.send_count; i++) {
        const struct skein_raft_send *send = &ready.sends[i];
        struct packet *packet = &group->bus[group->bus_count++];
        assert_true(group->bus_count < BUS_MAX);
        *packet =
            (struct packet){id, send->to, send->snapshot_index, malloc(send->bytes), send->bytes};
        memcpy(packet->data, send->data, send->bytes);
    }
    write_disk(&node->disk, &ready);
    if (ready.snapshot.index)
        node->sum = node->snapshot_sum;
    for (size_t i = 0; i < ready.apply_count; i++)
        apply(node, &ready.apply[i]);
    for (size_t i = 0; i < ready.read_count; i++)
        node->read_index = ready.reads[i].index;
    skein_raft_written(node->raft, ready.write);
    skein_raft_release(&ready);
    skein_raft_release(&ready);
}

static void
deliver(struct group *group, struct packet *packet)
{
    struct node *to = &group->nodes[packet->to], *from = &group->nodes[packet->from];
    if (packet->snapshot_index) {
        to->snapshot_sum = from->snapshot_sum;
        skein_raft_snapshot_sent(from->raft, packet->to, true);
    }
    if (to->raft)
        (void)!skein_raft_receive(to->raft, packet->from, packet->data, packet->bytes);
    free(packet->data);
}

static void
run(struct group *group)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (uint64_t id = 1; id <= NODES; id++)
            while (group->nodes[id].raft && skein_raft_has_ready(group->nodes[id].raft)) {
                take(group, id);
                moved = true;
            }
        for (size_t count = group->bus_count; count; count--, moved = true) {
            struct packet packet = group->bus[0];
            memmove(group->bus, group->bus + 1, --group->bus_count * sizeof packet);
            deliver(group, &packet);
        }
    }
}

static void
ticks(struct group *group, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t id = 1; id <= NODES; id++)
            if (group->nodes[id].raft)
                skein_raft_tick(group->nodes[id].raft);
        run(group);
    }
}

static struct skein_raft_status
status(const struct group *group, uint64_t id)
{
    struct skein_raft_status status;
    skein_raft_status(group->nodes[id].raft, &status);
    return status;
}

static void
propose(struct group *group, uint64_t id, uint8_t value)
{
    uint64_t index = 0, term = 0;
    assert_int_equal(skein_raft_propose(group->nodes[id].raft, &value, 1, &index, &term), 0);
    assert_true(index && term);
    run(group);
}

static void
test_group(void **state)
{
    static struct group group;
    begin(&group);
    skein_raft_campaign(group.nodes[1].raft);
    run(&group);
    assert_int_equal(status(&group, 1).role, SKEIN_RAFT_LEADER);
    propose(&group, 1, 7);
    propose(&group, 1, 35);
    ticks(&group, 2);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(group.nodes[id].sum, 42);
    uint64_t index, term;
    assert_int_equal(skein_raft_propose(group.nodes[2].raft, "x", 1, &index, &term),
                     -SKEIN_ENOTLEADER);
    assert_int_equal(skein_raft_read(group.nodes[2].raft, 5), 0);
    run(&group);
    assert_int_equal(group.nodes[2].read_index, 3);
    assert_int_equal(skein_raft_read_lease(group.nodes[1].raft, 5, &index), -SKEIN_EAGAIN);

    /* All of them, from what they wrote. */
    for (uint64_t id = 1; id <= 3; id++) {
        skein_raft_close(group.nodes[id].raft);
        start(&group, id);
    }
    ticks(&group, 40);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(group.nodes[id].sum, 42);
    end(&group);
}

static void
test_snapshot_and_members(void **state)
{
    static struct group group;
    begin(&group);
    skein_raft_campaign(group.nodes[1].raft);
    run(&group);
    propose(&group, 1, 40);
    struct node *one = &group.nodes[1];
    struct skein_raft_snapshot point;
    skein_raft_snapshot_point(one->raft, &point);
    assert_int_equal(point.index, 2);
    assert_int_equal(point.members.count, 3);
    one->snapshot_sum = one->sum;
    skein_raft_compact(one->raft, &point, 0);
    skein_raft_compact(one->raft, &point, 0);
    assert_int_equal(status(&group, 1).first_index, 3);

    uint64_t index, term;
    struct skein_raft_change change = {SKEIN_RAFT_ADD_LEARNER, 4};
    assert_int_equal(skein_raft_change(one->raft, &change, 0, &index, &term), -SKEIN_EINVALID);
    assert_int_equal(skein_raft_change(one->raft, &change, 1, &index, &term), 0);
    ticks(&group, 3);
    propose(&group, 1, 2);
    ticks(&group, 2);
    assert_int_equal(group.nodes[4].sum, 42);
    change.type = SKEIN_RAFT_ADD_VOTER;
    assert_int_equal(skein_raft_change(one->raft, &change, 1, &index, &term), 0);
    ticks(&group, 2);
    assert_int_equal(status(&group, 4).members.roles[3], SKEIN_RAFT_VOTER);
    assert_int_equal(skein_raft_transfer(one->raft, 4), 0);
    run(&group);
    assert_int_equal(status(&group, 4).role, SKEIN_RAFT_LEADER);
    propose(&group, 4, 1);
    assert_int_equal(group.nodes[4].sum, 43);
    end(&group);
}

static void
test_bytes_are_not_believed(void **state)
{
    static struct group group;
    begin(&group);
    struct skein_raft *one = group.nodes[1].raft;
    skein_raft_campaign(group.nodes[2].raft);
    take(&group, 2);
    assert_true(group.bus_count > 0);
    struct packet *packet = &group.bus[0];
    assert_int_equal(packet->to, 1);
    assert_int_equal(skein_raft_receive(one, 3, packet->data, packet->bytes), -SKEIN_EPROTO);
    for (size_t count = 0; count < packet->bytes; count++)
        assert_int_equal(skein_raft_receive(one, 2, packet->data, count), -SKEIN_EPROTO);
    for (size_t at = 0; at < packet->bytes * 8; at++) {
        packet->data[at / 8] ^= (uint8_t)(1 << at % 8);
        (void)!skein_raft_receive(one, 2, packet->data, packet->bytes);
        packet->data[at / 8] ^= (uint8_t)(1 << at % 8);
    }
    skein_raft_written(one, 77); /* never given */
    run(&group);
    ticks(&group, 60);
    propose(&group, status(&group, 3).leader, 5);
    end(&group);
}

static void
test_damaged_disk(void **state)
{
    struct skein_raft *raft;
    struct skein_raft_entry entry = {.term = 1, .index = 5};
    struct skein_raft_options options = {.id = 1, .entries = &entry, .entry_count = 1};
    assert_int_equal(skein_raft_open(&raft, &options), -SKEIN_ECORRUPT);
    entry = (struct skein_raft_entry){.term = 1, .index = 1, .type = 200};
    assert_int_equal(skein_raft_open(&raft, &options), -SKEIN_ECORRUPT);
    options = (struct skein_raft_options){0};
    assert_int_equal(skein_raft_open(&raft, &options), -SKEIN_EINVALID);
    skein_raft_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_snapshot_and_members),
        cmocka_unit_test(test_bytes_are_not_believed),
        cmocka_unit_test(test_damaged_disk),
    };
    return cmocka_run_group_tests_name("raft public", tests, NULL, NULL);
}
