/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run says before it starts. */
#include "outerloop/run/setup.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "outerloop/base/log.h"        /* ol_log_info */
#include "outerloop/kernel/core.h"     /* ol_core_slowed */
#include "outerloop/kernel/gemm.h"     /* ol_gemm_library */
#include "outerloop/kernel/products.h" /* ol_products_describe */
#include "outerloop/run/memory.h"      /* ol_memory */
#include "run_parts.h"

static const double MOST_SLOPE = 10; /* of an inner step, where nothing is moved yet */

static void count_text(double count, char text[32])
{
    if (count >= 1e9)
        snprintf(text, 32, "%.3g billion", count / 1e9);
    else if (count >= 1e6)
        snprintf(text, 32, "%.3g million", count / 1e6);
    else
        snprintf(text, 32, "%.0f", count);
}

static void describe_stages(const ol_setup *s)
{
    const unsigned stages = s->job->stages;

    ol_log_info("%s:%s%s%s; results in %s; seed %lld", s->job->name,
                stages & OL_STAGE_TRAIN ? " train" : "", stages & OL_STAGE_EVAL ? " eval" : "",
                stages & OL_STAGE_ADAPT ? " adapt" : "", s->job->output, (long long)s->job->seed);
}

/* What is trained where that is not everything. */
static void describe_trained(const ol_setup *s)
{
    const ol_model *model = s->model;
    const ol_job_model *m = &s->job->model;
    char trained[32], adapter[64] = "";

    if (model->n_frozen == 0)
        return;
    count_text((double)model->P, trained);
    if (model->lora)
        snprintf(adapter, sizeof adapter, " (lora, rank %d, alpha %g)", m->lora.rank,
                 m->lora.alpha);
    ol_log_info("trained: %s of them%s; frozen: %.1f MiB a node, matrices as %s", trained, adapter,
                (double)model->frozen_bytes / 1048576.0, m->frozen ? "bf16" : "f32");
}

/* Another model's ids would be read as this one's. Own vocabularies are padded by less than a tenth. */
static void describe_tokenizer(const ol_setup *s)
{
    const int tokens = ol_tokenizer_size(s->tokenizer), vocab = s->model->spec.vocab;

    if (s->job->model.init == OL_INIT_IMPORT && tokens < vocab - vocab / 10)
        ol_log_warn(
            "the tokenizer %s has %d tokens, the model a vocabulary of %d: is it the model's "
            "own?",
            s->tokenizer_path, tokens, vocab);
}

static void describe_model(const ol_setup *s)
{
    const ol_model_spec *m = &s->model->spec;
    size_t all = 0;
    char count[32], groups[48] = "";

    for (int i = 0; i < s->model->n_frozen; i++)
        all += s->model->frozen[i].size;
    count_text((double)(all + s->model->P), count);
    if (m->kv_heads != m->heads)
        snprintf(groups, sizeof groups, " (%d of keys and values)", m->kv_heads);
    ol_log_info(
        "model: %s, %d layer%s, width %d, %d heads%s, context %d, vocab %d: %s parameters, %s",
        ol_model_families[m->family], m->layers, m->layers > 1 ? "s" : "", m->width, m->heads,
        groups, m->context, m->vocab, count,
        s->job->model.init == OL_INIT_RANDOM ? "random" : s->job->model.path);
    describe_trained(s);
    describe_tokenizer(s);
}

void ol_describe_idle(const ol_job *job, int ranks)
{
    const bool scores = (job->stages & (OL_STAGE_EVAL | OL_STAGE_ADAPT)) != 0;
    int least = INT_MAX, most = 0;

    for (int i = 0; i < ol_job_arms(job); i++) {
        const int episodes = ol_job_arm(job, i)->learner.episodes;

        least = episodes < least ? episodes : least;
        most = episodes > most ? episodes : most;
    }
    for (int i = 0; i < ol_job_arms(job) && (job->stages & OL_STAGE_TRAIN); i++) {
        const ol_job *arm = ol_job_arm(job, i);
        const int episodes = arm->learner.episodes;

        if (ranks <= episodes || (i > 0 && least == most))
            continue;
        ol_log_warn("%s%s%d of %d ranks will be idle in training: learner.episodes = %d, and a "
                    "rank takes one at a time; raise it, or start %d rank%s%s",
                    least < most ? arm->name : "", least < most ? ": " : "", ranks - episodes,
                    ranks, episodes, most, most > 1 ? "s" : "",
                    scores ? " (scoring can use more: a rank a target task and seed)" : "");
    }
}

/* Scoring is shared out by target task and seed. */
static void describe_idle_scoring(const ol_setup *s)
{
    const ol_evaluation_spec spec = ol_targets_evaluation(s->arms[0].targets);
    const int items = spec.n_tasks * spec.n_seeds, size = ol_comm_size(s->comm);

    if (size > items)
        ol_log_warn("%d of %d ranks will be idle in scoring: there are %d target task%s and %d "
                    "seed%s in eval.seeds",
                    size - items, size, spec.n_tasks, spec.n_tasks > 1 ? "s" : "", spec.n_seeds,
                    spec.n_seeds > 1 ? "s" : "");
}

/* Say what would fit on every host. */
static void describe_crowd(const ol_setup *s)
{
    int threads = INT_MAX, cores = INT_MAX;

    for (int i = 0; i < s->layout.n; i++) {
        const ol_comm_node *node = &s->layout.nodes[i];

        threads = node->cores / node->ranks < threads ? node->cores / node->ranks : threads;
        cores = node->cores < cores ? node->cores : cores;
    }
    if (threads > 0)
        ol_log_warn("ranks × threads exceed the cores of %d host%s: lower `threads` to %d, or "
                    "start fewer ranks",
                    s->layout.crowded, s->layout.crowded > 1 ? "s" : "", threads);
    else
        ol_log_warn("there are more ranks than cores on %d host%s: start at most %d a host",
                    s->layout.crowded, s->layout.crowded > 1 ? "s" : "", cores);
}

static void describe_ranks(const ol_setup *s, const ol_memory *m)
{
    char slowed[OL_CORE_TEXT];

    ol_log_info("%s", s->layout.summary);
    if (ol_products_used() != OL_PRODUCTS_F32)
        ol_log_info("products of matrices in %s", ol_products_describe());
    if (ol_core_slowed(ol_gemm_library(), slowed) > 1)
        ol_log_warn("%s", slowed);
    if (s->layout.crowded > 0)
        describe_crowd(s);
    if (s->scored)
        describe_idle_scoring(s);
    ol_log_info("memory: about %.0f MiB a rank (%.0f parameters and moments, %.0f an episode)",
                (double)m->peak / 1048576.0, (double)(m->parameters + m->moments) / 1048576.0,
                (double)(m->gradients + m->sums + m->episode) / 1048576.0);
}

/* B of a new adapter is 0, so that A's gradient is, and there the slope of a first AdamW step from
 * empty moments is lr/√eps_root: an exact gradient then holds little else. */
static void describe_slope(const ol_arm *arm)
{
    const ol_learner_spec spec = ol_job_learner_spec(arm->job);
    const double slope = spec.adam.lr / (sqrt(spec.adam.eps_root) + spec.adam.eps);

    if (!ol_learner_exact(&spec) || spec.inner != OL_ADAMW || spec.moments != OL_MOMENTS_SEPARATE ||
        !arm->model->lora || arm->job->model.lora.path[0] != '\0' || slope <= MOST_SLOPE)
        return;
    ol_log_warn(
        "%s: a new adapter's A has gradient 0, where an inner AdamW step from empty moments "
        "has the slope lr/sqrt(eps_root) = %.3g, which the exact meta-gradient will mostly "
        "consist of: raise learner.inner.eps_root (%g; try %.1g)",
        arm->job->name, slope, spec.adam.eps_root, spec.adam.lr * spec.adam.lr);
}

static void describe_arms(const ol_setup *s)
{
    if (!(s->job->stages & OL_STAGE_TRAIN))
        return;
    if (s->n_arms > 1)
        ol_log_info("arms, at equal gradient evaluations (gradients of one prompt):");
    for (int i = 0; i < s->n_arms; i++) {
        const ol_job *job = s->arms[i].job;
        const double each = ol_job_evaluations_per_step(job);

        ol_log_info("%s%s: %s%s, %d meta-steps of %d episodes: %d × %.0f = %.0f gradient "
                    "evaluations",
                    s->n_arms > 1 ? "  " : "", job->name, job->learner.algorithm,
                    ol_job_order_text(job), job->train.steps, job->learner.episodes,
                    job->train.steps, each, each * job->train.steps);
        describe_slope(&s->arms[i]);
    }
}

void ol_setup_describe(const ol_setup *s, const ol_memory *memory)
{
    if (ol_comm_rank(s->comm) != 0)
        return;
    describe_stages(s);
    describe_model(s);
    describe_ranks(s, memory);
    ol_setup_describe_data(s);
    describe_arms(s);
}
