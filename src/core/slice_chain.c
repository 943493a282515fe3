/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "skein/bytes.h"

#define VIEW_COUNT_MAX_DEFAULT 1024

void
skein_chain_init(struct skein_chain *chain, size_t view_count_max)
{
    *chain = (struct skein_chain){.view_count_max =
                                      view_count_max ? view_count_max : VIEW_COUNT_MAX_DEFAULT};
}

void
skein_chain_deinit(struct skein_chain *chain)
{
    for (size_t i = 0; i < chain->view_count; i++)
        skein_bytes_unref(&chain->views[chain->first + i]);
    mem_free(chain->views);
    *chain = (struct skein_chain){.view_count_max = chain->view_count_max};
}

/* Room for @more views behind the last one. */
static int
make_room(struct skein_chain *chain, size_t more)
{
    if (more > chain->view_count_max - chain->view_count)
        return -SKEIN_ETOOBIG;
    if (chain->first + chain->view_count + more <= chain->view_capacity)
        return 0;
    if (chain->view_count > 0)
        memmove(chain->views, chain->views + chain->first,
                chain->view_count * sizeof(chain->views[0]));
    chain->first = 0;
    size_t wanted = chain->view_count + more;
    if (wanted * 2 <= chain->view_capacity)
        return 0;
    size_t capacity = wanted * 2 < 8 ? 8 : wanted * 2;
    struct skein_bytes *views = mem_try_realloc(chain->views, capacity * sizeof(views[0]));
    if (!views)
        return -ENOMEM;
    chain->views = views;
    chain->view_capacity = capacity;
    return 0;
}

static struct skein_bytes *
last_view(struct skein_chain *chain)
{
    return &chain->views[chain->first + chain->view_count - 1];
}

int
skein_chain_push(struct skein_chain *chain, struct skein_bytes bytes)
{
    size_t count = bytes.count;
    if (count == 0) {
        skein_bytes_unref(&bytes);
        return 0;
    }
    if (chain->view_count == 0 || !skein_bytes_join(last_view(chain), &bytes)) {
        int rc = make_room(chain, 1);
        if (rc < 0)
            return rc;
        chain->view_count++;
        *last_view(chain) = bytes;
    }
    chain->bytes += count;
    return 0;
}

/* How many views hold the first @count bytes, the last one perhaps in part. */
static size_t
views_of(const struct skein_chain *chain, size_t count)
{
    size_t n = 0;
    for (size_t seen = 0; n < chain->view_count && seen < count; n++)
        seen += chain->views[chain->first + n].count;
    return n;
}

static struct skein_bytes
take_front(struct skein_chain *chain, size_t count)
{
    struct skein_bytes *view = &chain->views[chain->first];
    struct skein_bytes front = skein_bytes_split(view, count);
    chain->bytes -= front.count;
    if (view->count == 0) {
        chain->first++;
        chain->view_count--;
    }
    return front;
}

int
skein_chain_split(struct skein_chain *chain, size_t count, struct skein_chain *out)
{
    skein_assert(out != chain);
    if (count > chain->bytes)
        count = chain->bytes;
    int rc = make_room(out, views_of(chain, count));
    if (rc < 0)
        return rc;
    while (count > 0) {
        struct skein_bytes front = take_front(chain, count);
        count -= front.count;
        rc = skein_chain_push(out, front);
        skein_assert(rc == 0);
    }
    return 0;
}

void
skein_chain_drop(struct skein_chain *chain, size_t count)
{
    if (count > chain->bytes)
        count = chain->bytes;
    while (count > 0) {
        struct skein_bytes front = take_front(chain, count);
        count -= front.count;
        skein_bytes_unref(&front);
    }
}

size_t
skein_chain_peek(const struct skein_chain *chain, size_t offset, void *out_data, size_t count)
{
    uint8_t *to = out_data;
    size_t copied = 0;
    for (size_t i = 0; i < chain->view_count && copied < count; i++) {
        const struct skein_bytes *view = &chain->views[chain->first + i];
        if (offset >= view->count) {
            offset -= view->count;
            continue;
        }
        size_t here = view->count - offset;
        if (here > count - copied)
            here = count - copied;
        memcpy(to + copied, view->data + offset, here);
        copied += here;
        offset = 0;
    }
    return copied;
}

int
skein_chain_iov(const struct skein_chain *chain, struct iovec *iov, int iov_count)
{
    int filled = 0;
    for (size_t i = 0; i < chain->view_count && filled < iov_count; i++) {
        const struct skein_bytes *view = &chain->views[chain->first + i];
        iov[filled++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)view->data, .iov_len = view->count};
    }
    return filled;
}
