/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/meta/learner.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "inner.h"
#include "outerloop/base/phase.h" /* ol_phase_enter */
#include "outerloop/meta/outer.h" /* ol_model_spans */
#include "outerloop/model/cost.h" /* ol_cost_gradient */

const char *const ol_optimizer_names[] = {[OL_SGD] = "sgd", [OL_ADAMW] = "adamw", NULL};
const char *const ol_moments_names[] = {[OL_MOMENTS_SEPARATE] = "separate",
                                        [OL_MOMENTS_READ] = "read",
                                        [OL_MOMENTS_CARRY] = "carry",
                                        [OL_MOMENTS_CARRY_V] = "carry_v",
                                        NULL};
const char *const ol_storage_names[] = {[OL_STORAGE_AUTO] = "auto",
                                        [OL_STORAGE_KEEP] = "keep",
                                        [OL_STORAGE_RECOMPUTE] = "recompute",
                                        NULL};

/* The learners; adding one adds a row here and a file. */
static const ol_learner *const learners[] = {
    &ol_learner_maml,    &ol_learner_meta_sgd,  &ol_learner_reptile,
    &ol_learner_metaicl, &ol_learner_multitask, NULL,
};

const ol_learner *ol_learner_at(int i)
{
    return learners[i];
}

const ol_learner *ol_learner_find(const char *name)
{
    const ol_learner *const *at = learners;

    while (*at && strcmp((*at)->name, name) != 0)
        at++;
    return *at;
}

int ol_learner_steps(const ol_learner_spec *spec)
{
    return spec->learner->inner_loop ? spec->steps : 0;
}

bool ol_learner_exact(const ol_learner_spec *spec)
{
    return spec->learner->ordered && spec->order == 2;
}

int ol_learner_tensors(const ol_model *model, const ol_learner_spec *spec, ol_tensor *out)
{
    for (int i = 0; i < model->n_params && out; i++, out++) {
        const ol_param *param = &model->params[i];

        *out = (ol_tensor){
            .offset = param->offset, .size = param->size, .rows = param->rows, .cols = param->cols};
        snprintf(out->name, sizeof out->name, "%s", param->name);
    }
    return model->n_params +
           (spec && spec->learner->tensors ? spec->learner->tensors(model, spec, out) : 0);
}

size_t ol_learner_size(const ol_model *model, const ol_learner_spec *spec)
{
    return model->P + (spec->learner->size ? spec->learner->size(model, spec) : 0);
}

void ol_contribution_add(ol_contribution *out, const char *name, size_t size,
                         ol_reduction reduction)
{
    assert(out->n < OL_PARTS);
    out->parts[out->n++] = (ol_part){.name = name, .size = size, .reduction = reduction};
}

ol_contribution ol_contribution_layout(ol_arena *arena, const ol_model *model,
                                       const ol_learner_spec *spec)
{
    ol_contribution made = {0};

    spec->learner->declare(model, spec, &made);
    for (int i = 0; i < made.n; i++)
        made.parts[i].vector = ol_arena_reals(arena, made.parts[i].size);
    return made;
}

ol_real *ol_contribution_part(const ol_contribution *contribution, const char *name)
{
    for (int i = 0; i < contribution->n; i++)
        if (strcmp(contribution->parts[i].name, name) == 0)
            return contribution->parts[i].vector;
    return NULL;
}

double ol_task_query_loss(const ol_task *task, const ol_real *theta)
{
    const ol_batch *query = &task->episode->query;
    double *losses = ol_arena_take(task->ws, (size_t)query->B * sizeof *losses);
    const ol_phase was = ol_phase_enter(OL_PHASE_MEASURE);
    double sum = 0;

    ol_objective_losses(task->model, query, theta, task->ws, losses);
    ol_phase_leave(was);
    for (int b = 0; b < query->B; b++)
        sum += losses[b];
    return sum / query->B;
}

size_t ol_learner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                        ol_extent query)
{
    ol_arena dry = ol_arena_dry("losses");

    ol_arena_take(&dry, (size_t)query.prompts * sizeof(double));
    return dry.peak + spec->learner->bytes(model, spec, support, query);
}

double ol_learner_flop(const ol_model *model, const ol_learner_spec *spec,
                       const ol_prompts_size *support, const ol_prompts_size *query)
{
    const double s = ol_cost_gradient(model, support), q = ol_cost_gradient(model, query);
    const ol_extent extent = {.prompts = (int)support->prompts,
                              .tokens = support->tokens,
                              .longest = support->longest,
                              .scored = support->scored};
    ol_learner_spec gradients = *spec;
    double flop;

    gradients.order = 1;
    flop = spec->learner->evaluations(&gradients, s, q);
    if (ol_learner_exact(spec))
        flop += spec->steps * ol_cost_product(model, support) +
                (spec->steps - ol_trajectory_tapes(model, spec, extent)) *
                    ol_cost_again(model, support);
    return flop + (spec->measure_before ? ol_cost_losses(model, query) : 0);
}

/* A contribution with one element that is not finite would be everybody's. */
static ol_status check_finite(const ol_contribution *out)
{
    for (int i = 0; i < out->n; i++)
        OL_CHECK(ol_vector_finite(out->parts[i].size, out->parts[i].vector), OL_ENONFINITE,
                 "%s of the episode is not finite", out->parts[i].name);
    return OL_OK;
}

ol_status ol_learner_episode(const ol_model *model, const ol_learner_spec *spec,
                             const ol_episode *episode, ol_state_view state, ol_arena *ws,
                             const ol_contribution *out, double *inner_losses,
                             ol_episode_report *report)
{
    const ol_mark mark = ol_arena_mark(ws);
    const ol_task task = {model, spec, episode, state, ws, out, inner_losses, report};

    *report = (ol_episode_report){.query_before = NAN, .second_order = NAN};
    if (spec->measure_before) {
        report->query_before = ol_task_query_loss(&task, state.theta);
        ol_arena_rewind(ws, mark);
    }
    OL_TRY(spec->learner->episode(&task));
    OL_TRY(check_finite(out));
    report->grad_norm = ol_vector_norm(model->P, ol_contribution_part(out, "delta"));
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

    const int n_spans = ol_model_spans(model, OL_OF_ADAPTED, spans);
    for (int k = 0; k < steps; k++) {
        double loss;

        OL_TRY(heed_stop(spec));
        loss = ol_objective_grad(model, support, theta, OL_OF_ADAPTED, NULL, ws, g);
        if (losses)
            losses[k] = loss;
        OL_CHECK(isfinite(loss), OL_ENONFINITE, "loss is %g before adaptation step %d", loss, k);
        ol_inner_step(model, spec, n_spans, spans, theta + model->P, t + k + 1, g, theta, m, v);
    }
    ol_arena_rewind(ws, mark);
    return OL_OK;
}
