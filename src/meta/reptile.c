/* SPDX-License-Identifier: BSD-3-Clause */
/* Reptile: towards where the inner loops end [Nichol et al. 2018]. */
#include <math.h>

#include "inner.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/meta/outer.h" /* ol_outer_carry */

static double evaluations(const ol_learner_spec *spec, double support, double query)
{
    (void)query;
    return spec->steps * support;
}

/* Δ = θ - θ_K. */
static ol_status episode(const ol_task *task)
{
    ol_real *delta = ol_contribution_part(task->out, "delta");
    ol_trajectory path = ol_trajectory_layout(task->ws, task->model, task->spec,
                                              ol_batch_extent(&task->episode->support));
    ol_episode_report *r = task->report;
    const double begin = ol_clock_seconds();

    OL_TRY(ol_trajectory_forward(&path, task));
    for (size_t i = 0; i < task->model->P; i++)
        delta[i] = task->state.theta[i] - path.x[i];
    r->inner_seconds = ol_clock_seconds() - begin;
    r->query_after = ol_task_query_loss(task, path.x);
    OL_CHECK(isfinite(r->query_after), OL_ENONFINITE, "query loss is %g after %d inner steps",
             r->query_after, task->spec->steps);
    r->outer_seconds = ol_clock_seconds() - begin - r->inner_seconds;
    return OL_OK;
}

/* θ ← θ - ε mean(θ - θ_K). No Adam: the shared moments know the inner loops alone. */
static void outer(const ol_learner_spec *spec, const ol_outer_spec *rate,
                  const ol_outer_share *share, const ol_contribution *mean, ol_state *state)
{
    ol_outer_carry(spec, share, mean, state);
    ol_sgd_step(rate->adam.lr, share->n_spans, share->spans, ol_contribution_part(mean, "delta"),
                state->theta);
}

const ol_learner ol_learner_reptile = {
    .name = "reptile",
    .help = "a step from the parameters towards the mean of where the inner loops end",
    .inner_loop = true,
    .demonstrations = true,
    .interpolates = true,
    .evaluations = evaluations,
    .declare = ol_inner_declare,
    .bytes = ol_inner_bytes,
    .episode = episode,
    .outer = outer,
};
