/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_LIST_H
#define SKEIN_LIST_H

/* A link, or the head, of an intrusive list. Embedded in public structs; its handling is the
 * library's own. A zeroed link is in no list. */
struct skein_list {
    struct skein_list *next;
    struct skein_list *prev;
};

#endif
