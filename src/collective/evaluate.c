/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/collective/evaluate.h"

#include <stdio.h>
#include <stdlib.h>

#include "outerloop/base/clock.h" /* ol_clock_seconds */

/* Who does what: items from the dearest to the cheapest, and the rank of each. */
typedef struct share {
    int *order;   /* [n] items                                   */
    int *owner;   /* [n] rank of each item                       */
    int *ready;   /* [n] 1: its result has arrived (rank 0)      */
    double *load; /* [size] predicted work of each rank          */
} share;

static void share_finish(share *s)
{
    free(s->order);
    free(s->owner);
    free(s->ready);
    free(s->load);
}

static double cost_of(const ol_evaluation_spec *spec, int item)
{
    return spec->costs ? spec->costs[spec->first * spec->n_seeds + item] : 1.0;
}

/* Stable: ties stay in order of number. */
static void sort_by_cost(const ol_evaluation_spec *spec, int *order, int n)
{
    for (int i = 1; i < n; i++) {
        const int item = order[i];
        int at = i;
        for (; at > 0 && cost_of(spec, order[at - 1]) < cost_of(spec, item); at--)
            order[at] = order[at - 1];
        order[at] = item;
    }
}

static ol_status share_init(share *s, const ol_evaluation_spec *spec, int n, int size)
{
    *s = (share){.order = calloc((size_t)n, sizeof(int)),
                 .owner = calloc((size_t)n, sizeof(int)),
                 .ready = calloc((size_t)n, sizeof(int)),
                 .load = calloc((size_t)size, sizeof(double))};
    OL_CHECK(s->order && s->owner && s->ready && s->load, OL_ENOMEM,
             "no memory to share %d evaluations", n);
    for (int i = 0; i < n; i++)
        s->order[i] = i;
    sort_by_cost(spec, s->order, n);
    for (int i = 0; i < n; i++) {
        int least = 0;
        for (int r = 1; r < size; r++)
            if (s->load[r] < s->load[least])
                least = r;
        s->owner[s->order[i]] = least;
        s->load[least] += cost_of(spec, s->order[i]);
    }
    return OL_OK;
}

/* Make the arena hold at least `bytes`; what was in it is lost. */
static ol_status reserve(ol_arena *ws, size_t bytes)
{
    if (ws->base && ws->size >= bytes)
        return OL_OK;
    ol_arena_finish(ws);
    return ol_arena_init(ws, "evaluation", bytes);
}

static ol_status score_item(const ol_model *model, ol_state_view state,
                            const ol_evaluation_spec *spec, int item, ol_arena *ws, ol_text *bytes)
{
    ol_eval_target target = {0};
    ol_eval_result result;
    ol_status status;

    OL_TRY(spec->source(spec->payload, spec->first + item / spec->n_seeds, item % spec->n_seeds,
                        &target));
    OL_TRY(reserve(ws, ol_eval_target_bytes(model, &spec->scoring, &target)));
    OL_TRY(ol_eval_target_score(model, &spec->scoring, &target, state, ws, &result));
    result.item = item;
    status = ol_eval_result_pack(&result, bytes);
    ol_eval_result_finish(&result);
    return status;
}

/* All items of this rank, the dearest first; their results are appended to `bytes`. */
static ol_status score_share(int rank, const ol_model *model, ol_state_view state,
                             const ol_evaluation_spec *spec, const share *s, int n, ol_text *bytes)
{
    OL_AUTO(ol_arena_finish) ol_arena ws = {0};

    for (int i = 0; i < n; i++)
        if (s->owner[s->order[i]] == rank)
            OL_TRY(score_item(model, state, spec, s->order[i], &ws, bytes));
    return OL_OK;
}

/* Read the results of one rank into their places. */
static ol_status unpack_rank(const char *bytes, size_t size, share *s, ol_evaluation *out)
{
    while (size > 0) {
        ol_eval_result result;
        size_t used;
        OL_TRY(ol_eval_result_unpack(bytes, size, &used, &result));
        if (result.item < 0 || result.item >= out->n || s->ready[result.item]) {
            ol_eval_result_finish(&result);
            return ol_fail(OL_EMPI, "evaluation results arrived twice or damaged");
        }
        s->ready[result.item] = 1;
        out->results[result.item] = result;
        bytes += used;
        size -= used;
    }
    return OL_OK;
}

static ol_status unpack_all(const ol_gathered *gathered, int size, share *s, ol_evaluation *out)
{
    out->results = calloc((size_t)out->n, sizeof *out->results);
    OL_CHECK(out->results, OL_ENOMEM, "no memory for %d evaluation results", out->n);
    for (int r = 0; r < size; r++)
        OL_TRY(unpack_rank(gathered->bytes + gathered->offsets[r],
                           gathered->offsets[r + 1] - gathered->offsets[r], s, out));
    for (int i = 0; i < out->n; i++) {
        OL_CHECK(s->ready[i], OL_EMPI, "the results of evaluation %d of %d did not arrive", i,
                 out->n);
        for (int k = 0; k < out->results[i].n; k++)
            out->diverged += out->results[i].scorings[k].diverged;
    }
    return OL_OK;
}

/* Bring all results to rank 0. Collective. */
static ol_status collect(ol_comm *comm, const ol_text *bytes, share *s, ol_evaluation *out)
{
    OL_AUTO(ol_gathered_finish) ol_gathered gathered = {0};
    ol_status status = OL_OK;

    OL_TRY(ol_comm_gather(comm, bytes->data, bytes->size, &gathered));
    if (ol_comm_rank(comm) == 0)
        status = unpack_all(&gathered, ol_comm_size(comm), s, out);
    return ol_comm_agree(comm, status);
}

static ol_status evaluate(ol_comm *comm, const ol_model *model, ol_state_view state,
                          const ol_evaluation_spec *spec, share *s, ol_text *bytes,
                          ol_evaluation *out)
{
    const double begin = ol_clock_seconds();
    ol_status status = share_init(s, spec, out->n, ol_comm_size(comm));
    ol_comm_stats seconds;

    if (status == OL_OK)
        status = score_share(ol_comm_rank(comm), model, state, spec, s, out->n, bytes);
    OL_TRY(ol_comm_agree(comm, status));
    OL_TRY(ol_comm_reduce(comm, ol_clock_seconds() - begin, &seconds));
    out->seconds = seconds.max.value;
    return collect(comm, bytes, s, out);
}

ol_status ol_evaluate(ol_comm *comm, const ol_model *model, ol_state_view state,
                      const ol_evaluation_spec *spec, ol_evaluation *out)
{
    OL_AUTO_TEXT bytes = {0};
    OL_AUTO(share_finish) share s = {0};
    ol_status status;

    *out = (ol_evaluation){.n = spec->n_tasks * spec->n_seeds};
    OL_CHECK(out->n > 0, OL_EUSAGE, "nothing to evaluate: %d test tasks, %d seeds", spec->n_tasks,
             spec->n_seeds);
    status = evaluate(comm, model, state, spec, &s, &bytes, out);
    if (status != OL_OK)
        ol_evaluation_finish(out);
    return status;
}

void ol_evaluation_finish(ol_evaluation *evaluation)
{
    if (!evaluation)
        return;
    for (int i = 0; evaluation->results && i < evaluation->n; i++)
        ol_eval_result_finish(&evaluation->results[i]);
    free(evaluation->results);
    *evaluation = (ol_evaluation){0};
}
