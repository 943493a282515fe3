/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_EXPLAIN_H
#define DISK_EXPLAIN_H

/*
 * What a person reads when the disk refuses.
 *
 * disk_explain - one line in @out_why: what could not be done, on which path, why, and the remedy.
 * @code: -errno or a negated skein_error. @what: "cannot create the log segment". Returns @code.
 */
int disk_explain(int code, const char *what, const char *path, char out_why[512]);

/* The remedy for damaged bytes; the end of each such line. */
#define DISK_REMEDY_DAMAGED                                                                     \
    "nothing was changed; move the data directory away and start the node again: it is let in " \
    "anew and gets a snapshot from the leader"

#endif
