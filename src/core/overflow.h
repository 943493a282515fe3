/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_OVERFLOW_H
#define CORE_OVERFLOW_H

/* overflow_watch - report a fiber's stack overflow by its name. Returns the signal stack, for
 * overflow_unwatch; NULL when somebody else handles the signal. */
void *overflow_watch(void);
void overflow_unwatch(void *signal_stack);

#endif
