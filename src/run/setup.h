/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of setup that have files of their own. */
#ifndef RUN_SETUP_H
#define RUN_SETUP_H

#include "outerloop/run/setup.h"

/* Find the bounds of all episodes of each arm's training, so that memory is taken once: their exact
 * lengths are known from the random streams. Every rank looks at its share of the meta-steps, once for
 * all arms that draw the same. Collective. */
ol_status ol_setup_bound_episodes(ol_setup *setup);

/* Names of rows: the start's, and what each arm scores. A job that only scores the start in context
 * keeps one arm, itself, for all would score the same. Rank 0 reads the start. Collective. */
ol_status ol_setup_name_rows(ol_setup *setup);

/* Tasks, overlap, rows left out, tokens cut. Rank 0 speaks. */
void ol_setup_describe_data(const ol_setup *setup);

#endif
