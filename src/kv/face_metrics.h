/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_FACE_METRICS_H
#define KV_FACE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

struct kv_command;
struct kv_face;
struct skein_histogram;

/*
 * What is counted at the face beside kv_face_stats: commands by name, and how long batches take.
 */
struct kv_face_metrics {
    uint64_t *data, *local; /* one count for each row of the two command tables */
    uint64_t unknown;
    struct skein_histogram *read_latency, *write_latency; /* of batches, until the reply */
};

/* kv_face_metrics_open / close - in the shard's registry, from when the face opens to its end. */
void kv_face_metrics_open(struct kv_face *face);
void kv_face_metrics_close(struct kv_face *face);
/* kv_face_metrics_command - @command: NULL, one that does not exist. */
void kv_face_metrics_command(struct kv_face *face, const struct kv_command *command);
/* kv_face_metrics_batch - one batch was answered after @duration_ns. */
void kv_face_metrics_batch(struct kv_face *face, bool write, uint64_t duration_ns);

#endif
