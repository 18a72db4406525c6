/* SPDX-License-Identifier: BSD-3-Clause */
/* A report as one page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "outerloop/base/clock.h" /* ol_clock_utc */
#include "report_parts.h"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fdfdfb;--ink:#1c1d20;--soft:#62646b;--rule:#dddcd6;"
    "--band:#f3f2ed;--shade:#b9b8b0;--heat:37,99,235;--line:#2563eb}\n"
    "body{margin:0 auto;max-width:1080px;padding:24px 20px 64px;background:var(--paper);"
    "color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\n"
    "h1{font-size:26px;line-height:1.2;margin:8px 0 4px;overflow-wrap:anywhere}\n"
    "h2{font-size:19px;margin:44px 0 8px;padding-top:14px;border-top:1px solid var(--rule)}\n"
    "h3{font-size:16px;margin:24px 0 6px}p{max-width:70ch;margin:6px 0 12px}\n"
    ".soft,figcaption small{color:var(--soft)}.soft{font-size:14px}\n"
    /* a shade on the right while there is more to scroll to, which the paper covers at the end */
    ".wide{overflow-x:auto;margin:0 0 12px;background:linear-gradient(to left,var(--paper) 30%,"
    "transparent) right/48px 100% no-repeat local,linear-gradient(to "
    "left,var(--shade),transparent) "
    "right/18px 100% no-repeat scroll}\n"
    "table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:5px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid "
    "var(--rule)}\n"
    "th:first-child,td:first-child{text-align:left;position:sticky;left:0;"
    "background:var(--paper)}\n"
    "thead th{border-bottom:2px solid var(--rule);font-weight:600;vertical-align:bottom}\n"
    "td small,th small{color:var(--soft);font-weight:400;font-size:12px}\n"
    "td.best{font-weight:700}tr.floor td{color:var(--soft)}\n"
    ".charts{display:grid;gap:20px 28px;grid-template-columns:repeat(auto-fill,minmax(290px,1fr))}"
    /* four are two rows of two, not three and one */
    "\n.charts:has(>:nth-child(4):last-child){grid-template-columns:repeat(auto-fill,"
    "minmax(min(400px,100%),1fr))}"
    "\nfigure{margin:0;max-width:440px}figcaption{font-size:14px;font-weight:600;margin:0 0 2px}\n"
    "figcaption small{font-weight:400;display:block;font-size:13px}\n"
    "svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,'Segoe UI',"
    "Roboto,sans-serif}\n"
    "svg text{fill:var(--ink)}svg .tick{fill:var(--soft);font-size:11px}\n"
    ".grid{stroke:var(--rule);fill:none}.line{fill:none;stroke-width:1.8;stroke:var(--line);"
    "stroke-linejoin:round}\n"
    ".before{stroke:var(--soft);stroke-width:1.4;stroke-dasharray:4 3}\n"
    ".bar{stroke-width:3;opacity:.45}.worst{stroke-width:1.6;opacity:.8}\n"
    ".chance{stroke:var(--soft);stroke-dasharray:2 3;fill:none}\n"
    "details{margin:10px 0}summary{cursor:pointer;font-weight:600}\n"
    "pre{overflow-x:auto;font-size:12px;line-height:1.4;background:var(--band);padding:12px;"
    "border-radius:6px}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:14px;margin:0 0 "
    "10px}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
    "@media(max-width:520px){body{padding:16px 14px 48px;font-size:15px}h1{font-size:22px}"
    "th,td{padding:5px 7px;font-size:13px}}\n"
    "@media print{body{max-width:none}details{display:none}}\n";

static const char *const light[REPORT_COLORS] = {"#6b7280", "#2563eb", "#c2640a", "#047857",
                                                 "#c81e1e", "#7c3aed", "#0e7490", "#be185d",
                                                 "#4d7c0f", "#92400e"};
static const char *const dark[REPORT_COLORS] = {"#a3a9b5", "#7aa5ff", "#f0a04b", "#3fc48f",
                                                "#ff7d7d", "#b692ff", "#4fc3dc", "#ff7ab8",
                                                "#a5d04f", "#e0a070"};

static ol_status add(ol_text *out, const char *text)
{
    return ol_text_append(out, text, strlen(text));
}

ol_status report_escape(ol_text *out, const char *text, const char *special, const char *const *as)
{
    for (size_t n; *text; text += n) {
        const char *at = strchr(special, *text);

        n = at ? 1 : strcspn(text, special);
        OL_TRY(at ? add(out, as[at - special]) : ol_text_append(out, text, n));
    }
    return OL_OK;
}

ol_status report_put(ol_text *out, const char *before, const char *text, const char *after)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;"};

    OL_TRY(add(out, before));
    OL_TRY(report_escape(out, text, "<>&\"", entities));
    return add(out, after);
}

/* Of the runs. */
static ol_status add_names(const ol_report *r, ol_text *out)
{
    for (int i = 0; i < r->n_runs; i++)
        OL_TRY(report_put(out, i > 0 ? ", " : "", r->runs[i].name, ""));
    return OL_OK;
}

static ol_status add_colors(const char *const colors[REPORT_COLORS], ol_text *out)
{
    for (int i = 0; i < REPORT_COLORS; i++)
        OL_TRY(ol_text_format(out, ".c%d{fill:%s;stroke:%s}", i, colors[i], colors[i]));
    return add(out, "\n");
}

static ol_status add_head(const ol_report *r, ol_text *out)
{
    OL_TRY(add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>"));
    OL_TRY(add_names(r, out));
    OL_TRY(ol_text_format(out, "</title>\n<style>\n%s", style));
    OL_TRY(add_colors(light, out));
    OL_TRY(add(out,
               "@media(prefers-color-scheme:dark){:root{--paper:#15161a;--ink:#e7e7ea;"
               "--soft:#a0a2ab;--rule:#34363d;--band:#1e2026;--shade:#4a4d57;--heat:96,150,255;"
               "--line:#7aa5ff}\n"));
    OL_TRY(add_colors(dark, out));
    return add(out, "}\n</style>\n</head>\n<body>\n");
}

/* --- the first lines -------------------------------------------------------------------------- */

/* The learner that is best, and by how much it leads whom, in one sentence. */
static ol_status add_lead(const ol_report *r, ol_text *out)
{
    const int last = r->n_counts - 1;
    const int best = report_leader(r, last, 0, -1), rival = report_leader(r, last, 0, best);
    const ol_eval_summary *s;
    char lead[OL_INTERVAL_TEXT];

    if (rival < 0)
        return OL_OK;
    s = report_stat_of(r, best, last, 0);
    OL_TRY(report_difference(r, best, rival, last, 0, lead));
    OL_TRY(ol_text_format(out, "<p>%s%s, ", r->counts[last].steps > 0 ? "After " : "",
                          r->counts[last].name));
    OL_TRY(report_put(out, "<b>", r->scored[best]->label, "</b>"));
    OL_TRY(ol_text_format(out, " scores %s and ", report_cell_of(r, best, last, 0).mean));
    OL_TRY(report_put(out, "<b>", r->scored[rival]->label, "</b>"));
    return ol_text_format(out,
                          ", the next best, %s: a difference of %.*s points%s over %d unseen "
                          "task%s, %d seed%s each.</p>\n",
                          report_cell_of(r, rival, last, 0).mean, (int)strcspn(lead, " "), lead,
                          lead + strcspn(lead, " "), s->tasks, s->tasks == 1 ? "" : "s", s->seeds,
                          s->seeds == 1 ? "" : "s");
}

/* --- scores ----------------------------------------------------------------------------------- */

static ol_status add_cell(report_cell cell, ol_text *out)
{
    OL_TRY(ol_text_format(out, "<td%s>%s", cell.best ? " class=\"best\"" : "",
                          *cell.mean ? cell.mean : "-"));
    if (*cell.half)
        OL_TRY(ol_text_format(out, " <small>±%s</small>", cell.half));
    if (*cell.worst)
        OL_TRY(ol_text_format(out, "<br><small>worst %s</small>", cell.worst));
    return add(out, "</td>");
}

/* Nothing of a floor that no file says. */
static ol_status add_row(const ol_report *r, int row, int subject, ol_text *out)
{
    char time[32] = "-";
    bool any = row >= 0;

    for (int c = 0; c < r->n_counts; c++)
        any = any || !isnan(report_row_stat(r, row, c, subject).score.mean);
    if (!any)
        return OL_OK;
    OL_TRY(report_put(out, row < 0 ? "<tr class=\"floor\"><td>" : "<tr><td>",
                      report_row_name(r, row), "</td>"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(add_cell(report_cell_of(r, row, c, subject), out));
    if (row >= 0 && r->rows[row].seconds >= 0.0)
        ol_clock_duration(r->rows[row].seconds, time);
    return ol_text_format(out, "<td>%s</td></tr>\n", row < 0 ? "" : time);
}

static ol_status add_part(const ol_report *r, int subject, ol_text *out)
{
    const ol_eval_summary most = report_most(r, 0, r->n_scored, subject);

    OL_TRY(report_put(out, "<h3>", r->subjects[subject].name, ""));
    OL_TRY(
        ol_text_format(out,
                       " <small class=\"soft\">%d task%s, %d seed%s, %d training%s</small></h3>\n"
                       "<div class=\"wide\"><table><thead><tr><th>learner</th>",
                       most.tasks, most.tasks == 1 ? "" : "s", most.seeds,
                       most.seeds == 1 ? "" : "s", most.trainings, most.trainings == 1 ? "" : "s"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, "<th>%s</th>", r->counts[c].name));
    OL_TRY(add(out, "<th>training</th></tr></thead><tbody>\n"));
    for (int row = -REPORT_FLOORS; row < r->n_scored; row++)
        OL_TRY(add_row(r, row, subject, out));
    OL_TRY(add(out, "</tbody></table></div>\n<div class=\"charts\">\n"));
    for (int c = 0; c < r->n_counts; c++) {
        OL_TRY(ol_text_format(out, "<figure><figcaption>%s%s</figcaption>\n",
                              r->counts[c].steps > 0 ? "after " : "", r->counts[c].name));
        OL_TRY(report_draw_scores(r, c, subject, out));
        OL_TRY(add(out, "</figure>\n"));
    }
    return add(out, "</div>\n");
}

static ol_status add_scores(const ol_report *r, ol_text *out)
{
    OL_TRY(ol_text_format(out,
                          "<h2>Scores</h2>\n<p class=\"soft\">The score is %s in %%: the mean "
                          "over tasks and their seeds, ± half its 95 %% interval (a bootstrap over "
                          "tasks, seeds and trainings), and the mean over tasks of each task's "
                          "worst seed. In the drawings a dot, a bar and a stroke; dotted: chance. "
                          "In context: a row is scored after its demonstrations alone; steps are "
                          "those of adaptation before scoring. Bold: the best mean of a "
                          "column.</p>\n",
                          report_metric_words(r)));
    for (int part = r->parts; part < r->tasks; part++)
        OL_TRY(add_part(r, part, out));
    return OL_OK;
}

/* --- differences ------------------------------------------------------------------------------ */

/* "+11" and below it, smaller, its interval. */
static ol_status add_difference(const ol_report *r, int a, int b, int c, int subject, ol_text *out)
{
    char text[OL_INTERVAL_TEXT] = "";
    size_t number;

    if (a != b)
        OL_TRY(report_difference(r, a, b, c, subject, text));
    number = strcspn(text, " ");
    OL_TRY(ol_text_format(out, "<td>%.*s", (int)number, text));
    if (text[number])
        OL_TRY(ol_text_format(out, "<br><small>%s</small>", text + number));
    return add(out, "</td>");
}

/* A table with a column a learner begins, which can be folded away: one a count, of which the last is
   open. */
static ol_status begin_fold(const ol_report *r, int c, const char *first, ol_text *out)
{
    OL_TRY(ol_text_format(out,
                          "<details%s><summary>%s%s</summary>\n<div class=\"wide\"><table>"
                          "<thead><tr><th>%s</th>",
                          c == r->n_counts - 1 ? " open" : "",
                          r->counts[c].steps > 0 ? "after " : "", r->counts[c].name, first));
    for (int l = 0; l < r->n_scored; l++)
        OL_TRY(report_put(out, "<th>", r->scored[l]->label, "</th>"));
    return add(out, "</tr></thead><tbody>\n");
}

static ol_status add_matrix(const ol_report *r, int c, int subject, ol_text *out)
{
    OL_TRY(begin_fold(r, c, "row less column", out));
    for (int a = 0; a < r->n_scored; a++) {
        OL_TRY(report_put(out, "<tr><td>", r->scored[a]->label, "</td>"));
        for (int b = 0; b < r->n_scored; b++)
            OL_TRY(add_difference(r, a, b, c, subject, out));
        OL_TRY(add(out, "</tr>\n"));
    }
    return add(out, "</tbody></table></div>\n</details>\n");
}

static ol_status add_differences(const ol_report *r, ol_text *out)
{
    OL_TRY(add(out, "<h2>Differences</h2>\n<p class=\"soft\">The learner of the row less that of "
                    "the column, in points of score, paired by task and seed, with 95 % "
                    "intervals.</p>\n"));
    for (int part = r->parts; part < r->tasks; part++) {
        OL_TRY(report_put(out, "<h3>", r->subjects[part].name, "</h3>\n"));
        for (int c = r->n_counts - 1; c >= 0; c--)
            OL_TRY(add_matrix(r, c, part, out));
    }
    return OL_OK;
}

/* --- training --------------------------------------------------------------------------------- */

/* The axis that holds the losses of all learners; 0 where nothing was trained. */
static double most_loss(const ol_report *r)
{
    double most = 0.0, points[140];
    bool any = false;

    for (int i = 0; i < r->n_learners; i++) {
        const ol_stored_table *s = &r->learners[i].series;

        any = any || s->n > 0;
        for (int c = r->learners[i].inner ? OL_STEP_LOSS_BEFORE : OL_STEP_LOSS_AFTER;
             c <= OL_STEP_LOSS_AFTER; c++)
            for (int p = report_thin(s->n, s->number[c], 140, points); p-- > 0;)
                most = fmax(most, points[p]);
    }
    return most > 0.0 ? 1.05 * most : any;
}

/* The figure of a learner: its losses on an axis up to `most`, or where that is 0 its |G|. */
static ol_status add_figure(const report_learner *l, double most, ol_text *out)
{
    const double before = ol_mean_value(l->before), after = ol_mean_value(l->after);

    OL_TRY(report_put(out, "<figure><figcaption>", l->label, ""));
    if (most > 0.0 && isfinite(before))
        OL_TRY(ol_text_format(out, "<small>at the end %.3f before and %.3f after</small>", before,
                              after));
    else if (most > 0.0)
        OL_TRY(ol_text_format(out, "<small>at the end %.3f%s</small>", after,
                              l->inner ? "" : "; no inner loop"));
    OL_TRY(add(out, "</figcaption>\n"));
    OL_TRY(most > 0.0 ? report_draw_loss(l, most, out) : report_draw_norm(l, out));
    return add(out, "</figure>\n");
}

static ol_status add_figures(const ol_report *r, double most, ol_text *out)
{
    OL_TRY(add(out, "<div class=\"charts\">\n"));
    for (int i = 0; i < r->n_learners; i++)
        if (r->learners[i].series.n > 0)
            OL_TRY(add_figure(&r->learners[i], most, out));
    return add(out, "</div>\n");
}

static ol_status add_training(const ol_report *r, ol_text *out)
{
    const double most = most_loss(r);

    if (most == 0.0)
        return OL_OK;
    OL_TRY(add(out, "<h2>Training</h2>\n<h3>Query loss</h3>\n<p class=\"soft\">Nats a token, mean "
                    "over the episodes of a meta-step: after adaptation, and dashed before it. "
                    "What lies between the two is what the inner loop gains.</p>\n"));
    OL_TRY(add_figures(r, most, out));
    OL_TRY(add(out,
               "<h3>|G|, the norm of the meta-gradient</h3>\n<p class=\"soft\">Before clipping, "
               "logarithmic. Each learner has an axis of its own.</p>\n"));
    return add_figures(r, 0.0, out);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static ol_status add_task_row(const ol_report *r, int c, int subject, ol_text *out)
{
    OL_TRY(report_put(out, "<tr><td>", r->subjects[subject].name, ""));
    if (*r->subjects[subject].belongs)
        OL_TRY(report_put(out, " <small>", r->subjects[subject].belongs, "</small>"));
    OL_TRY(add(out, "</td>"));
    for (int l = 0; l < r->n_scored; l++) {
        const ol_eval_summary *s = report_stat_of(r, l, c, subject);

        OL_TRY(isnan(s->score.mean)
                   ? add(out, "<td>-</td>")
                   : ol_text_format(out,
                                    "<td style=\"background:rgba(var(--heat),%.2f)\">"
                                    "%.0f <small>%.0f</small></td>",
                                    0.42 * s->score.mean * s->score.mean, 100.0 * s->score.mean,
                                    100.0 * s->worst));
    }
    return add(out, "</tr>\n");
}

static ol_status add_tasks(const ol_report *r, ol_text *out)
{
    OL_TRY(add(out, "<h2>Tasks</h2>\n<p class=\"soft\">Mean over seeds, and small the worst "
                    "seed.</p>\n"));
    for (int c = r->n_counts - 1; c >= 0; c--) {
        OL_TRY(begin_fold(r, c, "task", out));
        for (int t = r->tasks; t < r->n_subjects; t++)
            OL_TRY(add_task_row(r, c, t, out));
        OL_TRY(add(out, "</tbody></table></div>\n</details>\n"));
    }
    return OL_OK;
}

/* --- runs ------------------------------------------------------------------------------------- */

static ol_status add_run(const ol_report *r, int run, ol_text *out)
{
    OL_TRY(report_put(out, "<dl><dt>folder</dt><dd>", r->runs[run].path, "</dd>"));
    for (int k = 0; k < REPORT_FACTS; k++)
        if (r->runs[run].facts[k]) {
            OL_TRY(ol_text_format(out, "<dt>%s</dt>", report_fact_names[k]));
            OL_TRY(report_put(out, "<dd>", r->runs[run].facts[k], "</dd>"));
        }
    OL_TRY(add(out, "</dl>\n"));
    for (int i = 0; i < r->n_learners; i++) {
        const report_learner *l = &r->learners[i];

        if (l->run != run || !l->job_text || report_is_start(l))
            continue;
        OL_TRY(report_put(out, "<details><summary>job of ", l->label, ", as resolved</summary>"));
        OL_TRY(report_put(out, "<pre>", l->job_text, "</pre></details>\n"));
    }
    return OL_OK;
}

ol_status ol_report_html(const ol_report *r, ol_text *out)
{
    char now[32];

    ol_clock_utc(now);
    OL_TRY(add_head(r, out));
    OL_TRY(add(out, "<h1>"));
    OL_TRY(add_names(r, out));
    OL_TRY(ol_text_format(out, "</h1>\n<p class=\"soft\">outerloop, %s</p>\n", now));
    if (r->n_counts > 0) {
        OL_TRY(add_lead(r, out));
        OL_TRY(add_scores(r, out));
        OL_TRY(add_differences(r, out));
    } else {
        OL_TRY(add(out, "<p>No scores yet: they come with the stages eval and adapt.</p>\n"));
    }
    OL_TRY(add_training(r, out));
    if (r->n_counts > 0)
        OL_TRY(add_tasks(r, out));
    OL_TRY(add(out, r->n_runs > 1 ? "<h2>Runs</h2>\n" : "<h2>Run</h2>\n"));
    for (int i = 0; i < r->n_runs; i++)
        OL_TRY(add_run(r, i, out));
    return add(out, "</body>\n</html>\n");
}
