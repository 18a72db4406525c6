/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/meta/outer.h"

#include <math.h>
#include <string.h>

enum { CLIPPED = 8192 }; /* reals of G that are clipped at a time: 8 of ol_adam_step's blocks */

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

void ol_outer_divide(const ol_model *model, const ol_learner_spec *learner, int index, int count,
                     ol_outer_share *share)
{
    const ol_span own = {.offset = model->P, .size = ol_learner_size(model, learner) - model->P};
    const int n = ol_model_spans(model, OL_OF_TRAINED, share->spans);

    share->n_spans = ol_spans_share(n, share->spans, index, count, share->spans);
    if (ol_spans_share(1, &own, index, count, &share->own) == 0)
        share->own = (ol_span){.offset = model->P};
}

/* Of the n reals of one kind. */
static void squares_of(size_t n, const ol_real *G, int index, int count, double *squares)
{
    const int from = OL_OUTER_PIECES * index / count, to = OL_OUTER_PIECES * (index + 1) / count;

    for (int i = from; i < to; i++) {
        const size_t start = n * (size_t)i / OL_OUTER_PIECES,
                     end = n * ((size_t)i + 1) / OL_OUTER_PIECES;

        squares[i] = ol_vector_dot(end - start, G + start, G + start);
    }
}

void ol_outer_squares(const ol_model *model, const ol_learner_spec *learner,
                      const ol_contribution *mean, int index, int count, double *squares)
{
    const ol_real *G = ol_contribution_part(mean, "delta");
    const size_t P = model->P;

    squares_of(P, G, index, count, squares);
    squares_of(ol_learner_size(model, learner) - P, G + P, index, count, squares + OL_OUTER_PIECES);
}

void ol_outer_norms(const double *squares, ol_outer_share *share)
{
    double theta = 0, own = 0;

    for (int i = 0; i < OL_OUTER_PIECES; i++) {
        theta += squares[i];
        own += squares[OL_OUTER_PIECES + i];
    }
    share->norm = sqrt(theta);
    share->own_norm = sqrt(own);
}

double ol_outer_alone(const ol_model *model, const ol_learner_spec *learner,
                      const ol_outer_spec *outer, ol_span *spans, const ol_contribution *mean,
                      ol_state *state)
{
    double squares[OL_OUTER_SQUARES];
    ol_outer_share all = {.spans = spans};

    ol_outer_squares(model, learner, mean, 0, 1, squares);
    ol_outer_divide(model, learner, 0, 1, &all);
    ol_outer_norms(squares, &all);
    learner->learner->outer(learner, outer, &all, mean, state);
    return all.norm;
}

void ol_outer_carry(const ol_learner_spec *learner, const ol_outer_share *share,
                    const ol_contribution *mean, ol_state *state)
{
    const ol_real *m = ol_contribution_part(mean, "m"), *v = ol_contribution_part(mean, "v");

    for (int i = 0; i < share->n_spans; i++) {
        const size_t at = share->spans[i].offset, bytes = share->spans[i].size * sizeof *m;

        if (m)
            memcpy(state->m + at, m + at, bytes);
        if (v)
            memcpy(state->v + at, v + at, bytes);
    }
    if (v)
        state->t += learner->steps;
}

/* (1) and (3) on spans of one kind. G stays as it is, for others may read it: what is clipped is a copy, of
   whole blocks of ol_adam_step at a time. */
static void step(const ol_adam_spec *adam, double norm, double most, int n, const ol_span *spans,
                 const ol_real *G, ol_state *state)
{
    ol_real clipped[CLIPPED];

    if (most <= 0 || norm <= most) {
        ol_adam_step(adam, n, spans, state->t, G, state->theta, state->m, state->v);
        return;
    }
    for (int i = 0; i < n; i++)
        for (size_t done = 0; done < spans[i].size; done += CLIPPED) {
            const size_t at = spans[i].offset + done, left = spans[i].size - done;
            const ol_span part = {0, left < CLIPPED ? left : CLIPPED, spans[i].decay};

            memcpy(clipped, G + at, part.size * sizeof *G);
            ol_vector_scale(part.size, (ol_real)(most / norm), clipped);
            ol_adam_step(adam, 1, &part, state->t, clipped, state->theta + at, state->m + at,
                         state->v + at);
        }
}

void ol_outer_adamw(const ol_learner_spec *learner, const ol_outer_spec *spec,
                    const ol_outer_share *share, const ol_contribution *mean, ol_state *state)
{
    const double most = spec->max_grad_norm;
    const ol_real *G = ol_contribution_part(mean, "delta");
    ol_adam_spec own = spec->adam;

    own.lr = spec->own_lr;
    ol_outer_carry(learner, share, mean, state); /* (2) */
    state->t++;
    step(&spec->adam, share->norm, most, share->n_spans, share->spans, G, state);
    step(&own, share->own_norm, most, 1, &share->own, G, state);
}
