/* SPDX-License-Identifier: BSD-3-Clause */
#include "setup.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */

enum {
    MOST_EPISODES = 4000000
}; /* beyond it looking at each takes longer than a rough bound is worth */

static int64_t longest_prompt(const ol_sampler *sampler)
{
    int longest = 0;

    for (int task = 0; task < ol_sampler_tasks(sampler); task++)
        if (ol_sampler_longest(sampler, task) > longest)
            longest = ol_sampler_longest(sampler, task);
    return longest;
}

static ol_extent extent_of(const ol_prompts_size *size)
{
    return (ol_extent){.prompts = (int)size->prompts,
                       .tokens = size->tokens,
                       .longest = size->longest,
                       .scored = size->scored};
}

/* Bounds of each side over this rank's share of all meta-steps, and what the caps cut of it. */
static ol_status look(const ol_comm *comm, ol_arm *arm)
{
    const int N = arm->job->learner.episodes, size = ol_comm_size(comm);
    OL_AUTO_FREE ol_episode_cost *costs = NULL;

    OL_TRY(OL_ALLOCATE(costs, N, "episodes"));
    for (int step = ol_comm_rank(comm); step < arm->job->train.steps; step += size) {
        OL_TRY(ol_sampler_costs(arm->sampler, (uint32_t)step, N, costs));
        for (int n = 0; n < N; n++) {
            arm->support = ol_extent_max(arm->support, extent_of(&costs[n].support));
            arm->query = ol_extent_max(arm->query, extent_of(&costs[n].query));
            ol_cut_add(&arm->cuts[costs[n].task].cut, &costs[n].cut);
        }
    }
    return OL_OK;
}

/* The larger ones of all ranks. */
static ol_status widen(ol_comm *comm, ol_extent *extent)
{
    double bounds[] = {extent->prompts, (double)extent->tokens, (double)extent->longest,
                       (double)extent->scored};

    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        ol_comm_stats stats;

        OL_TRY(ol_comm_reduce(comm, bounds[i], &stats));
        bounds[i] = stats.max.value;
    }
    *extent =
        (ol_extent){(int)bounds[0], (int64_t)bounds[1], (int64_t)bounds[2], (int64_t)bounds[3]};
    return OL_OK;
}

/* Without looking: as long as a prompt can be; only a target's own tail is scored. */
static ol_extent rough_extent(const ol_job *job, int prompts, int64_t longest)
{
    const int64_t scored =
        longest < job->data.max_tokens_per_example ? longest : job->data.max_tokens_per_example;

    return (ol_extent){.prompts = prompts,
                       .tokens = prompts * longest,
                       .longest = longest,
                       .scored = prompts * scored};
}

/* Bring the cuts of all ranks' prompts together, and those of examples, which all ranks know. */
static ol_status finish_cuts(ol_comm *comm, ol_arm *arm)
{
    const int tasks = ol_sampler_tasks(arm->sampler);
    const size_t bytes = (size_t)tasks * sizeof *arm->cuts;
    ol_gathered all;

    OL_TRY(ol_comm_gather(comm, arm->cuts, bytes, &all));
    for (int r = 1; all.bytes && r < ol_comm_size(comm); r++)
        for (int i = 0; i < tasks; i++) {
            ol_task_cut part;

            memcpy(&part, all.bytes + all.offsets[r] + (size_t)i * sizeof part, sizeof part);
            ol_cut_add(&arm->cuts[i].cut, &part.cut);
        }
    ol_gathered_finish(&all);
    for (int i = 0; i < tasks; i++) {
        arm->cuts[i].task = ol_sampler_task(arm->sampler, i);
        ol_cut_add(&arm->cuts[i].cut, ol_sampler_cut(arm->sampler, i));
    }
    return OL_OK;
}

static ol_status bound(ol_comm *comm, ol_arm *arm)
{
    const ol_job_learner *learner = &arm->job->learner;
    const int64_t longest = longest_prompt(arm->sampler);

    if ((double)arm->job->train.steps * learner->episodes > MOST_EPISODES) {
        arm->support = rough_extent(arm->job, learner->support, longest);
        arm->query = rough_extent(arm->job, learner->query, longest);
        return finish_cuts(comm, arm);
    }
    arm->support = arm->query = (ol_extent){0};
    OL_TRY(ol_comm_agree(comm, look(comm, arm)));
    OL_TRY(widen(comm, &arm->support));
    OL_TRY(widen(comm, &arm->query));
    return finish_cuts(comm, arm);
}

/* The first arm that draws the episodes of arm i; itself, as a rule. */
static const ol_arm *first_alike(const ol_setup *s, int i)
{
    const ol_arm *arm = &s->arms[i], *a = s->arms;

    while (a < arm &&
           !(a->sampler == arm->sampler && a->job->train.steps == arm->job->train.steps &&
             a->job->learner.episodes == arm->job->learner.episodes))
        a++;
    return a;
}

ol_status ol_setup_bound_episodes(ol_setup *s)
{
    for (int i = 0; i < s->n_arms; i++) {
        ol_arm *arm = &s->arms[i];
        const ol_arm *alike = first_alike(s, i);
        const int tasks = ol_sampler_tasks(arm->sampler);

        OL_TRY(ol_comm_agree(s->comm, OL_ALLOCATE(arm->cuts, tasks, "tasks")));
        if (alike == arm) {
            OL_TRY(bound(s->comm, arm));
            continue;
        }
        arm->support = alike->support;
        arm->query = alike->query;
        memcpy(arm->cuts, alike->cuts, (size_t)tasks * sizeof *arm->cuts);
    }
    return OL_OK;
}
