/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/collective/meta_step.h"

#include <math.h>
#include <stdlib.h>

#include "outerloop/base/clock.h"     /* ol_clock_seconds */
#include "outerloop/base/phase.h"     /* ol_phase_enter */
#include "outerloop/comm/exact_sum.h" /* ol_exact_sum_* */
#include "outerloop/comm/schedule.h"  /* ol_schedule_* */

/* What ranks tell each other about an episode; the support losses follow. */
enum {
    TASK,
    DROPPED,
    TOKENS,
    SECONDS,
    BEFORE,
    AFTER,
    NORM,
    SHARE,
    INNER_SECONDS,
    OUTER_SECONDS,
    INNER_LOSSES
};

struct ol_meta_stepper {
    ol_comm *comm;
    const ol_model *model;
    ol_learner_spec learner;
    int N, K, width;
    ol_schedule schedule;
    ol_arena scratch;           /* of an episode                         */
    ol_exact_sum *sum;          /* owns the vectors of out and mean      */
    ol_contribution out, mean;  /* of an episode; of those of all ranks  */
    ol_shared_state *shared;    /* that the state is in; NULL: own       */
    ol_span *spans;             /* [model->n_params] for outer steps     */
    double *rows;               /* [N, width]                            */
    ol_episode_record *records; /* [N]                                   */
    ol_episode episode;
    ol_episode_observer *observer;
    void *observer_payload;
};

static ol_status allocate(ol_meta_stepper *s, ol_extent support, ol_extent query)
{
    OL_TRY(ol_arena_init(&s->scratch, "activations of an episode",
                         ol_learner_bytes(s->model, &s->learner, support, query)));
    OL_TRY(ol_schedule_init(&s->schedule, s->N, ol_comm_size(s->comm)));
    s->spans = calloc((size_t)s->model->n_params + 1, sizeof *s->spans);
    s->rows = calloc((size_t)s->N * (size_t)s->width, sizeof *s->rows);
    s->records = calloc((size_t)s->N, sizeof *s->records);
    OL_CHECK(s->spans && s->rows && s->records, OL_ENOMEM,
             "no memory for the records of %d episodes", s->N);
    return OL_OK;
}

/* The sum, and in its memory what an episode leaves behind and what becomes of it. */
static ol_status make_sum(ol_meta_stepper *s)
{
    ol_arena dry = ol_arena_dry("gradients");
    size_t lengths[OL_PARTS];

    s->out = ol_contribution_layout(&dry, s->model, &s->learner);
    for (int i = 0; i < s->out.n; i++)
        lengths[i] = s->out.parts[i].size;
    OL_TRY(ol_exact_sum_create(s->comm, (ol_sum_type)sizeof(ol_real), s->out.n, lengths, &s->sum));
    s->mean = s->out;
    for (int i = 0; i < s->out.n; i++) {
        s->out.parts[i].vector = ol_exact_sum_vector(s->sum, i);
        s->mean.parts[i].vector = ol_exact_sum_result(s->sum, i);
    }
    return OL_OK;
}

ol_status ol_meta_stepper_create(ol_comm *comm, const ol_model *model, int N,
                                 const ol_learner_spec *learner, ol_extent support, ol_extent query,
                                 ol_meta_stepper **out)
{
    const int K = ol_learner_steps(learner);
    ol_meta_stepper *s = calloc(1, sizeof *s);
    ol_status status = OL_ENOMEM;

    if (s) {
        s->comm = comm;
        s->model = model;
        s->learner = *learner;
        s->N = N;
        s->K = K;
        s->width = INNER_LOSSES + K;
        status = allocate(s, support, query);
    } else {
        ol_fail(OL_ENOMEM, "no memory for the meta-step");
    }
    status = ol_comm_agree(comm, status);
    if (status == OL_OK)
        status = make_sum(s);
    if (status != OL_OK) {
        ol_meta_stepper_destroy(s);
        return status;
    }
    *out = s;
    return OL_OK;
}

void ol_meta_stepper_destroy(ol_meta_stepper *s)
{
    if (!s)
        return;
    ol_exact_sum_destroy(s->sum);
    ol_schedule_finish(&s->schedule);
    ol_arena_finish(&s->scratch);
    ol_batch_finish(&s->episode.support);
    ol_batch_finish(&s->episode.query);
    free(s->spans);
    free(s->rows);
    free(s->records);
    free(s);
}

void ol_meta_stepper_observe(ol_meta_stepper *stepper, ol_episode_observer *observer, void *payload)
{
    stepper->observer = observer;
    stepper->observer_payload = payload;
}

/* The numbers of an episode that travel to the other ranks. */
static void fill_row(const ol_meta_stepper *s, double *row, const ol_episode_report *report,
                     bool dropped, double seconds)
{
    const ol_episode *episode = &s->episode;

    row[TASK] = episode->task;
    row[DROPPED] = dropped;
    row[TOKENS] = (double)(ol_batch_tokens(&episode->support) + ol_batch_tokens(&episode->query));
    row[SECONDS] = seconds;
    row[BEFORE] = report->query_before;
    row[AFTER] = report->query_after;
    row[NORM] = report->grad_norm;
    row[SHARE] = report->second_order;
    row[INNER_SECONDS] = report->inner_seconds;
    row[OUTER_SECONDS] = report->outer_seconds;
}

/* Draw and run episode n of this rank. An episode that is not finite is dropped, no failure. */
static ol_status run_episode(ol_meta_stepper *s, int64_t step, int n, ol_episode_source *source,
                             void *payload, ol_state_view state, bool *dropped)
{
    const double begin = ol_clock_seconds();
    const ol_mark mark = ol_arena_mark(&s->scratch);
    double *row = s->rows + (size_t)n * (size_t)s->width;
    ol_episode_report report = {.query_before = NAN, .query_after = NAN, .second_order = NAN};
    ol_status status;

    ol_batch_clear(&s->episode.support);
    ol_batch_clear(&s->episode.query);
    const ol_phase was = ol_phase_enter(OL_PHASE_DRAW);

    status = source(payload, step, n, &s->episode);
    ol_phase_leave(was);
    OL_TRY(status);
    for (int k = 0; k < s->K; k++)
        row[INNER_LOSSES + k] = NAN;
    status = ol_learner_episode(s->model, &s->learner, &s->episode, state, &s->scratch, &s->out,
                                row + INNER_LOSSES, &report);
    ol_arena_rewind(&s->scratch, mark);
    *dropped = status == OL_ENONFINITE;
    fill_row(s, row, &report, *dropped, ol_clock_seconds() - begin);
    if (!*dropped)
        OL_TRY(status);
    if (!*dropped && s->observer)
        s->observer(s->observer_payload, n, &s->out);
    return OL_OK;
}

/* The episodes of this rank, round by round with the others of its node. Own failures. */
static ol_status all_episodes(ol_meta_stepper *s, int64_t step, ol_episode_source *source,
                              void *payload, ol_state_view state, double *comm_seconds)
{
    const int rank = ol_comm_rank(s->comm);
    ol_status status = OL_OK;
    bool go_on = true;

    for (int round = 0; round < s->schedule.rounds && go_on; round++) {
        const int n = ol_schedule_episode(&s->schedule, rank, round);
        bool dropped = false;

        if (n >= 0)
            status = run_episode(s, step, n, source, payload, state, &dropped);
        const double begin = ol_clock_seconds();

        ol_phase_enter(OL_PHASE_SUM);
        status = ol_exact_sum_round(s->sum, status, n >= 0 && !dropped, &go_on);
        ol_phase_leave(OL_PHASE_OTHER);
        *comm_seconds += ol_clock_seconds() - begin;
    }
    return status;
}

/* Means (or sums) over the episodes kept, the same bits on every rank. */
static ol_status finish_sum(ol_meta_stepper *s, int kept)
{
    double scales[OL_PARTS];

    for (int i = 0; i < s->mean.n; i++)
        scales[i] = s->mean.parts[i].reduction == OL_MEAN ? 1.0 / kept : 1.0;
    return ol_exact_sum_finish(s->sum, scales);
}

/* All that keep the state have come this far. */
static ol_status meet(const ol_shared_state *shared)
{
    const ol_phase was = ol_phase_enter(OL_PHASE_WAIT);
    const ol_status status = ol_shared_state_meet(shared);

    ol_phase_leave(was);
    return status;
}

/* The outer step on this rank's share of the state; on all of it, where the state is its own. */
static ol_status step_state(ol_meta_stepper *s, const ol_outer_spec *outer, ol_state *state,
                            double *norm)
{
    ol_outer_share share = {.spans = s->spans};
    double *squares;
    int own, ranks;

    if (!s->shared) {
        *norm = ol_outer_alone(s->model, &s->learner, outer, s->spans, &s->mean, state);
        return OL_OK;
    }
    squares = ol_shared_state_squares(s->shared);
    ranks = ol_shared_state_ranks(s->shared, &own);
    ol_outer_squares(s->model, &s->learner, &s->mean, own, ranks, squares);
    OL_TRY(meet(s->shared));
    ol_outer_divide(s->model, &s->learner, own, ranks, &share);
    ol_outer_norms(squares, &share);
    s->learner.learner->outer(&s->learner, outer, &share, &s->mean, state);
    *norm = share.norm;
    return meet(s->shared);
}

/* Records and means by episode number, from the gathered rows. */
static void summarise(ol_meta_stepper *s, ol_step_report *report)
{
    const int rank = ol_comm_rank(s->comm);

    for (int n = 0; n < s->N; n++) {
        const double *row = s->rows + (size_t)n * (size_t)s->width;
        ol_episode_record *r = &s->records[n];

        *r = (ol_episode_record){.episode = n,
                                 .task = (int)row[TASK],
                                 .rank = ol_schedule_rank(&s->schedule, n),
                                 .dropped = row[DROPPED] != 0,
                                 .tokens = (int64_t)row[TOKENS],
                                 .seconds = row[SECONDS],
                                 .report = {.query_before = row[BEFORE],
                                            .query_after = row[AFTER],
                                            .grad_norm = row[NORM],
                                            .second_order = row[SHARE],
                                            .inner_seconds = row[INNER_SECONDS],
                                            .outer_seconds = row[OUTER_SECONDS]}};
        report->tokens += r->tokens;
        if (r->rank == rank) {
            report->inner_seconds += r->report.inner_seconds;
            report->outer_seconds += r->report.outer_seconds;
        }
        if (r->dropped) {
            report->dropped++;
            continue;
        }
        report->query_before += r->report.query_before;
        report->query_after += r->report.query_after;
    }
    report->query_before /= s->N - report->dropped;
    report->query_after /= s->N - report->dropped;
}

ol_status ol_meta_step(ol_meta_stepper *s, const ol_outer_spec *outer, int64_t step,
                       const double *costs, ol_episode_source *source, void *payload,
                       ol_state *state, ol_step_report *report)
{
    double comm_seconds = 0, begin;
    ol_status status;

    *report = (ol_step_report){.episodes = s->N};
    ol_schedule_plan(&s->schedule, costs);
    ol_exact_sum_begin(s->sum);
    status = all_episodes(s, step, source, payload, ol_state_borrow(state), &comm_seconds);
    begin = ol_clock_seconds();
    ol_phase_enter(OL_PHASE_WAIT);
    OL_TRY(ol_comm_agree(s->comm, status));
    ol_phase_enter(OL_PHASE_SUM);
    OL_TRY(ol_schedule_gather(&s->schedule, s->comm, s->width, s->rows));
    summarise(s, report);
    if (report->dropped < s->N)
        OL_TRY(finish_sum(s, s->N - report->dropped));
    comm_seconds += ol_clock_seconds() - begin;
    ol_phase_enter(OL_PHASE_OUTER);
    if (report->dropped < s->N)
        OL_TRY(step_state(s, outer, state, &report->grad_norm));
    ol_phase_leave(OL_PHASE_OTHER);
    report->comm_seconds = comm_seconds;
    return OL_OK;
}

void ol_meta_stepper_share(ol_meta_stepper *stepper, ol_shared_state *shared)
{
    stepper->shared = shared;
}

void ol_meta_stepper_measure_before(ol_meta_stepper *stepper, bool measure)
{
    stepper->learner.measure_before = measure;
}

const ol_episode_record *ol_meta_stepper_records(const ol_meta_stepper *stepper)
{
    return stepper->records;
}

const double *ol_meta_stepper_inner_losses(const ol_meta_stepper *stepper, int n)
{
    return stepper->rows + (size_t)n * (size_t)stepper->width + INNER_LOSSES;
}
