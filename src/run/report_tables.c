/* SPDX-License-Identifier: BSD-3-Clause */
/* A report as tables for papers and for other programs: CSV and LaTeX. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_parts.h"

/* --- CSV -------------------------------------------------------------------------------------- */

/* A field, in quotes where it must be. */
static ol_status add_field(const char *text, ol_text *out)
{
    if (!strpbrk(text, ",\"\n"))
        return ol_text_format(out, "%s", text);
    OL_TRY(ol_text_append(out, "\"", 1));
    for (; *text; text++)
        OL_TRY(ol_text_format(out, *text == '"' ? "\"\"" : "%c", *text));
    return ol_text_append(out, "\"", 1);
}

static ol_status add_number(double value, ol_text *out)
{
    return isnan(value) ? ol_text_format(out, ",") : ol_text_format(out, ",%.6g", value);
}

static ol_status add_csv_row(const ol_report *r, const report_learner *l, const char *part,
                             const char *group, const char *task, ol_text *out)
{
    report_stat s = {0};
    int tasks = 0, seeds = 0;
    ol_text cells = {0};
    ol_status status = OL_OK;

    for (int c = 0; c < r->n_counts && status == OL_OK; c++) {
        status = report_stat_of(l, r->counts[c], group, task, &s);
        tasks = s.tasks > tasks ? s.tasks : tasks;
        seeds = s.seeds > seeds ? s.seeds : seeds;
        for (int k = 0; k < 4 && status == OL_OK; k++)
            status = add_number(k == 0   ? s.mean
                                : k == 1 ? s.low
                                : k == 2 ? s.high
                                         : s.worst,
                                &cells);
    }
    if (status == OL_OK)
        status = add_field(part, out);
    if (status == OL_OK)
        status = ol_text_append(out, ",", 1);
    if (status == OL_OK)
        status = add_field(l->label, out);
    if (status == OL_OK)
        status = ol_text_format(out, ",%d,%d%s\n", tasks, seeds, cells.data ? cells.data : "");
    ol_text_finish(&cells);
    return status;
}

/* "all unseen tasks,chance,,,26.1,,,,..." */
static ol_status add_csv_floor(const ol_report *r, const char *part, const char *group,
                               const char *task, bool majority, ol_text *out)
{
    OL_TRY(add_field(part, out));
    OL_TRY(ol_text_format(out, ",%s,,", majority ? "majority" : "chance"));
    for (int c = 0; c < r->n_counts; c++) {
        double floor;

        OL_TRY(report_floor(r, r->counts[c], group, task, majority, &floor));
        OL_TRY(add_number(floor, out));
        OL_TRY(ol_text_append(out, ",,,", 3));
    }
    return ol_text_append(out, "\n", 1);
}

static ol_status add_csv_part(const ol_report *r, const char *part, const char *group,
                              const char *task, ol_text *out)
{
    OL_TRY(add_csv_floor(r, part, group, task, false, out));
    OL_TRY(add_csv_floor(r, part, group, task, true, out));
    for (int i = 0; i < r->n_learners; i++)
        if (r->learners[i].n_scores > 0)
            OL_TRY(add_csv_row(r, &r->learners[i], part, group, task, out));
    return OL_OK;
}

ol_status ol_report_csv(const ol_report *r, ol_text *out)
{
    OL_TRY(ol_text_format(out, "task,learner,tasks,seeds"));
    for (int c = 0; c < r->n_counts; c++) {
        char name[OL_STEPS_TEXT];

        ol_steps_name(r->counts[c], name);
        OL_TRY(ol_text_format(out, ",%s,%s low,%s high,%s worst", name, name, name, name));
    }
    OL_TRY(ol_text_append(out, "\n", 1));
    OL_TRY(add_csv_part(r, report_part_name(NULL), NULL, NULL, out));
    for (int g = 0; g < r->n_groups; g++)
        OL_TRY(add_csv_part(r, r->groups[g], r->groups[g], NULL, out));
    for (int t = 0; t < r->n_tasks; t++)
        OL_TRY(add_csv_part(r, r->tasks[t], NULL, r->tasks[t], out));
    return OL_OK;
}

/* --- LaTeX ------------------------------------------------------------------------------------ */

static ol_status add_tex(const char *text, ol_text *out)
{
    for (; *text; text++) {
        if (strchr("&%$#_{}", *text))
            OL_TRY(ol_text_format(out, "\\%c", *text));
        else if (*text == '\\')
            OL_TRY(ol_text_format(out, "\\textbackslash{}"));
        else if (*text == '~' || *text == '^')
            OL_TRY(ol_text_format(out, "\\%c{}", *text));
        else
            OL_TRY(ol_text_append(out, text, 1));
    }
    return OL_OK;
}

static ol_status best_at(const ol_report *r, int steps, const char *group, const char *task,
                         double *best)
{
    *best = -1.0;
    for (int i = 0; i < r->n_learners; i++) {
        report_stat s;

        OL_TRY(report_stat_of(&r->learners[i], steps, group, task, &s));
        *best = s.mean > *best ? s.mean : *best;
    }
    return OL_OK;
}

/* "& 51.7 {\scriptsize$\pm$3.1} & 48.1" */
static ol_status add_tex_cell(const report_stat *s, double best, ol_text *out)
{
    if (isnan(s->mean))
        return ol_text_format(out, " & -- & --");
    OL_TRY(ol_text_format(out, s->mean >= best ? " & \\textbf{%.*f}" : " & %.*f",
                          report_decimals(s), 100.0 * s->mean));
    if (!isnan(s->low))
        OL_TRY(ol_text_format(out, " {\\scriptsize$\\pm$%.*f}", report_decimals(s),
                              50.0 * (s->high - s->low)));
    return ol_text_format(out, " & %.*f", report_decimals(s), 100.0 * s->worst);
}

static ol_status add_tex_head(const ol_report *r, const char *first, const char *caption,
                              ol_text *out)
{
    OL_TRY(ol_text_format(out, "\\begin{table}\n\\caption{"));
    OL_TRY(add_tex(caption, out));
    OL_TRY(ol_text_format(out, "}\n\\begin{tabular}{l"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, "rr"));
    OL_TRY(ol_text_format(out, "}\n\\toprule\n"));
    for (int c = 0; c < r->n_counts; c++) {
        char name[OL_STEPS_TEXT];

        ol_steps_name(r->counts[c], name);
        OL_TRY(ol_text_format(out, " & \\multicolumn{2}{c}{%s}", name));
    }
    OL_TRY(ol_text_format(out, " \\\\\n%s", first));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, " & mean & worst"));
    return ol_text_format(out, " \\\\\n\\midrule\n");
}

static ol_status add_tex_floor(const ol_report *r, const char *group, const char *task,
                               bool majority, ol_text *out)
{
    OL_TRY(ol_text_format(out, majority ? "majority" : "chance"));
    for (int c = 0; c < r->n_counts; c++) {
        double floor;

        OL_TRY(report_floor(r, r->counts[c], group, task, majority, &floor));
        OL_TRY(isnan(floor) ? ol_text_format(out, " & -- &")
                            : ol_text_format(out, " & %.1f &", 100.0 * floor));
    }
    return ol_text_format(out, " \\\\\n");
}

static ol_status add_tex_part(const ol_report *r, const char *group, const char *task, ol_text *out)
{
    char caption[512];

    snprintf(caption, sizeof caption,
             "%s: %s in %%, mean over tasks of the mean and of the worst seed",
             task ? task : report_part_name(group), report_metric_words(r));
    OL_TRY(add_tex_head(r, "learner", caption, out));
    OL_TRY(add_tex_floor(r, group, task, false, out));
    OL_TRY(add_tex_floor(r, group, task, true, out));
    OL_TRY(ol_text_format(out, "\\midrule\n"));
    for (int i = 0; i < r->n_learners; i++) {
        const report_learner *l = &r->learners[i];

        if (l->n_scores == 0)
            continue;
        OL_TRY(add_tex(l->label, out));
        for (int c = 0; c < r->n_counts; c++) {
            report_stat s;
            double best;

            OL_TRY(best_at(r, r->counts[c], group, task, &best));
            OL_TRY(report_stat_of(l, r->counts[c], group, task, &s));
            OL_TRY(add_tex_cell(&s, best, out));
        }
        OL_TRY(ol_text_format(out, " \\\\\n"));
    }
    return ol_text_format(out, "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n");
}

ol_status ol_report_latex(const ol_report *r, ol_text *out)
{
    const char **parts;
    ol_status status = OL_OK;
    int n;

    OL_TRY(ol_text_format(out, "%% \\usepackage{booktabs}\n"));
    if (r->n_counts == 0)
        return ol_text_format(out, "%% no scores yet\n");
    parts = calloc((size_t)r->n_groups + 1, sizeof *parts);
    OL_CHECK(parts, OL_ENOMEM, "no memory for a table");
    n = report_parts(r, parts);
    for (int i = 0; i < n && status == OL_OK; i++)
        status = add_tex_part(r, parts[i], NULL, out);
    free(parts);
    for (int t = 0; t < r->n_tasks && status == OL_OK; t++)
        status = add_tex_part(r, NULL, r->tasks[t], out);
    return status;
}
