/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_POOL_CASES_H
#define NET_POOL_CASES_H

/* pool_cases - what a pool must do, with three servers beside it. @arg: struct check. */
int pool_cases(void *arg);
/* pool_slow_cases - the same, where it takes minutes: for virtual time. */
int pool_slow_cases(void *arg);

#endif
