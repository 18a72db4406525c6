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

void ol_model_spans(const ol_model *model, ol_span *spans)
{
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];

        spans[i] = (ol_span){param->offset, param->size, param->cols > 0};
    }
}

ol_state ol_state_layout(ol_arena *arena, const ol_model *model)
{
    const size_t P = model->P;
    ol_state state = {.theta = ol_arena_reals(arena, P),
                      .m = ol_arena_reals(arena, P),
                      .v = ol_arena_reals(arena, P)};

    if (state.theta) {
        ol_vector_zero(P, state.theta);
        ol_vector_zero(P, state.m);
        ol_vector_zero(P, state.v);
    }
    return state;
}

double ol_outer_update(const ol_model *model, const ol_learner_spec *learner,
                       const ol_outer_spec *spec, const ol_span *spans, ol_real *G,
                       const ol_real *mean_m, const ol_real *mean_v, ol_state *state)
{
    const size_t P = model->P;
    const double norm = ol_vector_norm(P, G);

    if (spec->max_grad_norm > 0 && norm > spec->max_grad_norm)
        ol_vector_scale(P, (ol_real)(spec->max_grad_norm / norm), G); /* (1) */
    if (ol_learner_carries_m(learner))
        memcpy(state->m, mean_m, P * sizeof *state->m); /* (2) */
    if (ol_learner_carries_v(learner)) {
        memcpy(state->v, mean_v, P * sizeof *state->v);
        state->t += learner->steps;
    }
    ol_adam_step(&spec->adam, model->n_params, spans, ++state->t, G, state->theta, state->m,
                 state->v); /* (3) */
    return norm;
}
