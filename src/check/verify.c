/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/check/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/collective/meta_step.h" /* ol_meta_step */
#include "outerloop/kernel/products.h"      /* ol_products_describe */
#include "verify_file.h"

#ifdef OL_F64
static const char *precision(void)
{
    return "f64";
}
#else
static const char *precision(void)
{
    return ol_products_describe();
}
#endif

/* A quantity of the file against ours: squares of the difference and of the expected value. */
typedef struct comparison {
    double difference, expected;
} comparison;

static double relative(comparison c)
{
    return c.expected > 0 ? sqrt(c.difference / c.expected) : sqrt(c.difference);
}

static void compare_number(comparison *c, double expected, double ours)
{
    c->difference += (expected - ours) * (expected - ours);
    c->expected += expected * expected;
}

static comparison compare_vectors(size_t n, const ol_real *expected, const ol_real *ours)
{
    comparison c = {0};

    for (size_t i = 0; i < n; i++)
        compare_number(&c, (double)expected[i], (double)ours[i]);
    return c;
}

/* One verification under way. */
typedef struct verification {
    ol_comm *comm;
    const char *path;
    ol_verify_case c;
    ol_real *expected; /* [P] scratch                                    */
    comparison *delta; /* [N] of the episodes of this rank               */
    ol_status status;  /* of reading expectations while observing        */
    double tolerance;
    int past; /* quantities past the tolerance */
} verification;

static ol_status copy_episode(void *payload, int64_t step, int n, ol_episode *episode)
{
    const verification *v = payload;

    (void)step;
    episode->task = n;
    OL_TRY(ol_batch_extend(&episode->support, &v->c.episodes[n].support));
    return ol_batch_extend(&episode->query, &v->c.episodes[n].query);
}

static void compare_delta(void *payload, int n, const ol_contribution *out)
{
    verification *v = payload;
    const ol_real *delta = ol_contribution_part(out, "delta");
    char group[96];
    ol_status status;

    snprintf(group, sizeof group, "/expected/tasks/%d/meta_gradient", n);
    status = ol_verify_read_flat(v->c.archive, group, v->c.model, v->expected);
    if (status != OL_OK)
        v->status = status;
    else
        v->delta[n] = compare_vectors(v->c.model->P, v->expected, delta);
}

/* Print a line on rank 0. A NaN is past any tolerance. */
static void say(verification *v, const char *quantity, double error)
{
    const bool within = error <= v->tolerance;

    v->past += !within;
    if (ol_comm_rank(v->comm) == 0)
        printf("  %-28s %9.2e  %s\n", quantity, error, within ? "ok" : "PAST THE TOLERANCE");
}

/* Δ_i were compared by the ranks that ran them. */
static ol_status say_deltas(verification *v)
{
    char quantity[64];

    for (int n = 0; n < v->c.N; n++) {
        ol_comm_stats difference, expected;

        OL_TRY(ol_comm_reduce(v->comm, v->delta[n].difference, &difference));
        OL_TRY(ol_comm_reduce(v->comm, v->delta[n].expected, &expected));
        snprintf(quantity, sizeof quantity, "meta_gradient of task %d", n);
        say(v, quantity, relative((comparison){difference.sum, expected.sum}));
    }
    return OL_OK;
}

typedef struct loss_errors {
    comparison before, inner, after;
} loss_errors;

static ol_status compare_losses(verification *v, const ol_meta_stepper *stepper, loss_errors *out)
{
    const ol_episode_record *records = ol_meta_stepper_records(stepper);
    const int K = v->c.learner.steps;
    OL_AUTO_FREE double *inner = malloc((size_t)K * sizeof *inner);
    double before, after;
    char group[64];

    OL_CHECK(inner, OL_ENOMEM, "no memory for %d losses", K);
    for (int n = 0; n < v->c.N; n++) {
        const double *ours = ol_meta_stepper_inner_losses(stepper, n);

        snprintf(group, sizeof group, "/expected/tasks/%d", n);
        OL_TRY(ol_archive_get_f64(v->c.archive, group, "query_loss_before", &before));
        OL_TRY(ol_archive_get_f64(v->c.archive, group, "query_loss_after", &after));
        OL_TRY(ol_archive_get_f64s(v->c.archive, group, "inner_losses", (size_t)K, inner));
        compare_number(&out->before, before, records[n].report.query_before);
        compare_number(&out->after, after, records[n].report.query_after);
        for (int k = 0; k < K; k++)
            compare_number(&out->inner, inner[k], ours[k]);
    }
    return OL_OK;
}

static ol_status compare_flat(verification *v, const char *group, const ol_real *ours,
                              double *error)
{
    OL_TRY(ol_verify_read_flat(v->c.archive, group, v->c.model, v->expected));
    *error = relative(compare_vectors(v->c.model->P, v->expected, ours));
    return OL_OK;
}

/* What every rank holds alike; each reads it, so a torn file fails on all. */
typedef struct outcome {
    loss_errors losses;
    double norm, params, m, v;
    int64_t step;
} outcome;

static ol_status compare_outcome(verification *v, const ol_meta_stepper *stepper,
                                 const ol_step_report *report, outcome *o)
{
    comparison norm = {0};
    double expected;

    OL_TRY(v->status);
    OL_CHECK(report->dropped == 0, OL_ECHECK, "%s: %d of %d tasks gave a loss that is not finite",
             v->path, report->dropped, v->c.N);
    OL_TRY(compare_losses(v, stepper, &o->losses));
    OL_TRY(ol_archive_get_f64(v->c.archive, "/expected", "meta_gradient_norm", &expected));
    compare_number(&norm, expected, report->grad_norm);
    o->norm = relative(norm);
    OL_TRY(compare_flat(v, "/expected/params", v->c.state.theta, &o->params));
    OL_TRY(compare_flat(v, "/expected/moments/m", v->c.state.m, &o->m));
    OL_TRY(compare_flat(v, "/expected/moments/v", v->c.state.v, &o->v));
    return ol_archive_get_i64(v->c.archive, "/expected", "step", &o->step);
}

static ol_status report_all(verification *v, const outcome *o)
{
    say(v, "query_loss_before", relative(o->losses.before));
    say(v, "inner_losses", relative(o->losses.inner));
    say(v, "query_loss_after", relative(o->losses.after));
    OL_TRY(say_deltas(v));
    say(v, "meta_gradient_norm", o->norm);
    say(v, "params", o->params);
    say(v, "moments/m", o->m);
    say(v, "moments/v", o->v);
    say(v, "step", fabs((double)o->step - (double)v->c.state.t));
    OL_CHECK(v->past == 0, OL_ECHECK, "%s: %d of %d quantities past the tolerance %.1e in %s",
             v->path, v->past, 8 + v->c.N, v->tolerance, precision());
    return OL_OK;
}

static ol_status run_step(verification *v, ol_meta_stepper *stepper, double *costs)
{
    ol_step_report report;
    outcome o = {0};

    for (int n = 0; n < v->c.N; n++)
        costs[n] = (double)(ol_batch_tokens(&v->c.episodes[n].support) +
                            ol_batch_tokens(&v->c.episodes[n].query));
    ol_meta_stepper_observe(stepper, compare_delta, v);
    OL_TRY(ol_meta_step(stepper, &v->c.outer, 0, costs, copy_episode, v, &v->c.state, &report));
    OL_TRY(ol_comm_agree(v->comm, compare_outcome(v, stepper, &report, &o)));
    return report_all(v, &o);
}

/* Read the file and allocate; local. */
static ol_status prepare(verification *v, double **costs)
{
    OL_TRY(ol_verify_case_read(v->path, &v->c));
    v->expected = malloc(v->c.model->P * sizeof *v->expected);
    v->delta = calloc((size_t)v->c.N, sizeof *v->delta);
    *costs = calloc((size_t)v->c.N, sizeof **costs);
    OL_CHECK(v->expected && v->delta && *costs, OL_ENOMEM, "no memory to compare %s", v->path);
#ifdef OL_F64
    v->tolerance = 1e-9;
#else
    v->tolerance =
        ol_products_used() == OL_PRODUCTS_F32 ? fmax(10 * v->c.float32_error, 1e-5) : INFINITY;
#endif
    return OL_OK;
}

static ol_status verify(verification *v, double *costs)
{
    ol_extent support = {0}, query = {0};
    ol_meta_stepper *stepper = NULL;
    ol_status status;

    for (int n = 0; n < v->c.N; n++) {
        support = ol_extent_max(support, ol_batch_extent(&v->c.episodes[n].support));
        query = ol_extent_max(query, ol_batch_extent(&v->c.episodes[n].query));
    }
    if (ol_comm_rank(v->comm) == 0)
        printf("%s: %s, tolerance %.1e, %d tasks\n", v->path, precision(), v->tolerance, v->c.N);
    status = ol_meta_stepper_create(v->comm, v->c.model, v->c.N, &v->c.learner, support, query,
                                    &stepper);
    if (status == OL_OK)
        status = run_step(v, stepper, costs);
    ol_meta_stepper_destroy(stepper);
    return status;
}

ol_status ol_verify_file(ol_comm *comm, const char *path)
{
    verification v = {.comm = comm, .path = path};
    double *costs = NULL;
    ol_status status = ol_comm_agree(comm, prepare(&v, &costs));

    if (status == OL_OK)
        status = verify(&v, costs);
    ol_verify_case_finish(&v.c);
    free(v.expected);
    free(v.delta);
    free(costs);
    return status;
}
