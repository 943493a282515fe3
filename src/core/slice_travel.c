/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/bytes.h"
#include "core/internal.h"
#include "core/mailbox_port.h"
#include "skein/bytes.h"
#include "skein/memory.h"

/*
 * A parcel is an object of the home shard's heap and holds one reference there. Unpacked elsewhere
 * it gets a deputy, a buffer record of that shard without bytes of its own; the deputy's last
 * reference sends the parcel home.
 */
struct skein_parcel {
    struct port_return node;
    struct shard_port *home;
    struct skein_bytes bytes;
};

static void
is_home(struct port_return *node)
{
    struct skein_parcel *parcel = BASE_CONTAINER_OF(node, struct skein_parcel, node);
    skein_bytes_unref(&parcel->bytes);
    skein_free(parcel);
}

static void
drop_deputy(struct bytes_owned *deputy)
{
    skein_parcel_drop(deputy->context);
    skein_free(deputy);
}

struct skein_parcel *
skein_bytes_pack(struct skein_bytes *bytes)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    struct skein_parcel *parcel = skein_alloc(sizeof(*parcel));
    if (!parcel)
        return NULL;
    *parcel = (struct skein_parcel){.node = {.fn = is_home}, .home = port, .bytes = *bytes};
    *bytes = (struct skein_bytes){0};
    return parcel;
}

int
skein_bytes_unpack(struct skein_parcel *parcel, struct skein_bytes *out_bytes)
{
    struct skein_bytes view = parcel->bytes;
    if (parcel->home == port_current()) {
        skein_free(parcel);
        *out_bytes = view;
        return 0;
    }
    struct bytes_owned *deputy = skein_alloc(sizeof(*deputy));
    if (!deputy)
        return -ENOMEM;
    *deputy = (struct bytes_owned){
        .buf = {.refs = 1, .capacity_bytes = BYTES_OWNED}, .drop = drop_deputy, .context = parcel};
    *out_bytes = (struct skein_bytes){.buf = &deputy->buf, .data = view.data, .count = view.count};
    return 0;
}

void
skein_parcel_drop(struct skein_parcel *parcel)
{
    if (parcel)
        port_give_back(parcel->home, &parcel->node);
}
