/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/meta/outer.h"

#include <math.h>
#include <string.h>

double ol_schedule_rate(ol_schedule_shape shape, double lr, int64_t warmup, int64_t steps,
                        int64_t s)
{
    const double done = (double)(s - warmup) / (double)(steps > warmup ? steps - warmup : 1);

    if (s < warmup)
        return lr * (double)(s + 1) / (double)warmup;
    if (shape == OL_CONSTANT)
        return lr;
    if (shape == OL_COSINE)
        return lr * 0.5 * (1 + cos(3.14159265358979323846 * done));
    return lr * (1 - done);
}

int ol_model_spans(const ol_model *model, ol_wanted which, ol_span *spans)
{
    int n = 0;

    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];

        if (which == OL_OF_TRAINED || param->adapts)
            spans[n++] = (ol_span){param->offset, param->size, ol_param_decays(param)};
    }
    return n;
}

ol_state ol_state_layout(ol_arena *arena, size_t O)
{
    ol_state state = {.theta = ol_arena_reals(arena, O),
                      .m = ol_arena_reals(arena, O),
                      .v = ol_arena_reals(arena, O)};

    if (state.theta) {
        ol_vector_zero(O, state.theta);
        ol_vector_zero(O, state.m);
        ol_vector_zero(O, state.v);
    }
    return state;
}

void ol_state_start(const ol_model *model, const ol_learner_spec *spec, const ol_real *theta,
                    ol_state *state)
{
    const size_t O = ol_learner_size(model, spec);

    memcpy(state->theta, theta, model->P * sizeof *theta);
    if (spec->learner->start)
        spec->learner->start(spec, O - model->P, state->theta + model->P);
    ol_vector_zero(O, state->m);
    ol_vector_zero(O, state->v);
    state->t = 0;
}

/* (1) for the n reals of one kind. */
static double clip(size_t n, double most, ol_real *G)
{
    const double norm = ol_vector_norm(n, G);

    if (most > 0 && norm > most)
        ol_vector_scale(n, (ol_real)(most / norm), G);
    return norm;
}

void ol_outer_carry(const ol_model *model, const ol_learner_spec *learner,
                    const ol_contribution *mean, ol_state *state)
{
    const ol_real *m = ol_contribution_part(mean, "m"), *v = ol_contribution_part(mean, "v");
    const size_t bytes = model->P * sizeof *m;

    if (m)
        memcpy(state->m, m, bytes);
    if (v) {
        memcpy(state->v, v, bytes);
        state->t += learner->steps;
    }
}

double ol_outer_adamw(const ol_model *model, const ol_learner_spec *learner,
                      const ol_outer_spec *spec, const ol_span *spans, ol_contribution *mean,
                      ol_state *state)
{
    const size_t P = model->P, E = ol_learner_size(model, learner) - P;
    const ol_span own = {.offset = P, .size = E};
    ol_adam_spec adam = spec->adam;
    ol_real *G = ol_contribution_part(mean, "delta");
    const double norm = clip(P, spec->max_grad_norm, G); /* (1) */

    clip(E, spec->max_grad_norm, G + P);
    ol_outer_carry(model, learner, mean, state); /* (2) */
    state->t++;
    ol_adam_step(&adam, model->n_params, spans, state->t, G, state->theta, state->m,
                 state->v); /* (3) */
    adam.lr = spec->own_lr;
    ol_adam_step(&adam, 1, &own, state->t, G, state->theta, state->m, state->v);
    return norm;
}
