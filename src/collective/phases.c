/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/collective/phases.h"

#include <string.h>

/* Of all ranks, on rank 0. */
static void bring_together(const ol_gathered *all, int ranks, ol_phase_row *rows)
{
    memset(rows, 0, OL_PHASES * sizeof *rows);
    for (int r = 0; r < ranks; r++) {
        ol_phase_times times;

        memcpy(&times, all->bytes + all->offsets[r], sizeof times);
        for (int p = 0; p < OL_PHASES; p++) {
            rows[p].seconds += times.seconds[p] / ranks;
            rows[p].calls += times.calls[p];
            if (times.seconds[p] > rows[p].most) {
                rows[p].most = times.seconds[p];
                rows[p].slowest = r;
            }
        }
    }
}

ol_status ol_phases_gather(ol_comm *comm, const ol_phase_times *mine, ol_phase_row *rows)
{
    ol_gathered all;

    OL_TRY(ol_comm_gather(comm, mine, sizeof *mine, &all));
    if (ol_comm_rank(comm) == 0)
        bring_together(&all, ol_comm_size(comm), rows);
    ol_gathered_finish(&all);
    return OL_OK;
}

void ol_phases_add(const ol_phase_times *more, ol_phase_times *sum)
{
    for (int p = 0; p < OL_PHASES; p++) {
        sum->seconds[p] += more->seconds[p];
        sum->calls[p] += more->calls[p];
    }
}

void ol_phases_own(const ol_phase_times *mine, ol_phase_row *rows)
{
    for (int p = 0; p < OL_PHASES; p++)
        rows[p] = (ol_phase_row){
            .seconds = mine->seconds[p], .most = mine->seconds[p], .calls = mine->calls[p]};
}

/* One line; the share is of `all` seconds. */
static ol_status line(const char *name, const ol_phase_row *row, double all, int ranks,
                      ol_text *out)
{
    OL_TRY(ol_text_format(out, "%-14s%11.4f%8.1f %%%10lld", name, row->seconds,
                          100 * row->seconds / all, (long long)row->calls));
    if (ranks > 1)
        OL_TRY(ol_text_format(out, "%13.4f%6d", row->most, row->slowest));
    return ol_text_format(out, "\n");
}

ol_status ol_phases_text(const ol_phase_row *rows, int ranks, ol_text *out)
{
    double all = 0;

    for (int p = 0; p < OL_PHASES; p++)
        all += rows[p].seconds;
    OL_TRY(ol_text_format(out, "%-14s%11s%10s%10s%s\n", "phase", ranks > 1 ? "mean s" : "seconds",
                          "share", "calls", ranks > 1 ? "    slowest s  rank" : ""));
    for (int i = 0; i < OL_PHASES; i++) {
        const int p = (i + 1) % OL_PHASES; /* what is in no phase comes last */

        if (rows[p].seconds > 0)
            OL_TRY(line(ol_phase_names[p], &rows[p], all, ranks, out));
    }
    return ol_text_format(out, "%-14s%11.4f%8.1f %%\n", "all", all, 100.0);
}
