/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_GLOB_H
#define KV_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * kv_glob_match - Redis' patterns: * ? [abc] [a-z] [^a] and \c for c itself. Bytes, case matters.
 * Iterative, with one point to come back to (the last star): at most pattern times text steps.
 */
bool kv_glob_match(const void *pattern, size_t pattern_bytes, const void *text, size_t text_bytes);

#endif
