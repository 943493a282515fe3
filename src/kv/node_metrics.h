/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_NODE_METRICS_H
#define KV_NODE_METRICS_H

struct replica;

/* kv_node_metrics_open - the machine's figures in the shard's registry; they leave it with the
 * replica's. */
void kv_node_metrics_open(struct replica *replica);

#endif
