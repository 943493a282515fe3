/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "core/channel_internal.h"

int
skein_channel_init(struct skein_channel *channel, size_t item_bytes, size_t capacity)
{
    size_t bytes;
    skein_assert(item_bytes > 0);
    *channel = (struct skein_channel){.item_bytes = item_bytes, .capacity = capacity};
    list_init(&channel->senders);
    list_init(&channel->receivers);
    if (__builtin_mul_overflow(item_bytes, capacity, &bytes))
        return -SKEIN_EINVALID;
    if (capacity == 0)
        return 0;
    channel->items = mem_try_alloc(bytes);
    return channel->items ? 0 : -SKEIN_ENOMEM;
}

void
skein_channel_deinit(struct skein_channel *channel)
{
    if (channel->item_bytes > 0) {
        skein_assert(list_is_empty(&channel->senders));
        skein_assert(list_is_empty(&channel->receivers));
    }
    mem_free(channel->items);
    *channel = (struct skein_channel){0};
}

static char *
slot(const struct skein_channel *channel, size_t index)
{
    return channel->items + (channel->first + index) % channel->capacity * channel->item_bytes;
}

static struct skein_select_case *
first_of(struct skein_list *cases)
{
    return LIST_ENTRY(cases->next, struct skein_select_case, link);
}

static void
copy(const struct skein_channel *channel, void *to, const void *from)
{
    if (to)
        memcpy(to, from, channel->item_bytes);
}

static bool
try_send(struct skein_channel *channel, const void *item, int *out_result)
{
    *out_result = channel->closed ? -SKEIN_ECLOSED : 0;
    if (channel->closed)
        return true;
    if (!list_is_empty(&channel->receivers)) {
        struct skein_select_case *receiver = first_of(&channel->receivers);
        skein_assert(channel->count == 0);
        copy(channel, receiver->item, item);
        channel_happened(receiver, 0);
        return true;
    }
    if (channel->count == channel->capacity)
        return false;
    copy(channel, slot(channel, channel->count), item);
    channel->count++;
    return true;
}

static bool
try_recv(struct skein_channel *channel, void *out_item, int *out_result)
{
    struct skein_select_case *sender =
        list_is_empty(&channel->senders) ? NULL : first_of(&channel->senders);
    *out_result = 0;
    if (channel->count > 0) {
        copy(channel, out_item, slot(channel, 0));
        channel->first = (channel->first + 1) % channel->capacity;
        channel->count--;
        if (sender) {
            copy(channel, slot(channel, channel->count), sender->item);
            channel->count++;
        }
    } else if (sender) {
        skein_assert(channel->capacity == 0);
        copy(channel, out_item, sender->item);
    } else if (channel->closed) {
        *out_result = -SKEIN_ECLOSED;
    } else {
        return false;
    }
    if (sender)
        channel_happened(sender, 0);
    return true;
}

bool
channel_try(struct skein_select_case *one)
{
    skein_assert(one->channel->item_bytes > 0);
    return one->send ? try_send(one->channel, one->item, &one->result)
                     : try_recv(one->channel, one->item, &one->result);
}

int
skein_channel_send(struct skein_channel *channel, const void *item, uint64_t deadline_ns)
{
    struct skein_select_case one = {
        .channel = channel, .send = true, .item = (void *)(uintptr_t)item};
    int rc = skein_select(&one, 1, deadline_ns);
    return rc < 0 ? rc : one.result;
}

int
skein_channel_recv(struct skein_channel *channel, void *out_item, uint64_t deadline_ns)
{
    struct skein_select_case one = {.channel = channel, .item = out_item};
    int rc = skein_select(&one, 1, deadline_ns);
    return rc < 0 ? rc : one.result;
}

int
skein_channel_try_send(struct skein_channel *channel, const void *item)
{
    int result = 0;
    return try_send(channel, item, &result) ? result : -SKEIN_EAGAIN;
}

int
skein_channel_try_recv(struct skein_channel *channel, void *out_item)
{
    int result = 0;
    return try_recv(channel, out_item, &result) ? result : -SKEIN_EAGAIN;
}

void
skein_channel_close(struct skein_channel *channel)
{
    channel->closed = true;
    while (!list_is_empty(&channel->senders))
        channel_happened(first_of(&channel->senders), -SKEIN_ECLOSED);
    while (!list_is_empty(&channel->receivers))
        channel_happened(first_of(&channel->receivers), -SKEIN_ECLOSED);
}
