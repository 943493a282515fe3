/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_EXPLAIN_H
#define DISK_EXPLAIN_H

/*
 * What a person reads when the disk refuses.
 *
 * disk_explain - one line in @out_why: what could not be done, on which path, why, and the remedy.
 * @code: -errno or a negated skein_error. @what: "cannot create the log segment". Returns @code.
 *
 * Damaged bytes (-SKEIN_ECORRUPT) have no remedy here, nor in any other line of this layer: it
 * depends on whose bytes they are. A node's: replica/aside.h. A backup's: skein snapshot.
 */
int disk_explain(int code, const char *what, const char *path, char out_why[512]);

#endif
