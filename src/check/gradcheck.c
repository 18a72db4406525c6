/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/check/gradcheck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "difference.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/base/rng.h"   /* ol_rng_stream */

static const double TOLERANCE = 1e-6; /* of the error, relative to ‖Δ_T‖                  */
static const double DECIDED = 1e-3;   /* most error of a difference, relative to the same */
static const double ENOUGH = 1e-8;    /* no difference need be better                     */
static const double FLOOR = 1e-8; /* least ‖Δ_T‖ that counts, relative to ‖Δ‖         */

/* What is checked, in this precision. */
typedef struct checker {
    const ol_gradcheck_spec *spec;
    const ol_gradcheck_plan *plan;
    FILE *out;
    ol_gradcheck_tally *tally;
    ol_model *model;
    void *frozen;
    ol_learner_spec learner;
    size_t O;
    int n_tensors;
    ol_tensor *tensors; /* [n_tensors] */
    int *order;         /* [n_tensors] of them, largest first      */
    ol_span *spans;     /* [n_params]                              */
    ol_arena memory;    /* of the vectors that follow              */
    ol_state state;
    ol_contribution one, sum; /* of an episode; of the episodes of a meta-step */
    ol_real *base;            /* [O] where lines start: θ, or θ_K of order 1   */
    ol_real *x, *u;           /* [O] a point of the line, and its direction    */
    ol_real *m, *v;           /* [P] */
    double *inner_losses;     /* [K] */
    ol_arena scratch;         /* of the episode at hand */
    ol_episode episode;
    size_t from, to; /* elements that the line moves */
    double noise;
} checker;

double ol_gradcheck_error(const ol_gradcheck_quantity *q)
{
    const double error = fabs(q->slope - q->difference);

    return q->norm > 0.0 ? error / q->norm : error;
}

bool ol_gradcheck_holds(const ol_gradcheck_quantity *q)
{
    return fabs(q->slope - q->difference) <= TOLERANCE * q->norm + q->uncertainty &&
           q->uncertainty <= DECIDED * q->norm + (q->norm > 0.0 ? 0.0 : TOLERANCE);
}

static bool is_gradient(const checker *c)
{
    return !c->learner.learner->ordered || c->learner.order == 2;
}

/* --- what is minimised ------------------------------------------------------------------------ */

static double mean_loss(checker *c, const ol_batch *batch, const ol_real *theta)
{
    const ol_mark mark = ol_arena_mark(&c->scratch);
    double *losses = ol_arena_take(&c->scratch, (size_t)batch->B * sizeof *losses), sum = 0.0;

    ol_objective_losses(c->model, batch, theta, &c->scratch, losses);
    for (int b = 0; b < batch->B; b++)
        sum += losses[b];
    ol_arena_rewind(&c->scratch, mark);
    return sum / batch->B;
}

/* All inner steps, x from θ to θ_K. */
static ol_status adapt(checker *c, ol_real *x)
{
    const ol_mark mark = ol_arena_mark(&c->scratch);
    const int64_t t =
        ol_learner_start_moments(c->model, &c->learner, ol_state_borrow(&c->state), c->m, c->v);
    const ol_status status =
        ol_learner_adapt(c->model, &c->learner, &c->episode.support, c->learner.steps, t,
                         &c->scratch, x, c->m, c->v, NULL);

    ol_arena_rewind(&c->scratch, mark);
    return status;
}

/* q at x, which is overwritten. */
static double objective(checker *c, ol_real *x)
{
    const ol_batch *support = &c->episode.support, *query = &c->episode.query;
    const double share = (double)query->B / (support->B + query->B);

    if (c->learner.learner->inner_loop) {
        if (is_gradient(c) && adapt(c, x) != OL_OK)
            return (double)NAN;
        return mean_loss(c, query, x);
    }
    return share * mean_loss(c, query, x) +
           (support->B > 0 ? (1.0 - share) * mean_loss(c, support, x) : 0.0);
}

/* An ol_line_function: q at a distance h along u. */
static double along(void *payload, double h)
{
    checker *c = payload;

    memcpy(c->x, c->base, c->O * sizeof *c->x);
    for (size_t i = c->from; i < c->to; i++)
        c->x[i] += (ol_real)h * c->u[i];
    return objective(c, c->x);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* What order 1 leaves of a movement of θ: the decay of the inner steps. */
static double decay_of(const checker *c, const ol_param *p)
{
    const ol_adam_spec *a = &c->learner.adam;

    if (is_gradient(c) || c->learner.inner != OL_ADAMW || !p->adapts || !ol_param_decays(p))
        return 1.0;
    return pow(1.0 - a->lr * a->weight_decay, c->learner.steps);
}

/* Lay a line through elements from..to. Returns Δ·u. */
static double lay(checker *c, const ol_real *delta, size_t from, size_t to, uint32_t stream,
                  uint32_t number)
{
    ol_rng rng = ol_rng_stream(c->spec->seed, OL_RNG_TEST, stream, number);

    c->from = from;
    c->to = to;
    for (size_t i = from; i < to; i++)
        c->u[i] = ol_rng_u32(&rng) & 1 ? 1 : -1;
    const double slope = ol_vector_dot(to - from, delta + from, c->u + from);

    for (int i = 0; i < c->model->n_params; i++) {
        const ol_param *p = &c->model->params[i];

        if (p->offset >= from && p->offset + p->size <= to)
            ol_vector_scale(p->size, (ol_real)decay_of(c, p), c->u + p->offset);
    }
    return slope;
}

/* A first step: a hundredth of what stands there, or of 0.1 where nothing does. */
static double first_step(const checker *c)
{
    const double size =
        ol_vector_norm(c->to - c->from, c->base + c->from) / sqrt((double)(c->to - c->from));

    return 1e-2 * (size > 0.0 ? size : 0.1);
}

static ol_gradcheck_quantity measure(checker *c, double norm, double slope)
{
    const ol_slope d = ol_difference_slope(along, c, first_step(c), c->noise, ENOUGH * norm);

    return (ol_gradcheck_quantity){
        .norm = norm, .slope = slope, .difference = d.value, .uncertainty = d.error};
}

static void say(checker *c, const char *name, size_t size, double norm,
                const ol_gradcheck_quantity *q)
{
    const double error = ol_gradcheck_error(q);
    const bool holds = ol_gradcheck_holds(q), decided = q->uncertainty <= DECIDED * q->norm;

    fprintf(c->out, "  %-42s %9zu  %9.3e  %+10.3e  %+10.3e  %8.1e  %s\n", name, size, norm,
            q->slope, q->difference, error,
            holds                       ? "ok"
            : decided || q->norm <= 0.0 ? "PAST THE TOLERANCE"
                                        : "NOT DECIDED");
    fflush(c->out);
    c->tally->compared++;
    c->tally->past += !holds;
    if (!(error <= c->tally->worst)) {
        c->tally->worst = error;
        snprintf(c->tally->tensor, sizeof c->tally->tensor, "%s", name);
    }
}

/* All directions of one tensor, or of all; the one that stands worst is told. */
static void compare(checker *c, const ol_real *delta, const char *name, size_t from, size_t to,
                    uint32_t stream, double floor)
{
    const double norm = ol_vector_norm(to - from, delta + from);
    ol_gradcheck_quantity worst = {0};

    for (int d = 0; d < c->plan->directions; d++) {
        const double slope = lay(c, delta, from, to, stream, (uint32_t)d);
        const ol_gradcheck_quantity q = measure(c, fmax(norm, floor), slope);

        if (d == 0 || (ol_gradcheck_holds(&worst) && !ol_gradcheck_holds(&q)) ||
            (ol_gradcheck_holds(&worst) == ol_gradcheck_holds(&q) &&
             ol_gradcheck_error(&q) > ol_gradcheck_error(&worst)))
            worst = q;
    }
    say(c, name, to - from, norm, &worst);
}

/* --- an episode ------------------------------------------------------------------------------- */

static ol_status make_scratch(checker *c)
{
    const ol_extent support = ol_batch_extent(&c->episode.support);
    const ol_extent query = ol_batch_extent(&c->episode.query),
                    both = ol_extent_max(support, query);
    size_t bytes = ol_learner_bytes(c->model, &c->learner, support, query), other;

    other = ol_learner_adapt_bytes(c->model, support);
    bytes = other > bytes ? other : bytes;
    other = ol_objective_bytes(c->model, both, OL_LOSSES, false) +
            (size_t)both.prompts * sizeof(double) + 64;
    bytes = other > bytes ? other : bytes;
    ol_arena_finish(&c->scratch);
    return ol_arena_init(&c->scratch, "activations of an episode", bytes);
}

static ol_status draw(checker *c, int64_t step, int n)
{
    ol_batch_clear(&c->episode.support);
    ol_batch_clear(&c->episode.query);
    OL_TRY(c->spec->draw(c->spec->payload, step, n, &c->episode));
    return make_scratch(c);
}

static ol_status run_episode(checker *c, ol_episode_report *report)
{
    return ol_learner_episode(c->model, &c->learner, &c->episode, ol_state_borrow(&c->state),
                              &c->scratch, &c->one, c->inner_losses, report);
}

static void say_episode(checker *c, int64_t step, int n, const ol_episode_report *r)
{
    fprintf(c->out, "\n%s, meta-step %lld, episode %d (%s): loss ", c->spec->name,
            (long long)step + 1, n, c->spec->task(c->spec->payload, c->episode.task));
    if (c->learner.learner->inner_loop)
        fprintf(c->out, "%.5g -> %.5g", r->query_before, r->query_after);
    else
        fprintf(c->out, "%.5g", r->query_after);
    fprintf(c->out, " nats, |gradient| %.4e", r->grad_norm);
    if (isfinite(r->second_order))
        fprintf(c->out, ", second order %.3g of the first-order part", r->second_order);
    fprintf(c->out, "\n  %-42s %9s  %9s  %10s  %10s  %8s\n", "tensor", "reals", "|gradient|",
            "gradient.u", "difference", "error");
}

/* Where the lines start, and how well q is known there. */
static ol_status make_ground(checker *c)
{
    memcpy(c->base, c->state.theta, c->O * sizeof *c->base);
    if (!is_gradient(c))
        OL_TRY(adapt(c, c->base));
    lay(c, c->base, 0, c->model->P, 0, UINT32_MAX);
    c->noise = ol_difference_noise(along, c, 1e-12 * first_step(c));
    return OL_OK;
}

static ol_status check_episode(checker *c, int64_t step, int n)
{
    const ol_real *delta = ol_contribution_part(&c->one, "delta");
    /* the own parameters of a learner are moved by its inner steps, which order 1 leaves out */
    const size_t end = is_gradient(c) ? c->O : c->model->P;
    const int most = c->plan->tensors < c->n_tensors ? c->plan->tensors : c->n_tensors;
    ol_episode_report report;
    double floor;

    OL_TRY(draw(c, step, n));
    OL_TRY(run_episode(c, &report));
    floor = FLOOR * ol_vector_norm(c->O, delta);
    say_episode(c, step, n, &report);
    OL_TRY(make_ground(c));
    for (int i = 0; i < c->n_tensors; i++) {
        const ol_tensor *t = &c->tensors[i];

        if (c->order[i] < most && t->offset < end)
            compare(c, delta, t->name, t->offset, t->offset + t->size, (uint32_t)i + 1, floor);
    }
    compare(c, delta, "all tensors", 0, end, 0, floor);
    if (most < c->n_tensors)
        fprintf(c->out, "  (the %d largest of %d tensors; --tensors %d checks each)\n", most,
                c->n_tensors, c->n_tensors);
    return OL_OK;
}

/* --- meta-steps before ------------------------------------------------------------------------ */

static ol_status meta_step(checker *c, int64_t step)
{
    const ol_outer_spec outer = c->spec->outer(c->spec->payload, step);
    ol_episode_report report;

    for (int n = 0; n < c->spec->N; n++) {
        OL_TRY(draw(c, step, n));
        OL_TRY(run_episode(c, &report));
        for (int i = 0; i < c->one.n; i++) {
            const ol_part *part = &c->one.parts[i];

            if (n == 0)
                ol_vector_zero(part->size, c->sum.parts[i].vector);
            ol_vector_axpy(part->size,
                           part->reduction == OL_MEAN ? (ol_real)1 / (ol_real)c->spec->N : 1,
                           part->vector, c->sum.parts[i].vector);
        }
    }
    ol_outer_alone(c->model, &c->learner, &outer, c->spans, &c->sum, &c->state);
    return OL_OK;
}

/* --- life ------------------------------------------------------------------------------------- */

static void place(ol_arena *arena, checker *c)
{
    c->state = ol_state_layout(arena, c->O);
    c->one = ol_contribution_layout(arena, c->model, &c->learner);
    c->sum = ol_contribution_layout(arena, c->model, &c->learner);
    c->base = ol_arena_reals(arena, c->O);
    c->x = ol_arena_reals(arena, c->O);
    c->u = ol_arena_reals(arena, c->O);
    c->m = ol_arena_reals(arena, c->model->P);
    c->v = ol_arena_reals(arena, c->model->P);
    c->inner_losses = ol_arena_take(arena, ((size_t)c->learner.steps + 1) * sizeof(double));
    c->spans = ol_arena_take(arena, (size_t)c->model->n_params * sizeof *c->spans);
}

/* The frozen tensors, in this precision. */
static ol_status make_frozen(checker *c)
{
    c->frozen = malloc(c->model->frozen_bytes + 1);
    OL_CHECK(c->frozen, OL_ENOMEM, "no memory for %zu bytes of frozen weights",
             c->model->frozen_bytes);
    for (int i = 0; i < c->model->n_frozen; i++) {
        const ol_param *p = &c->model->frozen[i];
        double *values = malloc(2 * p->size * sizeof *values);

        OL_CHECK(values, OL_ENOMEM, "no memory for %s", p->name);
        c->spec->frozen(c->spec->payload, i, values);
        ol_real *reals = (ol_real *)(values + p->size);
        for (size_t j = 0; j < p->size; j++)
            reals[j] = (ol_real)values[j];
        ol_frozen_put(p, reals, c->frozen);
        free(values);
    }
    c->model->block = c->frozen;
    return OL_OK;
}

static ol_status list_tensors(checker *c)
{
    c->n_tensors = ol_learner_tensors(c->model, &c->learner, NULL);
    c->tensors = calloc((size_t)c->n_tensors, sizeof *c->tensors);
    c->order = calloc((size_t)c->n_tensors, sizeof *c->order);
    OL_CHECK(c->tensors && c->order, OL_ENOMEM, "no memory for %d tensors", c->n_tensors);
    ol_learner_tensors(c->model, &c->learner, c->tensors);
    for (int i = 0; i < c->n_tensors; i++)
        for (int j = 0; j < c->n_tensors; j++)
            c->order[i] += c->tensors[j].size > c->tensors[i].size ||
                           (c->tensors[j].size == c->tensors[i].size && j < i);
    return OL_OK;
}

static ol_status prepare(checker *c)
{
    ol_arena dry = ol_arena_dry("gradients");
    ol_real *theta;

    c->learner = *c->spec->learner;
    c->learner.learner = ol_learner_find(c->spec->learner->learner->name);
    c->learner.measure_before = true;
    c->learner.measure_share = ol_learner_exact(&c->learner);
    OL_TRY(ol_model_create(c->spec->shape, c->spec->trained, &c->model));
    OL_TRY(make_frozen(c));
    OL_TRY(list_tensors(c));
    c->O = ol_learner_size(c->model, &c->learner);
    place(&dry, c);
    OL_TRY(ol_arena_init(&c->memory, "parameters, moments and gradients", dry.peak));
    place(&c->memory, c);
    ol_model_spans(c->model, OL_OF_TRAINED, c->spans);
    theta = c->x;
    for (size_t i = 0; i < c->model->P; i++)
        theta[i] = (ol_real)c->spec->theta[i];
    ol_state_start(c->model, &c->learner, theta, &c->state);
    return OL_OK;
}

static void finish(checker *c)
{
    ol_batch_finish(&c->episode.support);
    ol_batch_finish(&c->episode.query);
    ol_arena_finish(&c->memory);
    ol_arena_finish(&c->scratch);
    ol_model_destroy(c->model);
    free(c->tensors);
    free(c->order);
    free(c->frozen);
}

ol_status ol_gradcheck(const ol_gradcheck_spec *spec, const ol_gradcheck_plan *plan, FILE *out,
                       ol_gradcheck_tally *tally)
{
    checker c = {.spec = spec, .plan = plan, .out = out, .tally = tally};
    ol_status status = prepare(&c);

    for (int s = 0; s < plan->after && status == OL_OK; s++)
        status = meta_step(&c, s);
    for (int e = 0; e < plan->episodes && status == OL_OK; e++)
        status = check_episode(&c, plan->after + e / spec->N, e % spec->N);
    finish(&c);
    return status;
}
