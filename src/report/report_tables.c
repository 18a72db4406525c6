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
    const char *quote = strpbrk(text, ",\"\n") ? "\"" : "";

    OL_TRY(ol_text_format(out, "%s", quote));
    OL_TRY(report_escape(out, text, "\"", &(const char *){"\"\""}));
    return ol_text_format(out, "%s", quote);
}

static ol_status add_number(double value, ol_text *out)
{
    return isnan(value) ? ol_text_format(out, ",") : ol_text_format(out, ",%.6g", value);
}

static ol_status add_csv_row(const ol_report *r, int l, int subject, ol_text *out)
{
    const ol_eval_summary most = report_most(r, l, l + 1, subject);

    OL_TRY(add_field(r->subjects[subject].name, out));
    OL_TRY(ol_text_append(out, ",", 1));
    OL_TRY(add_field(r->scored[l]->label, out));
    OL_TRY(ol_text_format(out, ",%d,%d", most.tasks, most.seeds));
    for (int c = 0; c < r->n_counts; c++) {
        const ol_eval_summary *s = report_stat_of(r, l, c, subject);
        const double cells[] = {s->score.mean, s->score.low, s->score.high, s->worst};

        for (int k = 0; k < 4; k++)
            OL_TRY(add_number(cells[k], out));
    }
    return ol_text_append(out, "\n", 1);
}

/* "all unseen tasks,chance,,,26.1,,,,..." */
static ol_status add_csv_floor(const ol_report *r, int subject, int floor, ol_text *out)
{
    OL_TRY(add_field(r->subjects[subject].name, out));
    OL_TRY(ol_text_format(out, ",%s,,", report_floor_names[floor]));
    for (int c = 0; c < r->n_counts; c++) {
        OL_TRY(add_number(report_floor(r, c, subject, floor), out));
        OL_TRY(ol_text_append(out, ",,,", 3));
    }
    return ol_text_append(out, "\n", 1);
}

ol_status ol_report_csv(const ol_report *r, ol_text *out)
{
    OL_TRY(ol_text_format(out, "task,learner,tasks,seeds"));
    for (int c = 0; c < r->n_counts; c++) {
        const char *name = r->counts[c].name;

        OL_TRY(ol_text_format(out, ",%s,%s low,%s high,%s worst", name, name, name, name));
    }
    OL_TRY(ol_text_append(out, "\n", 1));
    for (int s = 0; s < r->n_subjects; s++) {
        for (int f = 0; f < REPORT_FLOORS; f++)
            OL_TRY(add_csv_floor(r, s, f, out));
        for (int l = 0; l < r->n_scored; l++)
            OL_TRY(add_csv_row(r, l, s, out));
    }
    return OL_OK;
}

/* --- LaTeX ------------------------------------------------------------------------------------ */

static ol_status add_tex(const char *text, ol_text *out)
{
    static const char *const as[] = {"\\&", "\\%", "\\$",   "\\#",   "\\_",
                                     "\\{", "\\}", "\\~{}", "\\^{}", "\\textbackslash{}"};

    return report_escape(out, text, "&%$#_{}~^\\", as);
}

/* "& 51.7 {\scriptsize$\pm$3.1} & 48.1" */
static ol_status add_tex_cell(const ol_eval_summary *s, double best, ol_text *out)
{
    if (isnan(s->score.mean))
        return ol_text_format(out, " & -- & --");
    OL_TRY(ol_text_format(out, s->score.mean >= best ? " & \\textbf{%.*f}" : " & %.*f",
                          report_decimals(&s->score), 100.0 * s->score.mean));
    if (!isnan(s->score.low))
        OL_TRY(ol_text_format(out, " {\\scriptsize$\\pm$%.*f}", report_decimals(&s->score),
                              50.0 * (s->score.high - s->score.low)));
    return ol_text_format(out, " & %.*f", report_decimals(&s->score), 100.0 * s->worst);
}

static ol_status add_tex_head(const ol_report *r, const char *caption, ol_text *out)
{
    OL_TRY(ol_text_format(out, "\\begin{table}\n\\caption{"));
    OL_TRY(add_tex(caption, out));
    OL_TRY(ol_text_format(out, "}\n\\begin{tabular}{l"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, "rr"));
    OL_TRY(ol_text_format(out, "}\n\\toprule\n"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, " & \\multicolumn{2}{c}{%s}", r->counts[c].name));
    OL_TRY(ol_text_format(out, " \\\\\nlearner"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, " & mean & worst"));
    return ol_text_format(out, " \\\\\n\\midrule\n");
}

static ol_status add_tex_floor(const ol_report *r, int subject, int floor, ol_text *out)
{
    OL_TRY(ol_text_format(out, "%s", report_floor_names[floor]));
    for (int c = 0; c < r->n_counts; c++) {
        const double value = report_floor(r, c, subject, floor);

        OL_TRY(isnan(value) ? ol_text_format(out, " & -- &")
                            : ol_text_format(out, " & %.1f &", 100.0 * value));
    }
    return ol_text_format(out, " \\\\\n");
}

static ol_status add_tex_part(const ol_report *r, int subject, ol_text *out)
{
    char caption[512];

    snprintf(caption, sizeof caption,
             "%s: %s in %%, mean over tasks of the mean and of the worst seed",
             r->subjects[subject].name, report_metric_words(r));
    OL_TRY(add_tex_head(r, caption, out));
    for (int f = 0; f < REPORT_FLOORS; f++)
        OL_TRY(add_tex_floor(r, subject, f, out));
    OL_TRY(ol_text_format(out, "\\midrule\n"));
    for (int l = 0; l < r->n_scored; l++) {
        OL_TRY(add_tex(r->scored[l]->label, out));
        for (int c = 0; c < r->n_counts; c++)
            OL_TRY(add_tex_cell(report_stat_of(r, l, c, subject), report_best(r, c, subject), out));
        OL_TRY(ol_text_format(out, " \\\\\n"));
    }
    return ol_text_format(out, "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n");
}

ol_status ol_report_latex(const ol_report *r, ol_text *out)
{
    OL_TRY(ol_text_format(out, "%% \\usepackage{booktabs}\n"));
    if (r->n_counts == 0)
        return ol_text_format(out, "%% no scores yet\n");
    for (int s = r->parts; s < r->n_subjects; s++)
        OL_TRY(add_tex_part(r, s, out));
    return OL_OK;
}
