/* SPDX-License-Identifier: BSD-3-Clause */
/* Seconds of training and scoring, foretold.
 *
 *   (1) seconds of a meta-step = a · Σ_rounds max over ranks cost(episode) + b
 *   (2) seconds of scoring     = c · max(Σ cost / ranks, max cost)         over targets
 *
 * Costs are those by which the run itself shares out its work: flop (model/cost.h). a and b are measured
 * in one meta-step of one episode a rank, c on a target of median cost; where that would take too long,
 * a and c follow from the rate of a large product, of which an episode reaches OL_RATE_REACHED. */
#include "plan_parts.h"

#include <math.h>
#include <stdlib.h>

#include "outerloop/base/clock.h"           /* ol_clock_seconds */
#include "outerloop/base/size.h"            /* OL_ALLOCATE */
#include "outerloop/collective/meta_step.h" /* ol_meta_stepper */
#include "outerloop/comm/schedule.h"        /* ol_schedule */
#include "outerloop/kernel/rate.h"          /* ol_gemm_rate */
#include "outerloop/model/cost.h"           /* ol_cost_losses */
#include "outerloop/run/scores.h"           /* ol_scores_spec */

enum {
    RATE_REPS = 3,
    SAMPLED_STEPS = 64, /* meta-steps whose costs are looked at */
};

static const double AGAIN =
    1.0; /* s: shorter episodes are run twice, for the first touches memory */

ol_status plan_clock_start(ol_comm *comm, double budget, plan_clock *clock)
{
    ol_comm_stats rates;

    *clock = (plan_clock){.comm = comm, .budget = budget};
    OL_TRY(ol_comm_agree(comm, ol_gemm_rate(RATE_REPS, &clock->gflops)));
    OL_TRY(ol_comm_reduce(comm, clock->gflops, &rates));
    clock->gflops = rates.min.value;
    return OL_OK;
}

/* Collective: may that much be measured? The same answer on all ranks. */
static ol_status affordable(plan_clock *clock, double seconds, bool *out)
{
    ol_comm_stats s;

    OL_TRY(ol_comm_reduce(clock->comm, seconds, &s));
    *out = s.max.value <= clock->budget;
    return OL_OK;
}

static void spend(plan_clock *clock, double seconds)
{
    clock->budget -= seconds;
    clock->measured += seconds;
}

static ol_status draw(void *payload, int64_t step, int n, ol_episode *episode)
{
    const ol_arm *arm = payload;
    const int N = arm->job->learner.episodes;

    return ol_sampler_draw(arm->sampler, (uint32_t)step, N, n % N, episode);
}

/* What the arm's meta-steps cost, from a sample of them. */
typedef struct sample {
    double span;    /* Σ_rounds max cost, mean  */
    double most;    /* dearest episode          */
    double tokens;  /* of a meta-step, mean     */
    double support; /* share of an episode's tokens that are its support */
} sample;

static ol_status add_step(const ol_arm *arm, const ol_learner_spec *learner, int64_t step,
                          ol_schedule *schedule, double *costs, sample *out)
{
    const int N = arm->job->learner.episodes;
    double support = 0, query = 0;
    OL_AUTO_FREE ol_episode_cost *sizes = NULL;

    OL_TRY(OL_ALLOCATE(sizes, N, "episodes"));
    OL_TRY(ol_sampler_costs(arm->sampler, (uint32_t)step, N, sizes));
    for (int n = 0; n < N; n++) {
        costs[n] = ol_learner_flop(arm->model, learner, &sizes[n].support, &sizes[n].query);
        out->most = fmax(out->most, costs[n]);
        support += (double)sizes[n].support.tokens;
        query += (double)sizes[n].query.tokens;
    }
    ol_schedule_plan(schedule, costs);
    for (int p = 0; p < N; p += schedule->size)
        out->span += schedule->sorted_costs[p]; /* the dearest of its round: they descend */
    out->tokens += support + query;
    out->support += support / (support + query);
    return OL_OK;
}

static ol_status sample_costs(const ol_arm *arm, const ol_learner_spec *learner, int ranks,
                              sample *out)
{
    const int steps = arm->job->train.steps, N = arm->job->learner.episodes;
    const int looked = steps < SAMPLED_STEPS ? steps : SAMPLED_STEPS;
    OL_AUTO_FREE double *costs = NULL;
    OL_AUTO(ol_schedule_finish) ol_schedule schedule = {0};

    *out = (sample){0};
    OL_TRY(OL_ALLOCATE(costs, N, "episodes"));
    OL_TRY(ol_schedule_init(&schedule, N, ranks));
    for (int i = 0; i < looked; i++)
        OL_TRY(add_step(arm, learner, (int64_t)i * steps / looked, &schedule, costs, out));
    out->span /= looked > 0 ? looked : 1;
    out->tokens /= looked > 0 ? looked : 1;
    out->support /= looked > 0 ? looked : 1;
    return OL_OK;
}

/* Seconds of one meta-step of one episode a rank; short ones are made again. */
static ol_status time_step(plan_clock *clock, ol_setup *setup, const ol_arm *arm,
                           ol_meta_stepper *stepper, double *spent)
{
    const ol_outer_spec outer = ol_job_outer_spec(arm->job, 0);
    const int size = ol_comm_size(clock->comm);
    OL_AUTO_FREE double *equal = NULL;

    *spent = 0;
    OL_TRY(ol_comm_agree(clock->comm, OL_ALLOCATE(equal, size, "episodes")));
    for (int times = 0; times < 2 && *spent < AGAIN; times++) {
        const double begin = ol_clock_seconds();
        ol_comm_stats seconds;
        ol_step_report report;

        OL_TRY(ol_setup_begin(setup, arm));
        OL_TRY(ol_meta_step(stepper, &outer, 0, equal, draw, (void *)(uintptr_t)arm, &setup->state,
                            &report));
        OL_TRY(ol_comm_reduce(clock->comm, ol_clock_seconds() - begin, &seconds));
        *spent = seconds.max.value;
    }
    return OL_OK;
}

/* The slowest of its episodes, and the most seconds a flop of any. */
static ol_status read_records(const ol_arm *arm, const ol_learner_spec *learner,
                              const ol_episode_record *records, int n, double *slowest,
                              double *each)
{
    const int N = arm->job->learner.episodes;
    OL_AUTO_FREE ol_episode_cost *sizes = NULL;

    *slowest = *each = 0;
    OL_TRY(OL_ALLOCATE(sizes, N, "episodes"));
    OL_TRY(ol_sampler_costs(arm->sampler, 0, N, sizes));
    for (int i = 0; i < n; i++) {
        const ol_episode_cost *its = &sizes[i % N];

        *slowest = fmax(*slowest, records[i].seconds);
        *each = fmax(*each, records[i].seconds /
                                ol_learner_flop(arm->model, learner, &its->support, &its->query));
    }
    return OL_OK;
}

/* *a, *b of (1). */
static ol_status measure(plan_clock *clock, ol_setup *setup, const ol_arm *arm,
                         const ol_learner_spec *learner, double *a, double *b)
{
    const int size = ol_comm_size(clock->comm);
    double began, spent = 0, slowest = 0;
    ol_meta_stepper *stepper = NULL;
    ol_status status;

    OL_TRY(ol_meta_stepper_create(clock->comm, arm->model, size, learner, arm->support, arm->query,
                                  &stepper));
    ol_meta_stepper_share(stepper, setup->shared);
    began = ol_clock_seconds();
    status = time_step(clock, setup, arm, stepper, &spent);
    if (status == OL_OK)
        status = read_records(arm, learner, ol_meta_stepper_records(stepper), size, &slowest, a);
    ol_meta_stepper_destroy(stepper);
    *b = fmax(0, spent - slowest);
    spend(clock, ol_clock_seconds() - began);
    return ol_comm_agree(clock->comm, status);
}

/* Share of an episode that is done between two looks at whether to stop: an inner step backward is
 * the longest, a gradient and a product of the Hessian; or the gradient of the query. */
static double longest_piece(const ol_learner_spec *learner, double support)
{
    const int K = ol_learner_steps(learner);
    const double all = learner->learner->evaluations(learner, support, 1 - support);
    const double step = (ol_learner_exact(learner) ? 2 : 1) * support;

    return K == 0 ? 1 : fmax(step, 1 - support) / all;
}

ol_status plan_training_time(plan_clock *clock, ol_setup *setup, const ol_arm *arm, int ranks,
                             ol_plan_arm *out)
{
    const ol_learner_spec learner = ol_job_learner_spec(arm->job);
    double a, b = 0;
    sample costs;

    OL_TRY(ol_comm_agree(clock->comm, sample_costs(arm, &learner, ranks, &costs)));
    a = 1 / (OL_RATE_REACHED * 1e9 * clock->gflops);
    OL_TRY(affordable(clock, a * costs.most, &out->measured));
    if (out->measured)
        OL_TRY(measure(clock, setup, arm, &learner, &a, &b));
    out->step_seconds = a * costs.span + b;
    out->train_seconds = out->step_seconds * out->steps;
    out->tokens = costs.tokens * out->steps;
    out->piece_seconds = a * costs.most * longest_piece(&learner, costs.support);
    return OL_OK;
}

/* Number of the item of median cost. */
static int median_item(const ol_evaluation_spec *spec)
{
    const int n = spec->n_tasks * spec->n_seeds;

    for (int i = 0; i < n; i++) {
        int below = 0, equal = 0;

        for (int j = 0; j < n; j++) {
            below += spec->costs[j] < spec->costs[i];
            equal += spec->costs[j] == spec->costs[i];
        }
        if (below <= n / 2 && n / 2 < below + equal)
            return i;
    }
    return 0;
}

/* Of scoring a target's prompts as often as they are, and of the longest adaptation. */
static double item_flop(const ol_model *model, const ol_evaluation_spec *spec,
                        const ol_eval_target *target)
{
    const ol_eval_spec *s = &spec->scoring;
    const ol_prompts_size prompts = ol_batch_size(target->prompts);
    double flop = ol_eval_scorings(s) * ol_cost_losses(model, &prompts);

    if (s->n_counts > 0) {
        const ol_prompts_size support = ol_batch_size(target->support);

        flop += s->counts[s->n_counts - 1] * ol_cost_gradient(model, &support);
    }
    return flop;
}

static ol_status score_item(ol_setup *setup, const ol_model *model, const ol_evaluation_spec *spec,
                            const ol_eval_target *target, double *seconds)
{
    const double begin = ol_clock_seconds();
    OL_AUTO(ol_arena_finish) ol_arena ws = {0};
    ol_eval_result result = {0};

    OL_TRY(ol_arena_init(&ws, "evaluation", ol_eval_target_bytes(model, &spec->scoring, target)));
    OL_TRY(ol_eval_target_score(model, &spec->scoring, target, ol_state_borrow(&setup->state), &ws,
                                &result));
    ol_eval_result_finish(&result);
    *seconds = ol_clock_seconds() - begin;
    return OL_OK;
}

ol_status plan_scoring_time(plan_clock *clock, ol_setup *setup, const ol_arm *arm, int ranks,
                            double *seconds)
{
    const ol_evaluation_spec spec = ol_scores_spec(arm);
    const int n = spec.n_tasks * spec.n_seeds, item = median_item(&spec);
    double sum = 0, most = 0, one;
    ol_eval_target target;
    bool can;

    for (int i = 0; i < n; i++) {
        sum += spec.costs[i];
        most = fmax(most, spec.costs[i]);
    }
    OL_TRY(ol_comm_agree(
        clock->comm, spec.source(spec.payload, item / spec.n_seeds, item % spec.n_seeds, &target)));
    one = item_flop(arm->model, &spec, &target) / (OL_RATE_REACHED * 1e9 * clock->gflops);
    OL_TRY(affordable(clock, one, &can));
    if (can) {
        OL_TRY(ol_setup_begin(setup, arm));
        OL_TRY(ol_comm_agree(clock->comm, score_item(setup, arm->model, &spec, &target, &one)));
        spend(clock, one);
    }
    *seconds = one / spec.costs[item] * fmax(sum / ranks, most);
    return OL_OK;
}
