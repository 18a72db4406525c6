/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "inner.h"
#include "outerloop/base/phase.h" /* ol_phase_enter */
#include "outerloop/meta/outer.h" /* ol_model_spans */

/* True when adapted first (second) moments are handed back to the outer loop. */
static bool carries_m(const ol_learner_spec *spec)
{
    return spec->inner == OL_ADAMW && spec->moments == OL_MOMENTS_CARRY;
}

static bool carries_v(const ol_learner_spec *spec)
{
    return carries_m(spec) || (spec->inner == OL_ADAMW && spec->moments == OL_MOMENTS_CARRY_V);
}

void ol_inner_declare(const ol_model *model, const ol_learner_spec *spec, ol_contribution *out)
{
    ol_contribution_add(out, "delta", ol_learner_size(model, spec), OL_MEAN);
    if (carries_m(spec))
        ol_contribution_add(out, "m", model->P, OL_MEAN);
    if (carries_v(spec))
        ol_contribution_add(out, "v", model->P, OL_MEAN);
}

static size_t tape_bytes(const ol_model *model, ol_extent support)
{
    ol_arena dry = ol_arena_dry("tape");

    ol_tape_layout(&dry, model, support);
    return dry.peak;
}

/* Bytes that tapes beside the last step's may take, were there that many steps. */
static size_t spare_bytes(const ol_learner_spec *spec, size_t tape)
{
    const size_t wanted = (size_t)(spec->steps - 1) * tape;

    if (spec->storage != OL_STORAGE_AUTO)
        return 0;
    return wanted < spec->storage_bytes ? wanted : spec->storage_bytes;
}

int ol_trajectory_tapes(const ol_model *model, const ol_learner_spec *spec, ol_extent support)
{
    const size_t tape = tape_bytes(model, support);

    if (!ol_learner_exact(spec) || spec->storage == OL_STORAGE_RECOMPUTE)
        return 0;
    return 1 + (int)(spare_bytes(spec, tape) / tape);
}

static void lay_tapes(ol_arena *arena, ol_extent support, ol_trajectory *t)
{
    t->n_tapes = ol_trajectory_tapes(t->model, t->spec, support);
    t->tapes = ol_arena_take(arena, (size_t)t->n_tapes * sizeof *t->tapes);
    for (int i = 0; i < t->n_tapes; i++) {
        ol_tape *tape = ol_tape_layout(arena, t->model, support);

        if (t->tapes)
            t->tapes[i] = tape;
    }
}

ol_trajectory ol_trajectory_layout(ol_arena *arena, const ol_model *model,
                                   const ol_learner_spec *spec, ol_extent support)
{
    const size_t P = model->P;
    const bool exact = ol_learner_exact(spec), adam = spec->inner == OL_ADAMW;
    const int stored = exact || spec->learner->pullback ? spec->steps : 1;
    ol_span *spans = ol_arena_take(arena, (size_t)model->n_params * sizeof *spans);
    ol_trajectory t = {.model = model, .spec = spec, .spans = spans, .K = stored};

    if (spans)
        t.n_spans = ol_model_spans(model, OL_OF_ADAPTED, spans);
    t.g = ol_arena_take(arena, (size_t)stored * sizeof *t.g);
    for (int k = 0; k < stored; k++) {
        ol_real *g = ol_arena_reals(arena, P);

        if (t.g)
            t.g[k] = g;
    }
    t.x = ol_arena_reals(arena, P);
    /* With one exact step the moments pass through registers, unless they are carried out. */
    if (adam && (!exact || spec->steps > 1 || carries_v(spec))) {
        t.m = carries_m(spec) ? NULL : ol_arena_reals(arena, P);
        t.v = carries_v(spec) ? NULL : ol_arena_reals(arena, P);
    }
    if (exact && adam && spec->steps > 1) {
        t.lm = ol_arena_reals(arena, P);
        t.lv = ol_arena_reals(arena, P);
    }
    lay_tapes(arena, support, &t);
    return t;
}

/* Larger of two byte counts. */
static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ol_inner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                      ol_extent query)
{
    const bool exact = ol_learner_exact(spec);
    const size_t tape = tape_bytes(model, support);
    ol_arena dry = ol_arena_dry("episode");
    const ol_trajectory path = ol_trajectory_layout(&dry, model, spec, support);

    if (path.n_tapes > 0) /* a smaller support may fill the budget with tapes of more steps */
        ol_arena_take(&dry, spare_bytes(spec, tape) - (size_t)(path.n_tapes - 1) * tape);
    if (spec->measure_share)
        ol_arena_reals(&dry, ol_learner_size(model, spec));
    return dry.peak + most(ol_objective_bytes(model, support, exact ? OL_PRODUCT : OL_GRADIENT,
                                              path.n_tapes > 0),
                           ol_objective_bytes(model, query, OL_GRADIENT, false));
}

void ol_inner_step(const ol_model *model, const ol_learner_spec *spec, int n_spans,
                   const ol_span *spans, const ol_real *own, int64_t t, const ol_real *g,
                   ol_real *x, ol_real *m, ol_real *v)
{
    if (spec->learner->step)
        spec->learner->step(model, spec, own, g, x);
    else if (spec->inner == OL_SGD)
        ol_sgd_step(spec->adam.lr, n_spans, spans, g, x);
    else
        ol_adam_step(&spec->adam, n_spans, spans, t, g, x, m, v);
}

/* The moments that the inner optimizer starts from. */
static ol_state_view inner_start(const ol_learner_spec *spec, ol_state_view state)
{
    if (spec->moments == OL_MOMENTS_SEPARATE)
        return (ol_state_view){.theta = state.theta};
    if (spec->moments == OL_MOMENTS_CARRY_V)
        state.m = NULL;
    return state;
}

static void copy_or_zero(size_t P, const ol_real *from, ol_real *to)
{
    if (from)
        memcpy(to, from, P * sizeof *to);
    else
        memset(to, 0, P * sizeof *to);
}

static ol_adam_path path_of(const ol_trajectory *t)
{
    return (ol_adam_path){.spec = &t->spec->adam,
                          .n_spans = t->n_spans,
                          .spans = t->spans,
                          .t0 = t->start.t,
                          .x0 = t->start.theta,
                          .m0 = t->start.m,
                          .v0 = t->start.v,
                          .g = (const ol_real *const *)t->g};
}

/* The learner's own parameters. */
static const ol_real *own_of(const ol_trajectory *t)
{
    return t->start.theta + t->model->P;
}

/* θ, and the moments where they run; what is carried runs in the place that it is handed back in. */
static void start_walk(ol_trajectory *t, const ol_task *task)
{
    const size_t P = t->model->P;

    t->start = inner_start(t->spec, task->state);
    memcpy(t->x, t->start.theta, P * sizeof *t->x);
    if (carries_m(t->spec))
        t->m = ol_contribution_part(task->out, "m");
    if (carries_v(t->spec))
        t->v = ol_contribution_part(task->out, "v");
    if (t->m) {
        copy_or_zero(P, t->start.m, t->m);
        copy_or_zero(P, t->start.v, t->v);
    }
}

/* The tape that is kept of step k, or NULL. */
static ol_tape *own_tape(const ol_trajectory *t, int k)
{
    const int back = t->spec->steps - 1 - k;

    return back < t->n_tapes ? t->tapes[back] : NULL;
}

ol_status ol_trajectory_forward(ol_trajectory *t, const ol_task *task)
{
    const ol_batch *support = &task->episode->support;
    const int K = t->spec->steps;
    double *losses = task->inner_losses;

    start_walk(t, task);
    for (int k = 0; k < K; k++) {
        ol_real *g = t->g[k < t->K ? k : 0];

        OL_TRY(heed_stop(t->spec));
        losses[k] =
            ol_objective_grad(t->model, support, t->x, OL_OF_ADAPTED, own_tape(t, k), task->ws, g);
        OL_CHECK(isfinite(losses[k]), OL_ENONFINITE, "support loss is %g before inner step %d",
                 losses[k], k);
        const ol_phase was = ol_phase_enter(OL_PHASE_INNER);

        if (t->m || t->spec->inner == OL_SGD) {
            ol_inner_step(t->model, t->spec, t->n_spans, t->spans, own_of(t), t->start.t + k + 1, g,
                          t->x, t->m, t->v);
        } else {
            const ol_adam_path path = path_of(t);

            ol_adam_replay(&path, k + 1, t->x);
        }
        ol_phase_leave(was);
    }
    return OL_OK;
}

/* θ_k of SGD: made in x from the gradients before it. */
static void rewind_sgd(ol_trajectory *t, int k)
{
    memcpy(t->x, t->start.theta, t->model->P * sizeof *t->x);
    for (int j = 0; j < k; j++)
        ol_inner_step(t->model, t->spec, t->n_spans, t->spans, own_of(t), j + 1, t->g[j], t->x,
                      NULL, NULL);
}

/* Back through step k but for its gradient's dependence on θ_k: λg, in the place of the gradient, which
 * nobody needs any more, and what is left of λx. Returns θ_k, made in x but for θ_0, which is there. */
static const ol_real *step_back(ol_trajectory *t, int k, ol_real *l)
{
    const size_t P = t->model->P;
    ol_real *lg = t->g[k];

    if (t->spec->inner == OL_ADAMW) {
        const ol_adam_path path = path_of(t);

        ol_adam_adjoint(&path, k, t->x, l, t->lm, t->lv, lg);
    } else if (t->spec->learner->pullback) {
        t->spec->learner->pullback(t->model, t->spec, own_of(t), t->g[k], l, lg, l + P);
    } else {
        const ol_real rate = (ol_real)-t->spec->adam.lr; /* λg = -α λx */

        for (size_t i = 0; i < P; i++)
            lg[i] = rate * l[i];
    }
    if (k > 0 && t->spec->inner == OL_SGD)
        rewind_sgd(t, k);
    return k > 0 ? t->x : t->start.theta;
}

ol_status ol_trajectory_backward(ol_trajectory *t, const ol_batch *support, ol_arena *ws,
                                 ol_real *l)
{
    const size_t P = t->model->P;
    const int K = t->spec->steps;
    ol_tape *spare = t->n_tapes > 0 ? t->tapes[0] : NULL; /* free once the last step is behind */

    if (t->lm) {
        ol_vector_zero(P, t->lm);
        ol_vector_zero(P, t->lv);
    }
    for (int k = K - 1; k >= 0; k--) {
        ol_tape *tape = own_tape(t, k);

        OL_TRY(heed_stop(t->spec));
        const ol_phase was = ol_phase_enter(OL_PHASE_INNER);

        const ol_real *x = step_back(t, k, l);

        ol_phase_leave(was);
        ol_objective_hvp(t->model, support, x, t->g[k], tape ? tape : spare, ws, l);
    }
    return OL_OK;
}

void ol_trajectory_first_order(const ol_trajectory *t, ol_real *l)
{
    const ol_model *model = t->model;

    if (t->spec->inner == OL_ADAMW)
        ol_adam_decay(&t->spec->adam, t->n_spans, t->spans, t->spec->steps, l);
    for (int k = t->K - 1; k >= 0 && t->spec->learner->pullback; k--)
        t->spec->learner->pullback(model, t->spec, own_of(t), t->g[k], l, NULL, l + model->P);
}
