/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/meta/learner.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "inner.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/meta/outer.h" /* ol_model_spans */

/* What a learner's function works on. */
typedef struct task {
    const ol_model *model;
    const ol_learner_spec *spec;
    const ol_episode *episode;
    ol_state_view state;
    ol_arena *ws;
    ol_contribution *out;
    double *inner_losses;
    ol_episode_report *report;
} task;

/* Larger of two byte counts. */
static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static double query_loss(const task *t, const ol_real *theta)
{
    const ol_batch *query = &t->episode->query;
    double *losses = ol_arena_take(t->ws, (size_t)query->B * sizeof *losses);
    double sum = 0;

    ol_objective_losses(t->model, query, theta, t->ws, losses);
    for (int b = 0; b < query->B; b++)
        sum += losses[b];
    return sum / query->B;
}

static void carry_out(const task *t, const ol_trajectory *path)
{
    const size_t bytes = t->model->P * sizeof(ol_real);

    if (t->out->m)
        memcpy(t->out->m, path->m, bytes);
    if (t->out->v)
        memcpy(t->out->v, path->v, bytes);
}

/* Walk back, and measure how much the exact Δ differs from the first-order one. */
static ol_status measured_backward(const task *t, ol_trajectory *path)
{
    const size_t P = t->model->P;
    ol_real *first = ol_arena_reals(t->ws, P);

    memcpy(first, t->out->delta, P * sizeof *first);
    ol_trajectory_first_order(path, first);
    OL_TRY(ol_trajectory_backward(path, &t->episode->support, t->ws, t->out->delta));
    t->report->second_order =
        ol_vector_distance(P, t->out->delta, first) / ol_vector_norm(P, first);
    return OL_OK;
}

/* (1) to (3): Δ exact, or its first-order part. */
static ol_status maml(const task *t)
{
    ol_trajectory path =
        ol_trajectory_layout(t->ws, t->model, t->spec, ol_batch_extent(&t->episode->support));
    const double begin = ol_clock_seconds();

    OL_TRY(ol_trajectory_forward(&path, &t->episode->support, t->state, t->ws, t->inner_losses));
    carry_out(t, &path);
    t->report->inner_seconds = ol_clock_seconds() - begin;
    t->report->query_after =
        ol_objective_grad(t->model, &t->episode->query, path.x, OL_OF_TRAINED, NULL, t->ws,
                          t->out->delta);
    OL_CHECK(isfinite(t->report->query_after), OL_ENONFINITE,
             "query loss is %g after %d inner steps", t->report->query_after, t->spec->steps);
    if (t->spec->order == 1) {
        ol_trajectory_first_order(&path, t->out->delta);
    } else if (t->spec->measure_share) {
        OL_TRY(measured_backward(t, &path));
    } else {
        OL_TRY(ol_trajectory_backward(&path, &t->episode->support, t->ws, t->out->delta));
    }
    t->report->outer_seconds = ol_clock_seconds() - begin - t->report->inner_seconds;
    return OL_OK;
}

static size_t maml_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                         ol_extent query)
{
    ol_arena dry = ol_arena_dry("episode");

    ol_trajectory_layout(&dry, model, spec, support);
    if (spec->measure_share)
        ol_arena_reals(&dry, model->P);
    const bool exact = spec->algorithm == OL_MAML && spec->order == 2;

    return dry.peak + most(ol_objective_bytes(model, support, exact ? OL_PRODUCT : OL_GRADIENT,
                                              exact && spec->storage == OL_KEEP),
                           ol_objective_bytes(model, query, OL_GRADIENT, false));
}

/* Δ = θ - θ_K. */
static ol_status reptile(const task *t)
{
    const double begin = ol_clock_seconds();
    ol_trajectory path =
        ol_trajectory_layout(t->ws, t->model, t->spec, ol_batch_extent(&t->episode->support));

    OL_TRY(ol_trajectory_forward(&path, &t->episode->support, t->state, t->ws, t->inner_losses));
    carry_out(t, &path);
    for (size_t i = 0; i < t->model->P; i++)
        t->out->delta[i] = t->state.theta[i] - path.x[i];
    t->report->inner_seconds = ol_clock_seconds() - begin;
    t->report->query_after = query_loss(t, path.x);
    OL_CHECK(isfinite(t->report->query_after), OL_ENONFINITE,
             "query loss is %g after %d inner steps", t->report->query_after, t->spec->steps);
    t->report->outer_seconds = ol_clock_seconds() - begin - t->report->inner_seconds;
    return OL_OK;
}

/* Δ = gradient at θ of the mean over all prompts of both sides: each side's by its share. */
static ol_status plain(const task *t)
{
    const size_t P = t->model->P;
    const ol_batch *support = &t->episode->support, *query = &t->episode->query;
    const double share = (double)query->B / (support->B + query->B);
    const double begin = ol_clock_seconds();
    ol_real *g = ol_arena_reals(t->ws, P);
    double support_loss = 0;

    t->report->query_after =
        ol_objective_grad(t->model, query, t->state.theta, OL_OF_TRAINED, NULL, t->ws,
                          t->out->delta);
    ol_vector_scale(P, (ol_real)share, t->out->delta);
    if (support->B > 0) {
        support_loss = ol_objective_grad(t->model, support, t->state.theta, OL_OF_TRAINED, NULL, t->ws, g);
        ol_vector_axpy(P, (ol_real)(1 - share), g, t->out->delta);
    }
    OL_CHECK(isfinite(t->report->query_after + support_loss), OL_ENONFINITE,
             "loss of the prompts is %g", t->report->query_after + support_loss);
    t->report->outer_seconds = ol_clock_seconds() - begin;
    return OL_OK;
}

static size_t plain_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                          ol_extent query)
{
    ol_arena dry = ol_arena_dry("episode");

    (void)spec;
    ol_arena_reals(&dry, model->P);
    return dry.peak +
           most(ol_objective_bytes(model, support, OL_GRADIENT, false),
                ol_objective_bytes(model, query, OL_GRADIENT, false));
}

/* The learners; adding one adds a row. */
static const struct learner {
    bool inner_loop;
    ol_status (*episode)(const task *t);
    size_t (*bytes)(const ol_model *, const ol_learner_spec *, ol_extent, ol_extent);
} learners[] = {
    [OL_MAML] = {true, maml, maml_bytes},
    [OL_REPTILE] = {true, reptile, maml_bytes},
    [OL_METAICL] = {false, plain, plain_bytes},
    [OL_MULTITASK] = {false, plain, plain_bytes},
};

int ol_learner_steps(const ol_learner_spec *spec)
{
    return learners[spec->algorithm].inner_loop ? spec->steps : 0;
}

static bool has_inner_adam(const ol_learner_spec *spec)
{
    return ol_learner_steps(spec) > 0 && spec->inner == OL_ADAMW;
}

bool ol_learner_carries_m(const ol_learner_spec *spec)
{
    return has_inner_adam(spec) && spec->moments == OL_MOMENTS_CARRY;
}

bool ol_learner_carries_v(const ol_learner_spec *spec)
{
    return has_inner_adam(spec) &&
           (spec->moments == OL_MOMENTS_CARRY || spec->moments == OL_MOMENTS_CARRY_V);
}

size_t ol_learner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                        ol_extent query)
{
    ol_arena dry = ol_arena_dry("losses");

    ol_arena_take(&dry, (size_t)query.prompts * sizeof(double));
    return dry.peak + learners[spec->algorithm].bytes(model, spec, support, query);
}

ol_status ol_learner_episode(const ol_model *model, const ol_learner_spec *spec,
                             const ol_episode *episode, ol_state_view state, ol_arena *ws,
                             ol_contribution *out, double *inner_losses, ol_episode_report *report)
{
    const ol_mark mark = ol_arena_mark(ws);
    const task t = {model, spec, episode, state, ws, out, inner_losses, report};

    assert(!ol_learner_carries_m(spec) == !out->m && !ol_learner_carries_v(spec) == !out->v);
    *report = (ol_episode_report){.query_before = NAN, .second_order = NAN};
    if (spec->measure_before) {
        report->query_before = query_loss(&t, state.theta);
        ol_arena_rewind(ws, mark);
        OL_CHECK(isfinite(report->query_before), OL_ENONFINITE,
                 "query loss is %g before the inner loop", report->query_before);
    }
    OL_TRY(learners[spec->algorithm].episode(&t));
    report->grad_norm = ol_vector_norm(model->P, out->delta);
    OL_CHECK(isfinite(report->grad_norm), OL_ENONFINITE, "the norm of the meta-gradient is %g",
             report->grad_norm);
    ol_arena_rewind(ws, mark);
    return OL_OK;
}

int64_t ol_learner_start_moments(const ol_model *model, const ol_learner_spec *spec,
                                 ol_state_view state, ol_real *m, ol_real *v)
{
    const size_t bytes = model->P * sizeof *m;
    const bool fresh = spec->moments == OL_MOMENTS_SEPARATE;

    if (fresh || spec->moments == OL_MOMENTS_CARRY_V)
        memset(m, 0, bytes);
    else
        memcpy(m, state.m, bytes);
    if (fresh)
        memset(v, 0, bytes);
    else
        memcpy(v, state.v, bytes);
    return fresh ? 0 : state.t;
}

size_t ol_learner_adapt_bytes(const ol_model *model, ol_extent support)
{
    ol_arena dry = ol_arena_dry("adaptation");

    ol_arena_reals(&dry, model->P);
    ol_arena_take(&dry, (size_t)model->n_params * sizeof(ol_span));
    return dry.peak + ol_objective_bytes(model, support, OL_GRADIENT, false);
}

ol_status ol_learner_adapt(const ol_model *model, const ol_learner_spec *spec,
                           const ol_batch *support, int steps, int64_t t, ol_arena *ws,
                           ol_real *theta, ol_real *m, ol_real *v, double *losses)
{
    const ol_mark mark = ol_arena_mark(ws);
    ol_real *g = ol_arena_reals(ws, model->P);
    ol_span *spans = ol_arena_take(ws, (size_t)model->n_params * sizeof *spans);

    ol_model_spans(model, spans);
    for (int k = 0; k < steps; k++) {
        const double loss = ol_objective_grad(model, support, theta, OL_OF_ADAPTED, NULL, ws, g);

        if (losses)
            losses[k] = loss;
        OL_CHECK(isfinite(loss), OL_ENONFINITE, "loss is %g before adaptation step %d", loss, k);
        ol_inner_step(model, spec, spans, t + k + 1, g, theta, m, v);
    }
    ol_arena_rewind(ws, mark);
    return OL_OK;
}
