/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mailbox.h"

#include <string.h>

#include "base/mem.h"
#include "skein/call.h"

struct mailbox_ring *
mailbox_ring_open(void)
{
    struct mailbox_ring *ring = mem_alloc_aligned(128, sizeof(*ring));
    memset(ring, 0, sizeof(*ring));
    return ring;
}

void
mailbox_ring_close(struct mailbox_ring *ring)
{
    mem_free(ring);
}

static void
write_slot(struct mailbox_ring *ring, uint64_t position, const struct mailbox_item *item)
{
    struct mailbox_item *slot = &ring->slots[position % MAILBOX_SLOT_COUNT];
    uint64_t stamp = mailbox_lap(position) << 8 | item->stamp;
    __atomic_store_n(&slot->word, item->word, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->arg, item->arg, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->tag, item->tag, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->stamp, stamp, __ATOMIC_RELEASE);
}

uint32_t
mailbox_flush(struct mailbox_out *out)
{
    if (MAILBOX_SLOT_COUNT - (out->tail - out->reclaimed) < out->batch_count)
        mailbox_reclaim(out);
    uint64_t room = MAILBOX_SLOT_COUNT - (out->tail - out->reclaimed);
    uint32_t count = room < out->batch_count ? (uint32_t)room : out->batch_count;
    for (uint32_t i = count; i-- > 0;) {
        if (out->batch[i].stamp == MAILBOX_MESSAGE)
            out->home_count++;
        write_slot(out->ring, out->tail + i, &out->batch[i]);
    }
    out->tail += count;
    out->batch_count -= count;
    if (out->batch_count > 0 && count > 0)
        memmove(out->batch, out->batch + count, out->batch_count * sizeof(out->batch[0]));
    return count;
}

uint32_t
mailbox_reclaim(struct mailbox_out *out)
{
    uint64_t head = __atomic_load_n(&out->ring->head, __ATOMIC_ACQUIRE);
    uint32_t count = (uint32_t)(head - out->reclaimed);
    skein_assert(count <= MAILBOX_SLOT_COUNT);
    /* A message that goes home may push, flush and reclaim: that moves `reclaimed`, too. */
    while ((int64_t)(head - out->reclaimed) > 0) {
        const struct mailbox_item *slot = &out->ring->slots[out->reclaimed++ % MAILBOX_SLOT_COUNT];
        if ((slot->stamp & 0xff) != MAILBOX_MESSAGE)
            continue;
        struct skein_message *message = slot->arg;
        out->home_count--;
        message->home(message);
    }
    return count;
}

static void
send_home(const struct mailbox_item *item)
{
    struct skein_message *message = item->arg;
    if ((item->stamp & 0xff) == MAILBOX_MESSAGE)
        message->home(message);
}

void
mailbox_abandon(struct mailbox_out *out)
{
    if (out->reclaimed != out->tail)
        mailbox_reclaim(out);
    while (out->reclaimed != out->tail)
        send_home(&out->ring->slots[out->reclaimed++ % MAILBOX_SLOT_COUNT]);
    out->home_count = 0;
    while (out->batch_count > 0)
        send_home(&out->batch[--out->batch_count]);
}
