/* SPDX-License-Identifier: BSD-3-Clause */
/* MAML: the query loss after K inner steps, differentiated through them or past them. */
#include <math.h>
#include <string.h>

#include "inner.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/meta/outer.h" /* ol_outer_adamw */

double ol_maml_evaluations(const ol_learner_spec *spec, double support, double query)
{
    return (spec->order == 2 ? 3 : 1) * spec->steps * support + query; /* an H u is two gradients */
}

/* Walk back, and measure how much the exact Δ differs from the first-order one. */
static ol_status measured_backward(const ol_task *task, ol_trajectory *path, ol_real *delta)
{
    const size_t P = task->model->P, O = ol_learner_size(task->model, task->spec);
    ol_real *first = ol_arena_reals(task->ws, O);

    memcpy(first, delta, O * sizeof *first);
    ol_trajectory_first_order(path, first);
    OL_TRY(ol_trajectory_backward(path, &task->episode->support, task->ws, delta));
    task->report->second_order = ol_vector_distance(P, delta, first) / ol_vector_norm(P, first);
    return OL_OK;
}

/* (1) to (3) of learner.h: Δ exact, or its first-order part. */
ol_status ol_maml_episode(const ol_task *task)
{
    const ol_learner_spec *spec = task->spec;
    const ol_batch *support = &task->episode->support, *query = &task->episode->query;
    const size_t P = task->model->P;
    ol_real *delta = ol_contribution_part(task->out, "delta");
    ol_trajectory path =
        ol_trajectory_layout(task->ws, task->model, spec, ol_batch_extent(support));
    ol_episode_report *r = task->report;
    const double begin = ol_clock_seconds();

    OL_TRY(ol_trajectory_forward(&path, task));
    r->inner_seconds = ol_clock_seconds() - begin;
    r->query_after =
        ol_objective_grad(task->model, query, path.x, OL_OF_TRAINED, NULL, task->ws, delta);
    OL_CHECK(isfinite(r->query_after), OL_ENONFINITE, "query loss is %g after %d inner steps",
             r->query_after, spec->steps);
    ol_vector_zero(ol_learner_size(task->model, spec) - P, delta + P);
    if (spec->order == 1)
        ol_trajectory_first_order(&path, delta);
    else if (spec->measure_share)
        OL_TRY(measured_backward(task, &path, delta));
    else
        OL_TRY(ol_trajectory_backward(&path, support, task->ws, delta));
    r->outer_seconds = ol_clock_seconds() - begin - r->inner_seconds;
    return OL_OK;
}

const ol_learner ol_learner_maml = {
    .name = "maml",
    .help = "gradient of the query loss through the inner loop, exact (order 2) or its first part",
    .inner_loop = true,
    .ordered = true,
    .demonstrations = true,
    .evaluations = ol_maml_evaluations,
    .declare = ol_inner_declare,
    .bytes = ol_inner_bytes,
    .episode = ol_maml_episode,
    .outer = ol_outer_adamw,
};
