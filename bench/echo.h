/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

/*
 * The servers that bench/echo.c compares. Each echoes what it receives on every connection, on one
 * thread, and never returns.
 */

/* A bound, listening TCP socket on the loopback; blocking. */
void echo_serve_ours(int listener);
/* liburing by hand: multishot accept and recv, a ring of buffers, one enter a turn. */
void echo_serve_bare(int listener);
void echo_serve_uv(int listener);

#endif
