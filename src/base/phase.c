/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/phase.h"

#include "outerloop/base/clock.h" /* ol_clock_seconds */

const char *const ol_phase_names[OL_PHASES] = {
    [OL_PHASE_OTHER] = "other",        [OL_PHASE_DRAW] = "draw",
    [OL_PHASE_MEASURE] = "measure",    [OL_PHASE_FORWARD] = "forward",
    [OL_PHASE_BACKWARD] = "backward",  [OL_PHASE_RECOMPUTE] = "recompute",
    [OL_PHASE_PRODUCT] = "hvp",        [OL_PHASE_INNER] = "inner_update",
    [OL_PHASE_OUTER] = "outer_update", [OL_PHASE_SUM] = "sum",
    [OL_PHASE_WAIT] = "wait",          [OL_PHASE_SAVE] = "checkpoint",
    [OL_PHASE_METRICS] = "metrics",
};

bool ol_phase_runs;

static ol_phase now; /* the phase at hand */
static double since; /* on the clock, that it is */
static ol_phase_times times;

/* What the phase at hand has had until here is its own. */
static void book(void)
{
    const double at = ol_clock_seconds();

    times.seconds[now] += at - since;
    since = at;
}

void ol_phase_start(void)
{
    times = (ol_phase_times){0};
    now = OL_PHASE_OTHER;
    since = ol_clock_seconds();
    ol_phase_runs = true;
}

void ol_phase_stop(void)
{
    ol_phase_runs = false;
    times = (ol_phase_times){0};
}

ol_phase_times ol_phase_read(void)
{
    ol_phase_times had;

    if (ol_phase_runs)
        book();
    had = times;
    times = (ol_phase_times){0};
    return had;
}

ol_phase ol_phase_change(ol_phase to, bool counts)
{
    const ol_phase was = now;

    book();
    now = to;
    times.calls[to] += counts;
    return was;
}
