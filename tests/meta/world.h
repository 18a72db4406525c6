/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file world.h
 * One small episode and what an outer loop shares with it, and the inner loop written plainly.
 */
#ifndef TESTS_META_WORLD_H
#define TESTS_META_WORLD_H

#include <math.h>
#include <string.h>

#include "../model/tiny.h"
#include "outerloop/meta/outer.h"

typedef struct world {
    ol_model *model;
    ol_episode episode;
    ol_state state; /* moments as a run under way has them: v well above 0 */
    ol_arena ws;    /* sized for the learner of the last world_run */
} world;

static const ol_adam_spec WORLD_ADAM = {
    .lr = 0.05, .beta1 = 0.8, .beta2 = 0.9, .eps = 0.05, .weight_decay = 0.2};

static inline world world_make(void)
{
    world w = {.model = tiny_model(2, 64)};
    const size_t P = w.model->P;

    w.episode.support = tiny_batch(3, 4, 20, 13, 1);
    w.episode.query = tiny_batch(4, 4, 20, 13, 2);
    w.state = (ol_state){
        .theta = tiny_theta(w.model, 1), .m = tiny_normals(P, 2), .v = tiny_normals(P, 3), .t = 5};
    for (size_t i = 0; i < P; i++) {
        w.state.m[i] *= (ol_real)0.05;
        w.state.v[i] = (ol_real)(0.01 + 0.01 * (double)(w.state.v[i] * w.state.v[i]));
    }
    return w;
}

static inline void world_finish(world *w)
{
    ol_arena_finish(&w->ws);
    ol_batch_finish(&w->episode.support);
    ol_batch_finish(&w->episode.query);
    free(w->state.theta);
    free(w->state.m);
    free(w->state.v);
    ol_model_destroy(w->model);
}

static inline ol_learner_spec world_learner(ol_optimizer inner, ol_moments moments, int steps)
{
    return (ol_learner_spec){.learner = ol_learner_find("maml"),
                             .order = 2,
                             .steps = steps,
                             .inner = inner,
                             .adam = WORLD_ADAM,
                             .moments = moments,
                             .storage = OL_STORAGE_KEEP};
}

/* Of one inner step. */
static inline size_t world_tape_bytes(const world *w)
{
    ol_arena dry = ol_arena_dry("tape");

    ol_tape_layout(&dry, w->model, ol_batch_extent(&w->episode.support));
    return dry.peak;
}

/* What an episode gave. */
typedef struct outcome {
    ol_status status;
    ol_arena memory; /* of what it left behind */
    ol_contribution out;
    ol_real *delta, *m, *v; /* parts of `out`; m and v NULL when not carried */
    double losses[8];
    ol_episode_report report;
} outcome;

/* Run the episode in an arena of exactly the bytes that the learner asks for. */
static inline outcome world_run(world *w, const ol_learner_spec *spec)
{
    ol_arena dry = ol_arena_dry("outcome");
    outcome o = {0};

    ol_contribution_layout(&dry, w->model, spec);
    o.memory = tiny_arena(dry.peak);
    o.out = ol_contribution_layout(&o.memory, w->model, spec);
    o.delta = ol_contribution_part(&o.out, "delta");
    o.m = ol_contribution_part(&o.out, "m");
    o.v = ol_contribution_part(&o.out, "v");
    for (size_t i = 0; i < ol_learner_size(w->model, spec); i++)
        o.delta[i] = 77; /* overwritten */
    ol_arena_finish(&w->ws);
    w->ws = tiny_arena(ol_learner_bytes(w->model, spec, ol_batch_extent(&w->episode.support),
                                        ol_batch_extent(&w->episode.query)));
    o.status = ol_learner_episode(w->model, spec, &w->episode, ol_state_borrow(&w->state), &w->ws,
                                  &o.out, o.losses, &o.report);
    return o;
}

/* The outer step, in `count` shares; returns ‖G‖. */
static inline double world_outer(world *w, const ol_learner_spec *spec, const ol_outer_spec *outer,
                                 const ol_contribution *mean, int count)
{
    ol_span *spans = calloc((size_t)w->model->n_params, sizeof *spans);
    double squares[OL_OUTER_SQUARES];
    ol_outer_share share = {.spans = spans};
    const int64_t t = w->state.t;

    for (int i = 0; i < count; i++)
        ol_outer_squares(w->model, spec, mean, i, count, squares);
    for (int i = 0; i < count; i++) {
        ol_outer_divide(w->model, spec, i, count, &share);
        ol_outer_norms(squares, &share);
        w->state.t = t;
        spec->learner->outer(spec, outer, &share, mean, &w->state);
    }
    free(spans);
    return share.norm;
}

static inline void outcome_finish(outcome *o)
{
    ol_arena_finish(&o->memory);
}

/* L(θ) of a batch and, unless NULL, its gradient. */
static inline double world_loss(const world *w, const ol_batch *batch, const ol_real *theta,
                                ol_real *grad)
{
    ol_real *own = tiny_reals(w->model->P);
    ol_arena ws =
        tiny_arena(ol_objective_bytes(w->model, ol_batch_extent(batch), OL_PRODUCT, false));
    const double loss =
        ol_objective_grad(w->model, batch, theta, OL_OF_TRAINED, NULL, &ws, grad ? grad : own);

    ol_arena_finish(&ws);
    free(own);
    return loss;
}

/* One inner step by its formula, in double. */
static inline void world_step(const ol_model *model, const ol_learner_spec *spec, int64_t t,
                              const ol_real *g, ol_real *x, ol_real *m, ol_real *v)
{
    const ol_adam_spec a = spec->adam;

    for (int p = 0; p < model->n_params; p++) {
        const ol_param *param = &model->params[p];
        const double keep = param->cols > 0 ? 1 - a.lr * a.weight_decay : 1;

        for (size_t i = param->offset; i < param->offset + param->size; i++) {
            const double gi = (double)g[i];

            if (spec->inner == OL_SGD) {
                x[i] = (ol_real)((double)x[i] - a.lr * gi);
                continue;
            }
            m[i] = (ol_real)(a.beta1 * (double)m[i] + (1 - a.beta1) * gi);
            v[i] = (ol_real)(a.beta2 * (double)v[i] + (1 - a.beta2) * gi * gi);
            x[i] = (ol_real)(keep * (double)x[i] -
                             a.lr * ((double)m[i] / (1 - pow(a.beta1, (double)t))) /
                                 (sqrt((double)v[i] / (1 - pow(a.beta2, (double)t)) + a.eps_root) +
                                  a.eps));
        }
    }
}

/* The inner loop from `theta`: x becomes θ_K, m and v the adapted moments. losses may be NULL. */
static inline void world_adapt(const world *w, const ol_learner_spec *spec, const ol_real *theta,
                               ol_real *x, ol_real *m, ol_real *v, double *losses)
{
    const size_t P = w->model->P;
    const bool fresh = spec->moments == OL_MOMENTS_SEPARATE;
    ol_real *g = tiny_reals(P);

    memcpy(x, theta, P * sizeof *x);
    memcpy(m, w->state.m, P * sizeof *m);
    memcpy(v, w->state.v, P * sizeof *v);
    if (fresh || spec->moments == OL_MOMENTS_CARRY_V)
        memset(m, 0, P * sizeof *m);
    if (fresh)
        memset(v, 0, P * sizeof *v);
    for (int k = 0; k < spec->steps; k++) {
        const double loss = world_loss(w, &w->episode.support, x, g);

        if (losses)
            losses[k] = loss;
        world_step(w->model, spec, (fresh ? 0 : w->state.t) + k + 1, g, x, m, v);
    }
    free(g);
}

#endif
