/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_parts.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */

enum { MOST_EPISODES = 4000000 /* beyond it looking at each is not worth its time */ };

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

/* What is seen of the episodes of an arm: bounds of their sides, and what the caps cut of each task. */
typedef struct seen {
    ol_extent support, query;
    ol_cut cuts[]; /* [tasks] */
} seen;

/* This rank's share of all meta-steps. */
static ol_status look(const ol_comm *comm, const ol_arm *arm, seen *out)
{
    const int N = arm->job->learner.episodes, size = ol_comm_size(comm);
    OL_AUTO_FREE ol_episode_cost *costs = NULL;

    OL_TRY(OL_ALLOCATE(costs, N, "episodes"));
    for (int step = ol_comm_rank(comm); step < arm->job->train.steps; step += size) {
        OL_TRY(ol_sampler_costs(arm->sampler, (uint32_t)step, N, costs));
        for (int n = 0; n < N; n++) {
            out->support = ol_extent_max(out->support, extent_of(&costs[n].support));
            out->query = ol_extent_max(out->query, extent_of(&costs[n].query));
            ol_cut_add(&out->cuts[costs[n].task], &costs[n].cut);
        }
    }
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

static void look_roughly(const ol_arm *arm, seen *out)
{
    const int64_t longest = longest_prompt(arm->sampler);

    out->support = rough_extent(arm->job, arm->job->learner.support, longest);
    out->query = rough_extent(arm->job, arm->job->learner.query, longest);
}

/* What all ranks have seen, on all of them. */
static ol_status merge(ol_comm *comm, int tasks, size_t bytes, seen *mine)
{
    OL_AUTO(ol_gathered_finish) ol_gathered all = {0};

    OL_TRY(ol_comm_gather(comm, mine, bytes, &all));
    for (int r = 1; all.bytes && r < ol_comm_size(comm); r++) {
        const seen *theirs = (const void *)(all.bytes + all.offsets[r]);

        mine->support = ol_extent_max(mine->support, theirs->support);
        mine->query = ol_extent_max(mine->query, theirs->query);
        for (int i = 0; i < tasks; i++)
            ol_cut_add(&mine->cuts[i], &theirs->cuts[i]);
    }
    return ol_comm_broadcast(comm, mine, bytes, 0);
}

static ol_status bound(ol_comm *comm, ol_arm *arm, int tasks)
{
    const size_t bytes = sizeof(seen) + (size_t)tasks * sizeof(ol_cut);
    OL_AUTO_FREE seen *all = calloc(1, bytes);
    ol_status status = all ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %d tasks", tasks);

    if (status == OL_OK &&
        (double)arm->job->train.steps * arm->job->learner.episodes <= MOST_EPISODES)
        status = look(comm, arm, all);
    else if (status == OL_OK)
        look_roughly(arm, all);
    OL_TRY(ol_comm_agree(comm, status));
    OL_TRY(merge(comm, tasks, bytes, all));
    arm->support = all->support;
    arm->query = all->query;
    for (int i = 0; i < tasks; i++) {
        arm->cuts[i] = (ol_task_cut){ol_sampler_task(arm->sampler, i), all->cuts[i]};
        ol_cut_add(&arm->cuts[i].cut, ol_sampler_cut(arm->sampler, i)); /* as all ranks know it */
    }
    return OL_OK;
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
            OL_TRY(bound(s->comm, arm, tasks));
            continue;
        }
        arm->support = alike->support;
        arm->query = alike->query;
        memcpy(arm->cuts, alike->cuts, (size_t)tasks * sizeof *arm->cuts);
    }
    return OL_OK;
}
