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

/* Most tokens of each side over this rank's share of all episodes, and what the caps cut of it. */
static ol_status look(const ol_comm *comm, ol_arm *arm, int64_t *support, int64_t *query)
{
    const int N = arm->job->learner.episodes, size = ol_comm_size(comm);

    for (int step = ol_comm_rank(comm); step < arm->job->train.steps; step += size)
        for (int n = 0; n < N; n++) {
            ol_episode_cost cost;

            OL_TRY(ol_sampler_cost(arm->sampler, (uint32_t)step, N, n, &cost));
            *support = cost.support.tokens > *support ? cost.support.tokens : *support;
            *query = cost.query.tokens > *query ? cost.query.tokens : *query;
            ol_cut_add(&arm->cuts[cost.task], &cost.cut);
        }
    return OL_OK;
}

static ol_extent extent_of(const ol_job *job, int prompts, int64_t tokens, int64_t longest)
{
    const int64_t per_prompt =
        longest < job->data.max_tokens_per_example ? longest : job->data.max_tokens_per_example;
    const int64_t scored = prompts * per_prompt; /* only a target's own tail is scored */

    return (ol_extent){.prompts = prompts,
                       .tokens = tokens,
                       .longest = longest,
                       .scored = scored < tokens ? scored : tokens};
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
    int64_t support = 0, query = 0;
    ol_comm_stats stats;

    OL_TRY(ol_comm_agree(comm, start_cuts(arm)));
    if ((double)arm->job->train.steps * learner->episodes > MOST_EPISODES) {
        support = learner->support * longest;
        query = learner->query * longest;
    } else {
        OL_TRY(ol_comm_agree(comm, look(comm, arm, &support, &query)));
        OL_TRY(ol_comm_reduce(comm, (double)support, &stats));
        support = (int64_t)stats.max.value;
        OL_TRY(ol_comm_reduce(comm, (double)query, &stats));
        query = (int64_t)stats.max.value;
    }
    arm->support = extent_of(arm->job, learner->support, support, longest);
    arm->query = extent_of(arm->job, learner->query, query, longest);
    return finish_cuts(comm, arm);
}
