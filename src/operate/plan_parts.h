/* SPDX-License-Identifier: BSD-3-Clause */
/* What plans are made of. */
#ifndef OPERATE_PLAN_PARTS_H
#define OPERATE_PLAN_PARTS_H

#include "outerloop/operate/plan.h"

/* How long things take here. */
typedef struct plan_clock {
    ol_comm *comm;
    double gflops;   /* of a large product      */
    double budget;   /* seconds that measuring may still take */
    double measured; /* seconds that it took    */
} plan_clock;

/* Measure the rate of products. Collective. Errors: OL_ENOMEM, OL_EMPI. */
ol_status plan_clock_start(ol_comm *comm, double budget, plan_clock *clock);

/* Fill in what time and tokens an arm's training takes on `ranks` ranks. Collective. Errors: OL_ENOMEM,
 * OL_EMPI, those of drawing an episode. */
ol_status plan_training_time(plan_clock *clock, ol_setup *setup, const ol_arm *arm, int ranks,
                             ol_plan_arm *out);

/* Seconds of scoring all its targets on `ranks` ranks. Collective. Errors: those of scoring one. */
ol_status plan_scoring_time(plan_clock *clock, ol_setup *setup, const ol_arm *arm, int ranks,
                            double *seconds);

#endif
