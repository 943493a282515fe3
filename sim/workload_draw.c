/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "sim/workload.h"

static void
put_arg(struct workload_op *op, const char *text)
{
    skein_assert(op->argc < WORKLOAD_ARGC_MAX);
    op->argv[op->argc++] = (struct kv_arg){(const uint8_t *)text, strlen(text)};
}

static uint32_t
epoch_of(struct sim_cluster *cluster)
{
    uint64_t now_ns = cluster->world.now_ns;
    if (cluster->epoch_began_ns == 0)
        cluster->epoch_began_ns = now_ns;
    if (cluster->epoch < SIM_EPOCHS_MAX &&
        (now_ns - cluster->epoch_began_ns > WORKLOAD_EPOCH_NS ||
         cluster->unknown_count > cluster->epoch_unknown_count + WORKLOAD_EPOCH_UNKNOWN_MAX)) {
        cluster->epoch++;
        cluster->epoch_began_ns = now_ns;
        cluster->epoch_unknown_count = cluster->unknown_count;
    }
    return cluster->epoch;
}

uint32_t
workload_key_count(const struct sim_cluster *cluster)
{
    return (cluster->epoch + 1) * WORKLOAD_KEYS;
}

static void
name_key(const struct sim_client *client, struct workload_op *op, uint32_t key)
{
    uint32_t in_epoch = key % WORKLOAD_KEYS;
    char kind = in_epoch < WORKLOAD_REGISTERS                       ? 'r'
                : in_epoch < WORKLOAD_REGISTERS + WORKLOAD_COUNTERS ? 'c'
                                                                    : 'l';
    char *to = op->key;
    *to++ = kind;
    to += decimal_put(to, key / WORKLOAD_KEYS);
    *to++ = '.';
    to += decimal_put(to, in_epoch);
    if (client->group > 0) {
        *to++ = '.';
        to += decimal_put(to, client->group);
    }
    *to = '\0';
}

/* A value nobody else writes, of a drawn length. */
static void
draw_value(struct sim_client *client, struct workload_op *op, size_t bytes_max)
{
    size_t n = decimal_put(op->arg, client->number);
    op->arg[n++] = ':';
    n += decimal_put(op->arg + n, ++client->value_sequence);
    op->arg[n++] = ';';
    size_t bytes = n + (size_t)(skein_random() % bytes_max);
    if (skein_random() % 16 == 0)
        bytes *= 10;
    bytes = bytes < WORKLOAD_VALUE_BYTES_MAX ? bytes : WORKLOAD_VALUE_BYTES_MAX;
    memset(op->arg + n, 'a' + (int)(skein_random() % 26), bytes - n);
    op->arg[bytes] = '\0';
}

static void
draw_read(struct workload_op *op)
{
    op->kind = SKEIN_LINEAR_READ;
    put_arg(op, "GET");
    put_arg(op, op->key);
}

static void
draw_delete(struct workload_op *op)
{
    op->kind = SKEIN_LINEAR_DELETE;
    put_arg(op, "DEL");
    put_arg(op, op->key);
}

static void
draw_on_register(struct sim_client *client, struct workload_op *op)
{
    uint64_t dice = skein_random() % 100;
    if (dice < 40) {
        draw_read(op);
        return;
    }
    if (dice < 46) {
        draw_delete(op);
        return;
    }
    draw_value(client, op, 300);
    put_arg(op, "SET");
    put_arg(op, op->key);
    put_arg(op, op->arg);
    op->kind = dice < 76   ? SKEIN_LINEAR_WRITE
               : dice < 84 ? SKEIN_LINEAR_WRITE_NEW
                           : SKEIN_LINEAR_WRITE_OLD;
    if (dice >= 92)
        op->kind = SKEIN_LINEAR_WRITE;
    op->wants_old = dice >= 92;
    if (op->wants_old)
        put_arg(op, "GET");
    else if (op->kind != SKEIN_LINEAR_WRITE)
        put_arg(op, op->kind == SKEIN_LINEAR_WRITE_NEW ? "NX" : "XX");
}

static void
draw_on_counter(struct workload_op *op)
{
    uint64_t dice = skein_random() % 100;
    if (dice < 30) {
        draw_read(op);
        return;
    }
    if (dice < 34) {
        draw_delete(op);
        return;
    }
    op->kind = SKEIN_LINEAR_ADD;
    uint64_t by = 1 + skein_random() % 9;
    bool down = dice >= 80;
    snprintf(op->arg, sizeof(op->arg), "%s%llu", down ? "-" : "", (unsigned long long)by);
    put_arg(op, "INCRBY");
    put_arg(op, op->key);
    put_arg(op, op->arg);
}

static void
draw_on_list(struct sim_client *client, struct workload_op *op)
{
    uint64_t dice = skein_random() % 100;
    if (dice < 40) {
        draw_read(op);
        return;
    }
    if (dice < 55) {
        draw_delete(op);
        return;
    }
    op->kind = SKEIN_LINEAR_APPEND;
    draw_value(client, op, 2);
    put_arg(op, "APPEND");
    put_arg(op, op->key);
    put_arg(op, op->arg);
}

/* Keys that expire: not in the history, but in every member's state. */
static void
draw_noise(struct sim_client *client, struct workload_op *op)
{
    op->recorded = false;
    op->kind = SKEIN_LINEAR_WRITE;
    snprintf(op->key, sizeof(op->key), "%u", 50 + (uint32_t)(skein_random() % 2000));
    draw_value(client, op, 600);
    static const char *const names[] = {"x0", "x1", "x2", "x3"};
    put_arg(op, "SET");
    put_arg(op, names[skein_random() % BASE_COUNT_OF(names)]);
    put_arg(op, op->arg);
    put_arg(op, "PX");
    put_arg(op, op->key);
}

void
workload_draw(struct sim_client *client, uint32_t count)
{
    uint32_t epoch = epoch_of(client->cluster);
    for (uint32_t i = 0; i < count; i++) {
        struct workload_op *op = &client->ops[i];
        op->argc = 0;
        op->arg[0] = '\0';
        op->recorded = true;
        op->wants_old = false;
        if (skein_random() % 20 == 0) {
            draw_noise(client, op);
            continue;
        }
        uint32_t key = epoch * WORKLOAD_KEYS + (uint32_t)(skein_random() % WORKLOAD_KEYS);
        if (skein_random() % 12 == 0) { /* an older one: only read */
            name_key(client, op, (uint32_t)(skein_random() % (key + 1)));
            draw_read(op);
            continue;
        }
        name_key(client, op, key);
        if (op->key[0] == 'r')
            draw_on_register(client, op);
        else if (op->key[0] == 'c')
            draw_on_counter(op);
        else
            draw_on_list(client, op);
    }
}

void
workload_read(struct sim_client *client, uint32_t key)
{
    struct workload_op *op = &client->ops[0];
    op->argc = 0;
    op->arg[0] = '\0';
    op->recorded = true;
    op->wants_old = false;
    name_key(client, op, key);
    draw_read(op);
}
