/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/progress.h"

#include <math.h>
#include <stdio.h>

#include "outerloop/base/clock.h" /* ol_clock_seconds, ol_clock_duration */
#include "outerloop/base/log.h"   /* ol_log_live, ol_log_info */

static const double forget = 0.95;      /* weight that a step keeps when the next one comes */
static const double live_seconds = 0.1; /* between two drawings of the live line */

ol_progress ol_progress_start(const char *what, int64_t first, int64_t last, double log_seconds)
{
    const double now = ol_clock_seconds();

    return (ol_progress){.what = what,
                         .first = first,
                         .last = last,
                         .log_seconds = log_seconds,
                         .started = now,
                         .spoken = now};
}

/* True when a line is due now; the last piece always has one. */
static bool is_due(ol_progress *p, int64_t done)
{
    const double now = ol_clock_seconds();
    const double wait = ol_log_is_live() ? live_seconds : p->log_seconds;

    if (done < p->last && now - p->spoken < wait)
        return false;
    p->spoken = now;
    return true;
}

static void speak(const ol_progress *p, int64_t done, const char *text)
{
    char line[512], left[32] = "", ahead[64] = "";
    const double spent = ol_clock_seconds() - p->started;

    if (done < p->last && done > p->first) {
        ol_clock_duration(spent / (double)(done - p->first) * (double)(p->last - done), left);
        snprintf(ahead, sizeof ahead, "  %s left", left);
    } else if (done >= p->last) {
        ol_clock_duration(spent, left);
        snprintf(ahead, sizeof ahead, "  done in %s", left);
    }
    snprintf(line, sizeof line, "%s  %lld/%lld%s%s", p->what, (long long)done, (long long)p->last,
             ahead, text); /* a narrow terminal cuts the last parts off */
    if (ol_log_is_live() && done < p->last)
        ol_log_live(line);
    else
        ol_log_info("%s", line);
}

/* "31.2 k", "980": three digits that a person reads at a glance. */
static void rate_text(double rate, char text[32])
{
    if (rate >= 1e6)
        snprintf(text, 32, "%.3g M", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(text, 32, "%.3g k", rate / 1e3);
    else
        snprintf(text, 32, "%.3g", rate);
}

void ol_progress_step(ol_progress *p, int64_t done, double before, double after, int64_t tokens,
                      double seconds)
{
    char text[160], losses[64] = "no loss", rate[32];

    if (isfinite(after)) { /* a step with nothing but dropped episodes has no loss */
        p->weight = forget * p->weight + 1.0;
        p->after = forget * p->after + after;
    }
    if (isfinite(after) && isfinite(before)) {
        p->weight_gain = forget * p->weight_gain + 1.0;
        p->gain = forget * p->gain + before - after;
    }
    p->tokens = forget * p->tokens + (double)tokens;
    p->seconds = forget * p->seconds + seconds;
    if (!is_due(p, done))
        return;
    if (p->weight_gain > 0.0)
        snprintf(losses, sizeof losses, "loss %.3f → %.3f",
                 p->after / p->weight + p->gain / p->weight_gain, p->after / p->weight);
    else if (p->weight > 0.0)
        snprintf(losses, sizeof losses, "loss %.3f", p->after / p->weight);
    rate_text(p->seconds > 0.0 ? p->tokens / p->seconds : 0.0, rate);
    snprintf(text, sizeof text, "  %s  %s tokens/s", losses, rate);
    speak(p, done, text);
}

void ol_progress_count(ol_progress *p, int64_t done)
{
    if (is_due(p, done))
        speak(p, done, "");
}

void ol_progress_end(void)
{
    ol_log_live("");
}
