/* SPDX-License-Identifier: Apache-2.0 */
/* Reads ahead, on a helper thread, while the base is not in memory. */
#include "base/mem.h"
#include "skein/error.h"
#include "skein/shard.h"
#include "store/lmdb_int.h"

/* A read that takes longer waited for the disk. */
#define SLOW_NS UINT64_C(50000)
/* A helper's reads that take longer than this, and so much for each, waited for the disk. */
#define HELPER_NS UINT64_C(200000)
#define HELPER_EACH_NS UINT64_C(5000)

uint64_t
lmdb_read_begin(void)
{
    return skein_now_ns();
}

void
lmdb_read_end(struct lmdb_table *table, uint64_t begun_ns)
{
    uint64_t now_ns = skein_now_ns();
    if (now_ns - begun_ns < SLOW_NS)
        return;
    table->counts.slow_read_total++;
    table->slow_until_ns = now_ns + LMDB_SLOW_FOR_NS;
}

bool
lmdb_is_cold(const struct store_table *base)
{
    const struct lmdb_table *table = BASE_CONTAINER_OF(base, const struct lmdb_table, base);
    return skein_now_ns() < table->slow_until_ns;
}

struct warming {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t root;
    struct bytes *keys;
    size_t key_count;
    uint64_t bytes_max; /* warm_from */
};

static int64_t
warm_work(void *arg)
{
    struct warming *warming = arg;
    struct bytes value;
    MDB_txn *txn;
    int rc = mdb_txn_begin(warming->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_code(rc);
    for (size_t i = 0; i < warming->key_count; i++)
        (void)!lmdb_get(txn, warming->dbi, warming->root, warming->keys[i], &value);
    mdb_txn_abort(txn);
    return 0;
}

/* The map stays where it is meanwhile; when it is to grow, nothing is read. */
static void
read_ahead(struct lmdb_table *table, int64_t (*work)(void *arg), struct warming *warming)
{
    if (table->growing)
        return;
    skein_shield(true);
    table->warming_count++;
    (void)skein_work(work, warming);
    table->warming_count--;
    skein_wake_all(&table->warmed);
    skein_shield(false);
}

static bool
is_above(const struct lmdb_level *level, struct bytes key)
{
    struct bytes value;
    if (!level)
        return false;
    if (level->hides)
        return true;
    if (level->puts->ops->get(level->puts, key.data, key.count, &value) < 0)
        return false;
    bytes_unref(&value);
    return true;
}

void
lmdb_warm(struct store_table *base, const struct bytes *keys, size_t key_count)
{
    struct lmdb_table *table = lmdb_table_of(base);
    uint64_t begun_ns = skein_now_ns();
    if (table->view->root == 0 || key_count == 0)
        return;
    struct warming warming = {.env = table->env, .dbi = table->dbi, .root = table->view->root};
    warming.keys = mem_try_alloc(key_count * sizeof(keys[0]));
    if (!warming.keys)
        return;
    for (size_t i = 0; i < key_count; i++)
        if (!is_above(table->active, keys[i]) && !is_above(table->frozen, keys[i]))
            warming.keys[warming.key_count++] = keys[i];
    if (warming.key_count > 0) {
        read_ahead(table, warm_work, &warming);
        uint64_t now_ns = skein_now_ns();
        table->counts.warm_total += warming.key_count;
        if (now_ns - begun_ns > HELPER_NS + HELPER_EACH_NS * warming.key_count)
            table->slow_until_ns = now_ns + LMDB_SLOW_FOR_NS;
    }
    mem_free(warming.keys);
}

static int64_t
warm_from_work(void *arg)
{
    struct warming *warming = arg;
    struct lmdb_walk walk;
    MDB_txn *txn;
    int rc = mdb_txn_begin(warming->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_code(rc);
    uint64_t seen = 0;
    lmdb_walk_open(&walk, txn, warming->dbi, warming->root, warming->keys[0]);
    while (walk.rc == 0 && seen < warming->bytes_max) {
        seen += walk.at_key.count + walk.at_value.count;
        lmdb_walk_next(&walk);
    }
    lmdb_walk_close(&walk);
    mdb_txn_abort(txn);
    return 0;
}

void
lmdb_warm_from(struct store_table *base, struct bytes key, uint64_t count)
{
    struct lmdb_table *table = lmdb_table_of(base);
    uint64_t begun_ns = skein_now_ns();
    struct warming warming = {.env = table->env,
                              .dbi = table->dbi,
                              .root = table->view->root,
                              .keys = &key,
                              .bytes_max = count};
    read_ahead(table, warm_from_work, &warming);
    uint64_t now_ns = skein_now_ns();
    if (now_ns - begun_ns > HELPER_NS + count)
        table->slow_until_ns = now_ns + LMDB_SLOW_FOR_NS;
}
