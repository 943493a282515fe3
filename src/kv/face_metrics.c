/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/face_metrics.h"

#include "kv/command.h"
#include "kv/face.h"
#include "skein/metrics.h"
#include "skein/shard.h"

static const struct skein_metric rows[] = {
    {"skein_kv_connections", "Clients connected.", SKEIN_GAUGE,
     SKEIN_FIELD(struct kv_face, conn_count)},
    {"skein_kv_connections_accepted_total", "Clients accepted.", SKEIN_COUNTER,
     SKEIN_FIELD(struct kv_face, stats.connections)},
    {"skein_kv_connections_refused_total", "Clients refused: too many, or no memory.",
     SKEIN_COUNTER, SKEIN_FIELD(struct kv_face, stats.rejected)},
    {"skein_kv_accept_pauses_total", "Times there was no descriptor or memory for a client.",
     SKEIN_COUNTER, SKEIN_FIELD(struct kv_face, acceptor.pause_count)},
    {"skein_kv_received_bytes_total", "Bytes received from clients.", SKEIN_COUNTER,
     SKEIN_FIELD(struct kv_face, stats.input_bytes)},
    {"skein_kv_sent_bytes_total", "Bytes sent to clients.", SKEIN_COUNTER,
     SKEIN_FIELD(struct kv_face, stats.output_bytes)},
    {"skein_kv_batches_total", "Groups of commands submitted together.", SKEIN_COUNTER,
     SKEIN_FIELD(struct kv_face, stats.batches)},
    {"skein_kv_batches_failed_total", "Groups of commands that the replica did not carry out.",
     SKEIN_COUNTER, SKEIN_FIELD(struct kv_face, stats.failed_batches)},
    {"skein_kv_protocol_errors_total", "Clients that broke the protocol.", SKEIN_COUNTER,
     SKEIN_FIELD(struct kv_face, stats.protocol_errors)},
    {"skein_kv_query_buffer_bytes", "Memory for commands being received.", SKEIN_GAUGE,
     SKEIN_FIELD(struct kv_face, query_bytes)},
    {"skein_kv_reply_buffer_bytes", "Replies being sent.", SKEIN_GAUGE,
     SKEIN_FIELD(struct kv_face, reply_bytes)},
};

static const struct skein_metric command_row = {
    "skein_kv_commands_total", "Commands received, by name.", SKEIN_COUNTER, 0, sizeof(uint64_t)};

#define LATENCY(FIELD)                                                                            \
    {                                                                                             \
        "skein_kv_batch_seconds",                                                                 \
            "Time from submitting a group of commands to its replies, by kind.", SKEIN_HISTOGRAM, \
            SKEIN_FIELD(struct kv_face, metrics.FIELD), .decimals = 9                             \
    }
static const struct skein_metric read_row = LATENCY(read_latency);
static const struct skein_metric write_row = LATENCY(write_latency);

/* A registry that is full has counted what it refused: the face serves all the same. */
static void
add_labelled(const void *object, const struct skein_metric *row, const char *name,
             const char *value)
{
    struct skein_label label = {name, value};
    (void)!skein_metrics_add(skein_shard_metrics(), object, row, 1, &label, 1);
}

static void
add_commands(uint64_t **counts, const struct kv_command *commands, size_t count)
{
    *counts = mem_zalloc(count * sizeof(**counts));
    for (size_t i = 0; i < count; i++)
        add_labelled(&(*counts)[i], &command_row, "command", commands[i].name);
}

void
kv_face_metrics_open(struct kv_face *face)
{
    static const struct skein_histogram_options latency = {
        .lowest = 1000, .highest = 60000000000, .digits = 2};
    struct kv_face_metrics *own = &face->metrics;
    (void)!skein_metrics_add(skein_shard_metrics(), face, rows, BASE_COUNT_OF(rows), NULL, 0);
    add_commands(&own->data, kv_data_commands, kv_data_command_count);
    add_commands(&own->local, kv_local_commands, kv_local_command_count);
    add_labelled(&own->unknown, &command_row, "command", "unknown");
    /* Without memory for them they stay NULL, and are not there. */
    (void)!skein_histogram_open(&own->read_latency, &latency);
    (void)!skein_histogram_open(&own->write_latency, &latency);
    add_labelled(face, &read_row, "kind", "read");
    add_labelled(face, &write_row, "kind", "write");
}

void
kv_face_metrics_close(struct kv_face *face)
{
    struct kv_face_metrics *own = &face->metrics;
    struct skein_metrics *metrics = skein_shard_metrics();
    skein_metrics_remove(metrics, face);
    skein_metrics_remove(metrics, &own->unknown);
    for (size_t i = 0; i < kv_data_command_count; i++)
        skein_metrics_remove(metrics, &own->data[i]);
    for (size_t i = 0; i < kv_local_command_count; i++)
        skein_metrics_remove(metrics, &own->local[i]);
    skein_histogram_close(own->read_latency);
    skein_histogram_close(own->write_latency);
    mem_free(own->data);
    mem_free(own->local);
    *own = (struct kv_face_metrics){0};
}

void
kv_face_metrics_command(struct kv_face *face, const struct kv_command *command)
{
    if (!command)
        face->metrics.unknown++;
    else if (command->kind == KV_LOCAL)
        face->metrics.local[command - kv_local_commands]++;
    else
        face->metrics.data[command - kv_data_commands]++;
}

void
kv_face_metrics_batch(struct kv_face *face, bool write, uint64_t duration_ns)
{
    struct skein_histogram *latency =
        write ? face->metrics.write_latency : face->metrics.read_latency;
    if (latency)
        skein_histogram_record(latency, duration_ns);
}
