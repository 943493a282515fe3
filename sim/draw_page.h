/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_DRAW_PAGE_H
#define SIM_DRAW_PAGE_H

/* The page around the data (draw.c): what comes before the JSON, and what comes behind it. */
extern const char sim_draw_page_before[];
extern const char sim_draw_page_after[];

#endif
