/* SPDX-License-Identifier: BSD-3-Clause */
/* A report as tables for papers and for other programs: CSV and LaTeX. */
#include <math.h>
#include <stdio.h>
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

/* "all unseen tasks,maml,2,2,0.4,0.3,0.5,0.4,..."; of chance the means alone. */
static ol_status add_csv_row(const ol_report *r, int row, int subject, ol_text *out)
{
    ol_eval_summary most;

    OL_TRY(add_field(r->subjects[subject].name, out));
    OL_TRY(ol_text_append(out, ",", 1));
    OL_TRY(add_field(report_row_name(r, row), out));
    if (row >= 0) {
        most = report_most(r, row, row + 1, subject);
        OL_TRY(ol_text_format(out, ",%d,%d", most.tasks, most.seeds));
    } else {
        OL_TRY(ol_text_append(out, ",,", 2));
    }
    for (int c = 0; c < r->n_counts; c++) {
        const ol_eval_summary s = report_row_stat(r, row, c, subject);
        const double cells[] = {s.score.mean, s.score.low, s.score.high, s.worst};

        for (int k = 0; k < 4; k++)
            OL_TRY(isnan(cells[k]) ? ol_text_append(out, ",", 1)
                                   : ol_text_format(out, ",%.6g", cells[k]));
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
    for (int s = 0; s < r->n_subjects; s++)
        for (int row = -REPORT_FLOORS; row < r->n_scored; row++)
            OL_TRY(add_csv_row(r, row, s, out));
    return OL_OK;
}

/* --- LaTeX ------------------------------------------------------------------------------------ */

static ol_status add_tex(const char *text, ol_text *out)
{
    static const char *const as[] = {"\\&", "\\%", "\\$",   "\\#",   "\\_",
                                     "\\{", "\\}", "\\~{}", "\\^{}", "\\textbackslash{}"};

    return report_escape(out, text, "&%$#_{}~^\\", as);
}

/* "maml & 51.7 {\scriptsize$\pm$3.1} & 48.1 \\"; of chance the means alone. */
static ol_status add_tex_row(const ol_report *r, int row, int subject, ol_text *out)
{
    OL_TRY(add_tex(report_row_name(r, row), out));
    for (int c = 0; c < r->n_counts; c++) {
        const report_cell cell = report_cell_of(r, row, c, subject);

        OL_TRY(ol_text_format(out, cell.best ? " & \\textbf{%s}" : " & %s",
                              *cell.mean ? cell.mean : "--"));
        if (*cell.half)
            OL_TRY(ol_text_format(out, " {\\scriptsize$\\pm$%s}", cell.half));
        OL_TRY(row < 0 ? ol_text_append(out, " &", 2)
                       : ol_text_format(out, " & %s", *cell.worst ? cell.worst : "--"));
    }
    return ol_text_format(out, " \\\\\n");
}

static ol_status add_tex_part(const ol_report *r, int subject, ol_text *out)
{
    OL_TRY(ol_text_format(out, "\\begin{table}\n\\caption{"));
    OL_TRY(add_tex(r->subjects[subject].name, out));
    OL_TRY(ol_text_format(out,
                          ": %s in \\%%, mean over tasks of the mean and of the worst seed}\n"
                          "\\begin{tabular}{l",
                          report_metric_words(r)));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, "rr"));
    OL_TRY(ol_text_format(out, "}\n\\toprule\n"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, " & \\multicolumn{2}{c}{%s}", r->counts[c].name));
    OL_TRY(ol_text_format(out, " \\\\\nlearner"));
    for (int c = 0; c < r->n_counts; c++)
        OL_TRY(ol_text_format(out, " & mean & worst"));
    OL_TRY(ol_text_format(out, " \\\\\n\\midrule\n"));
    for (int row = -REPORT_FLOORS; row < r->n_scored; row++) {
        OL_TRY(ol_text_format(out, "%s", row == 0 ? "\\midrule\n" : ""));
        OL_TRY(add_tex_row(r, row, subject, out));
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
