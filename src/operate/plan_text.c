/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan in words. */
#include <math.h>
#include <stdio.h>

#include "outerloop/base/clock.h" /* ol_clock_duration */
#include "outerloop/operate/plan.h"

static double mib(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

static void duration(double seconds, char text[32])
{
    if (seconds < 10)
        snprintf(text, 32, "%.3g s", seconds);
    else
        ol_clock_duration(seconds, text);
}

static ol_status ranks_text(const ol_plan *plan, ol_text *out)
{
    const int idle =
        plan->episodes > 0 && plan->ranks > plan->episodes ? plan->ranks - plan->episodes : 0;

    OL_TRY(ol_text_format(out, "%s on %d rank%s, %d BLAS thread%s each\n", plan->name, plan->ranks,
                          plan->ranks > 1 ? "s" : "", plan->threads, plan->threads > 1 ? "s" : ""));
    if (plan->episodes > 0) {
        OL_TRY(ol_text_format(out, "\nepisodes     %d a meta-step: at most %d a rank; ",
                              plan->episodes, plan->rounds));
        OL_TRY(idle > 0
                   ? ol_text_format(out, "%d of %d ranks idle in training\n", idle, plan->ranks)
                   : ol_text_format(out, "no rank is idle in training\n"));
    }
    if (plan->parts[0].items > 0)
        OL_TRY(ol_text_format(out, "scoring      %d target tasks and seeds for each arm%s\n",
                              plan->parts[0].items,
                              plan->ranks > plan->parts[0].items ? ": some ranks idle" : ""));
    return OL_OK;
}

static ol_status arm_text(const ol_plan_arm *arm, ol_text *out)
{
    char step[32], train[32], score[32];

    duration(arm->step_seconds, step);
    duration(arm->train_seconds, train);
    duration(arm->score_seconds, score);
    OL_TRY(ol_text_cell(out, arm->name, 24, true));
    return ol_text_format(out, " %10d %12.4g %11.4g %10s%s %12s %12s\n", arm->steps,
                          arm->evaluations, arm->tokens, step,
                          arm->measured || arm->steps == 0 ? " " : "~", train, score);
}

static ol_status part_text(const ol_plan_part *part, ol_text *out)
{
    char spent[32];

    OL_TRY(ol_text_format(out, "\n%s: %d %s%s", part->what, part->n,
                          part->what[0] == 't' ? "cell" : "arm", part->n > 1 ? "s" : ""));
    if (part->times > 1)
        OL_TRY(ol_text_format(out, ", %d times (train_seeds)", part->times));
    OL_TRY(ol_text_format(out, "\n%-24s %10s %12s %11s %11s %12s %12s\n", "", "meta-steps",
                          "evaluations", "tokens", "a step", "training", "scoring"));
    for (int i = 0; i < part->n; i++)
        OL_TRY(arm_text(&part->arms[i], out));
    if (part->start_seconds > 0) {
        duration(part->start_seconds, spent);
        OL_TRY(ol_text_format(out, "%-24s %10s %12s %11s %11s %12s %12s\n", "the start", "", "", "",
                              "", "", spent));
    }
    return OL_OK;
}

static ol_status memory_text(const ol_memory *m, ol_text *out)
{
    const struct {
        const char *what;
        size_t bytes;
    } rows[] = {
        {"libraries", m->libraries},
        {"data", m->data},
        {"parameters (once a node)", m->parameters},
        {"moments (once a node)", m->moments},
        {"frozen weights (once a node)", m->frozen},
        {"gradients", m->gradients},
        {"sums over ranks", m->sums},
        {"  of it other ranks' memory", m->mapped},
        {"inner loop: tape, scratch", m->episode},
        {"scoring, after training", m->scoring},
        {"BLAS buffer", m->blas},
        {"bfloat16 operands and code", m->narrow},
        {"metrics", m->files},
    };
    char node[64];

    snprintf(node, sizeof node, "a node of %d such ranks", m->sharing);
    OL_TRY(ol_text_format(out, "\nmemory of a rank\n"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].bytes > 0)
            OL_TRY(ol_text_format(out, "  %-30s %10.1f MiB\n", rows[i].what, mib(rows[i].bytes)));
    OL_TRY(ol_text_format(out, "  %-30s %10.1f MiB\n", "peak", mib(m->peak)));
    if (m->sharing > 1)
        OL_TRY(ol_text_format(out, "  %-30s %10.1f MiB\n", node, mib(ol_memory_node(m))));
    return OL_OK;
}

static bool all_measured(const ol_plan *plan)
{
    bool all = true;

    for (int p = 0; p < plan->n_parts; p++)
        for (int i = 0; i < plan->parts[p].n; i++)
            all = all && (plan->parts[p].arms[i].measured || plan->parts[p].arms[i].steps == 0);
    return all;
}

static ol_status time_text(const ol_plan *plan, ol_text *out)
{
    char all[32];

    duration(plan->seconds, all);
    OL_TRY(ol_text_format(out, "\ntime         %s in all; ", all));
    if (all_measured(plan))
        return ol_text_format(out, "from episodes and targets run here for %.1f s\n",
                              plan->measured);
    return ol_text_format(
        out, "what has a ~ from the rate of products here, %.1f GFLOP/s, and their count\n",
        plan->gflops);
}

static ol_status disk_text(const ol_plan *plan, ol_text *out)
{
    size_t checkpoints = 0, metrics = 0, one = 0;

    for (int p = 0; p < plan->n_parts; p++) {
        checkpoints += plan->parts[p].checkpoints;
        metrics += plan->parts[p].metrics;
        one = plan->parts[p].checkpoint > one ? plan->parts[p].checkpoint : one;
    }
    OL_TRY(ol_text_format(out, "disk         %.1f MiB: ", mib(plan->disk)));
    if (one > 0)
        OL_TRY(ol_text_format(out, "%.1f of checkpoints, %.1f each; ", mib(checkpoints), mib(one)));
    return ol_text_format(out, "%.1f of metrics\n", mib(metrics));
}

ol_status ol_plan_text(const ol_plan *plan, ol_text *out)
{
    char piece[32], save[32];

    OL_TRY(ranks_text(plan, out));
    for (int p = plan->n_parts - 1; p >= 0; p--)
        OL_TRY(part_text(&plan->parts[p], out));
    OL_TRY(memory_text(&plan->memory, out));
    OL_TRY(time_text(plan, out));
    OL_TRY(disk_text(plan, out));
    duration(plan->piece_seconds, piece);
    duration(plan->save_seconds, save);
    OL_TRY(ol_text_format(out,
                          "signal       --signal=USR1@%d: an inner step takes %s at most, a "
                          "checkpoint %s at 100 MB/s\n",
                          plan->lead, piece, save));
    return ol_text_format(
        out,
        "\nranks=%d episodes_a_rank=%d idle=%d memory_mib=%.1f seconds=%.4g disk_mib=%.1f "
        "lead_s=%d measured=%d\n",
        plan->ranks, plan->rounds,
        plan->episodes > 0 && plan->ranks > plan->episodes ? plan->ranks - plan->episodes : 0,
        mib(plan->memory.peak), plan->seconds, mib(plan->disk), plan->lead, all_measured(plan));
}
