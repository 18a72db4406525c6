/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/memory.h"

#include "outerloop/base/clock.h"      /* ol_clock_peak_bytes */
#include "outerloop/comm/exact_sum.h"  /* ol_exact_sum_bytes */
#include "outerloop/kernel/products.h" /* ol_products_bytes */
#include "outerloop/run/scores.h"      /* ol_scores_spec */

enum {
    PACK_DEPTH = 384, /* rows and reals a row that OpenBLAS packs at most */
    PACK_ROWS = 33000,
    PACK_LEAST = 2 << 20,
    MOST_ROWS = 1024,         /* that go through the model at one time */
    METRICS_BUFFERS = 5 << 20 /* of the open file: chunks of its columns */
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Ranks that share out a sum: as it is when so many are here, and else of as many to a node as this
   one has cores for. */
static int sharing(const ol_setup *s, int ranks)
{
    const int fit = s->layout.nodes[0].cores / s->job->threads;

    if (ranks == ol_comm_size(s->comm))
        return ol_comm_sharing(s->comm);
    return fit < 1 ? 1 : fit < ranks ? fit : ranks;
}

/* Whether they read each other's memory: where a state of theirs found no room for that, sums find none. */
static bool reads(const ol_setup *s, int ranks, int sharing)
{
    int own;

    return sharing > 1 &&
           (ranks != ol_comm_size(s->comm) || ol_shared_state_ranks(s->shared, &own) > 1);
}

/* What products in bfloat16 keep: of the widest layer, for all rows, and of the head, for scored ones. */
static size_t narrow(const ol_job *job, const ol_model *model, ol_extent batch)
{
    const ol_model_spec *spec = &model->spec;
    const bool bf16 = model->frozen_bytes > 0 && ol_job_trained(job).frozen_bf16;
    const int rows = batch.tokens < MOST_ROWS ? (int)batch.tokens : MOST_ROWS;
    const int scored = batch.scored < MOST_ROWS ? (int)batch.scored : MOST_ROWS;

    return larger(ol_products_bytes(rows, spec->hidden, spec->width, bf16),
                  ol_products_bytes(scored, spec->vocab, spec->width, bf16));
}

static void plan_training(const ol_arm *arm, int shared, int nodes, bool reads, ol_memory *m)
{
    const ol_learner_spec spec = ol_job_learner_spec(arm->job);
    ol_arena dry = ol_arena_dry("gradients");
    const ol_contribution out = ol_contribution_layout(&dry, arm->model, &spec);
    const size_t episode = ol_learner_bytes(arm->model, &spec, arm->support, arm->query);
    size_t lengths[OL_PARTS], sums, mapped;

    for (int p = 0; p < out.n; p++)
        lengths[p] = out.parts[p].size;
    m->narrow = larger(m->narrow, narrow(arm->job, arm->model, arm->support));
    m->narrow = larger(m->narrow, narrow(arm->job, arm->model, arm->query));
    mapped = reads ? ol_exact_sum_mapped((ol_sum_type)sizeof(ol_real), out.n, lengths, shared) : 0;
    sums = mapped + ol_exact_sum_bytes((ol_sum_type)sizeof(ol_real), out.n, lengths, shared, nodes);
    if (dry.peak + sums + episode <= m->gradients + m->sums + m->episode)
        return;
    m->gradients = dry.peak;
    m->sums = sums;
    m->mapped = mapped;
    m->episode = episode;
}

/* Of the dearest target: what it needs follows the longest prompts, not the number of rows. */
static ol_status plan_scoring(const ol_arm *arm, ol_memory *m)
{
    const ol_evaluation_spec spec = ol_scores_spec(arm);
    ol_eval_target target;
    int dearest = 0;

    for (int i = 1; i < spec.n_tasks * spec.n_seeds; i++)
        if (spec.costs[i] > spec.costs[dearest])
            dearest = i;
    OL_TRY(spec.source(spec.payload, dearest / spec.n_seeds, dearest % spec.n_seeds, &target));
    m->narrow = larger(m->narrow, narrow(arm->job, arm->model, ol_batch_extent(target.prompts)));
    m->scoring = larger(m->scoring, ol_eval_target_bytes(arm->model, &spec.scoring, &target));
    return OL_OK;
}

/* A head's gradient is the product of the most rows: the vocabulary, where it is trained. */
static size_t packed(const ol_setup *s)
{
    const size_t V = (size_t)s->model->spec.vocab;
    size_t depth = 0;

    for (int i = 0; i < s->n_arms; i++)
        depth = larger(depth, (size_t)s->arms[i].query.scored);
    if (s->model->P < V * (size_t)s->model->spec.width)
        return PACK_LEAST;
    return PACK_LEAST +
           4 * (depth < PACK_DEPTH ? depth : PACK_DEPTH) * (V < PACK_ROWS ? V : PACK_ROWS);
}

size_t ol_memory_peak(const ol_memory *m)
{
    const size_t lasting = m->libraries + m->data + m->parameters + m->moments + m->frozen +
                           m->blas + m->narrow + m->files;

    return larger(lasting + larger(m->gradients + m->sums + m->episode, m->scoring), m->setup);
}

size_t ol_memory_own(const ol_memory *m)
{
    ol_memory own = *m;

    own.sums -= m->mapped;
    return ol_memory_peak(&own);
}

size_t ol_memory_node(const ol_memory *m)
{
    return m->once + (size_t)m->sharing * (ol_memory_own(m) - m->once);
}

ol_status ol_memory_plan(const ol_setup *s, int ranks, ol_memory *out)
{
    const bool trains = (s->job->stages & OL_STAGE_TRAIN) != 0;
    const int shared = sharing(s, ranks);
    const bool reading = reads(s, ranks, shared);
    const int nodes = (ranks + shared - 1) / shared;
    ol_memory m = {.libraries = s->resident_start,
                   .data = s->resident_read - s->resident_start,
                   .frozen = s->model->frozen_bytes,
                   .blas = packed(s),
                   .files = METRICS_BUFFERS,
                   .setup = ol_clock_peak_bytes()};

    m.parameters = (s->model->P + s->O) * sizeof(ol_real); /* θ0, θ */
    m.moments = 2 * s->O * sizeof(ol_real);
    m.sharing = shared;
    m.once = m.frozen + (reading ? m.parameters + m.moments : 0);
    for (int i = 0; i < s->n_arms; i++) {
        if (trains)
            plan_training(&s->arms[i], shared, nodes, reading, &m);
        if (s->scored && (i == 0 || s->arms[i].targets != s->arms[i - 1].targets))
            OL_TRY(plan_scoring(&s->arms[i], &m));
    }
    m.peak = ol_memory_peak(&m);
    *out = m;
    return OL_OK;
}
