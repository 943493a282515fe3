/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_JSON_H
#define APP_JSON_H

#include <stddef.h>

/* json_print - @bytes of @text as a JSON string, quotes included, to standard output. Control
 * characters are escaped; what is no UTF-8 stays as it is. */
void json_print(const char *text, size_t bytes);

#endif
