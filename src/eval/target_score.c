/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/target_score.h"

#include <math.h>
#include <string.h>

#include "outerloop/base/clock.h" /* ol_clock_seconds */

/* What stays during an item, beside the scratch of objective and learner. */
typedef struct work {
    ol_real *theta;     /* [O] adapted parameters, and the learner's own */
    ol_real *m, *v;     /* [P] moments of adaptation; none when in context alone */
    const char **texts; /* [rows] predicted options                      */
    double *nulls;      /* [null prompts] their losses                   */
} work;

int ol_eval_scorings(const ol_eval_spec *spec)
{
    return spec->in_context + spec->pmi + spec->n_counts;
}

int ol_eval_steps(const ol_eval_spec *spec, int i)
{
    const int first = spec->in_context + spec->pmi;

    if (i >= first)
        return spec->counts[i - first];
    return i == 0 && spec->in_context ? OL_STEPS_IN_CONTEXT : OL_STEPS_PMI;
}

static work lay_out(ol_arena *arena, const ol_model *model, const ol_eval_spec *spec,
                    const ol_eval_target *target)
{
    work w = {0};

    w.texts = ol_arena_take(arena, (size_t)target->rows * sizeof *w.texts);
    if (spec->pmi)
        w.nulls = ol_arena_take(arena, (size_t)target->nulls->B * sizeof *w.nulls);
    if (spec->n_counts > 0) {
        w.theta = ol_arena_reals(arena, ol_learner_size(model, &spec->learner));
        w.m = ol_arena_reals(arena, model->P);
        w.v = ol_arena_reals(arena, model->P);
    }
    return w;
}

size_t ol_eval_target_bytes(const ol_model *model, const ol_eval_spec *spec,
                            const ol_eval_target *target)
{
    ol_arena dry = ol_arena_dry("evaluation");
    size_t scratch = ol_objective_bytes(model, ol_batch_extent(target->prompts), OL_LOSSES, false);

    if (spec->pmi) {
        const size_t nulls =
            ol_objective_bytes(model, ol_batch_extent(target->nulls), OL_LOSSES, false);
        if (nulls > scratch)
            scratch = nulls;
    }
    if (spec->n_counts > 0 && target->support) {
        const size_t adapt = ol_learner_adapt_bytes(model, ol_batch_extent(target->support));
        if (adapt > scratch)
            scratch = adapt;
    }
    lay_out(&dry, model, spec, target);
    return dry.used + scratch;
}

static ol_status check(const ol_model *model, const ol_eval_spec *spec,
                       const ol_eval_target *target)
{
    const ol_model_spec *m = &model->spec;
    int64_t options = 0;

    OL_CHECK(target->rows > 0, OL_EDATA, "%s has no test rows", target->name);
    for (int r = 0; r < target->rows; r++) {
        OL_CHECK(target->options_per_row[r] > 0, OL_EDATA, "%s: test row %d has no options",
                 target->name, r);
        options += target->options_per_row[r];
    }
    OL_CHECK(options == target->prompts->B, OL_EDATA, "%s: %d prompts for %lld options",
             target->name, target->prompts->B, (long long)options);
    OL_TRY(ol_batch_check(target->prompts, m->vocab, m->context, target->name));
    if (spec->pmi) {
        OL_CHECK(spec->in_context && target->nulls && target->null_of, OL_EUSAGE,
                 "%s: eval.pmi needs scores in context and the prompts of the empty input",
                 target->name);
        OL_TRY(ol_batch_check(target->nulls, m->vocab, m->context, target->name));
    }
    for (int i = 0; i < spec->n_counts; i++)
        OL_CHECK(spec->counts[i] > (i > 0 ? spec->counts[i - 1] : 0), OL_EUSAGE,
                 "eval.adapt_steps must be above 0 and ascend; %d does not", spec->counts[i]);
    if (spec->n_counts == 0)
        return OL_OK;
    OL_CHECK(target->support, OL_EUSAGE,
             "%s has no rows to adapt to: set eval.shots above 0, or leave the adapt stage out",
             target->name);
    return ol_batch_check(target->support, m->vocab, m->context, target->name);
}

/* Predictions and score from the option losses. */
static ol_status conclude(const ol_eval_target *target, const ol_eval_result *result,
                          const char **texts, ol_eval_scoring *s)
{
    for (int i = 0; i < result->prompts; i++)
        s->diverged |= !isfinite(s->losses[i]);
    for (int r = 0; r < result->rows; r++) {
        const int first = result->offsets[r];
        s->predicted[r] = ol_score_pick(result->offsets[r + 1] - first, s->losses + first);
        texts[r] = s->predicted[r] < 0 ? NULL : result->options[first + s->predicted[r]];
    }
    s->calibration =
        ol_score_calibration(result->rows, result->offsets, s->losses, texts, target->gold);
    return ol_score_rows(result->metric, result->rows, texts, target->gold, &s->score);
}

/* Losses of prompts, unless somebody asks to stop. */
static ol_status losses_of(const ol_model *model, const ol_eval_spec *spec, const ol_batch *prompts,
                           const ol_real *theta, ol_arena *ws, double *losses)
{
    OL_CHECK(ol_objective_losses_unless(spec->learner.stop, model, prompts, theta, ws, losses),
             OL_ESTOPPED, "asked to stop");
    return OL_OK;
}

/* From the parameters and moments after `done` steps to those after s->steps. A loss that is not
   finite is a finding (s->diverged), not a failure. */
static ol_status adapt(const ol_model *model, const ol_eval_spec *spec,
                       const ol_eval_target *target, const work *w, int64_t t0, int done,
                       ol_arena *ws, ol_eval_scoring *s)
{
    const ol_mark mark = ol_arena_mark(ws);

    for (int j = done; j < s->steps; j++) {
        const ol_status status = ol_learner_adapt(model, &spec->learner, target->support, 1, t0 + j,
                                                  ws, w->theta, w->m, w->v, &s->support);
        ol_arena_rewind(ws, mark);
        s->diverged = status == OL_ENONFINITE;
        if (status != OL_OK)
            return s->diverged ? OL_OK : status;
    }
    return OL_OK;
}

/* (4) from the losses in context, which the first scoring has. */
static ol_status score_pmi(const ol_model *model, const ol_eval_spec *spec,
                           const ol_eval_target *target, const ol_real *theta, const work *w,
                           ol_arena *ws, const double *losses, ol_eval_scoring *s)
{
    OL_TRY(losses_of(model, spec, target->nulls, theta, ws, w->nulls));
    for (int b = 0; b < target->prompts->B; b++)
        s->losses[b] = losses[b] - w->nulls[target->null_of[b]];
    return OL_OK;
}

/* (1) to (4). */
static ol_status score_all(const ol_model *model, const ol_eval_spec *spec,
                           const ol_eval_target *target, ol_state_view state, ol_arena *ws,
                           ol_eval_result *result)
{
    const work w = lay_out(ws, model, spec, target);
    const ol_real *theta = state.theta;
    int64_t t0 = 0;
    int done = 0, diverged = 0;

    for (int i = 0; i < result->n; i++) {
        ol_eval_scoring *s = &result->scorings[i];
        const double begin = ol_clock_seconds();
        const int c = i - spec->in_context - spec->pmi;
        s->steps = ol_eval_steps(spec, i);
        s->support = (double)NAN;
        if (c == 0) {
            memcpy(w.theta, state.theta, ol_learner_size(model, &spec->learner) * sizeof *w.theta);
            t0 = ol_learner_start_moments(model, &spec->learner, state, w.m, w.v);
            theta = w.theta;
        }
        if (c >= 0 && !diverged)
            OL_TRY(adapt(model, spec, target, &w, t0, done, ws, s));
        diverged |= c >= 0 && s->diverged;
        done = c >= 0 ? s->steps : 0;
        if (s->steps == OL_STEPS_PMI)
            OL_TRY(score_pmi(model, spec, target, theta, &w, ws, result->scorings[0].losses, s));
        else if (!diverged)
            OL_TRY(losses_of(model, spec, target->prompts, theta, ws, s->losses));
        for (int b = 0; diverged && b < result->prompts; b++)
            s->losses[b] = (double)NAN;
        OL_TRY(conclude(target, result, w.texts, s));
        s->seconds = ol_clock_seconds() - begin;
    }
    return OL_OK;
}

ol_status ol_eval_target_score(const ol_model *model, const ol_eval_spec *spec,
                               const ol_eval_target *target, ol_state_view state, ol_arena *ws,
                               ol_eval_result *result)
{
    const ol_mark mark = ol_arena_mark(ws);
    ol_status status;

    *result = (ol_eval_result){0};
    OL_TRY(check(model, spec, target));
    OL_TRY(ol_eval_result_init(target->rows, target->options_per_row, target->options,
                               ol_eval_scorings(spec), result));
    result->metric = target->metric;
    for (int r = 0; r < result->rows; r++) {
        result->gold[r] = -1;
        for (int i = result->offsets[r + 1] - 1; i >= result->offsets[r]; i--)
            if (ol_score_same(result->options[i], target->gold[r]))
                result->gold[r] = i - result->offsets[r];
    }
    status = ol_score_floors(result->metric, result->rows, result->offsets, target->options,
                             target->gold, &result->chance, &result->majority);
    if (status == OL_OK)
        status = score_all(model, spec, target, state, ws, result);
    ol_arena_rewind(ws, mark);
    if (status != OL_OK)
        ol_eval_result_finish(result);
    return status;
}
