/* SPDX-License-Identifier: BSD-3-Clause */
#include "setup.h"

#include <stdlib.h>
#include <string.h>

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

/* Bounds of each side over this rank's share of all episodes, and what the caps cut of it. */
static ol_status look(const ol_comm *comm, ol_arm *arm)
{
    const int N = arm->job->learner.episodes, size = ol_comm_size(comm);

    for (int step = ol_comm_rank(comm); step < arm->job->train.steps; step += size)
        for (int n = 0; n < N; n++) {
            ol_episode_cost cost;

            OL_TRY(ol_sampler_cost(arm->sampler, (uint32_t)step, N, n, &cost));
            arm->support = ol_extent_max(arm->support, extent_of(&cost.support));
            arm->query = ol_extent_max(arm->query, extent_of(&cost.query));
            ol_cut_add(&arm->cuts[cost.task], &cost.cut);
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

static ol_status start_cuts(ol_arm *arm)
{
    const int tasks = ol_sampler_tasks(arm->sampler);

    arm->cuts = calloc((size_t)tasks, sizeof *arm->cuts);
    OL_CHECK(arm->cuts, OL_ENOMEM, "no memory to count what is cut of %d tasks", tasks);
    return OL_OK;
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
            ol_cut part;

            memcpy(&part, all.bytes + all.offsets[r] + (size_t)i * sizeof part, sizeof part);
            ol_cut_add(&arm->cuts[i], &part);
        }
    ol_gathered_finish(&all);
    for (int i = 0; i < tasks; i++)
        ol_cut_add(&arm->cuts[i], ol_sampler_cut(arm->sampler, i));
    return OL_OK;
}

ol_status ol_setup_bound_episodes(ol_comm *comm, ol_arm *arm)
{
    const ol_job_learner *learner = &arm->job->learner;
    const int64_t longest = longest_prompt(arm->sampler);

    OL_TRY(ol_comm_agree(comm, start_cuts(arm)));
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
