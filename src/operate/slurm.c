/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/operate/slurm.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "run_sbatch.h" /* OL_RUN_SBATCH: the text of slurm/run.sbatch */

enum { STEP_MIB = 64, LEAST_MIB = 256, MOST_MINUTES = 24 * 60 };

static const char first_work[] = "set -u\n"; /* all above it are comments and requests */

void ol_slurm_size(const ol_plan *plan, ol_slurm_spec *spec)
{
    const double mib = (double)ol_memory_own(&plan->memory) * 7 / 6 / 1048576.0 / plan->threads;
    const double minutes = 10 + plan->seconds * 4 / 3 / 60 + plan->lead / 60.0;

    spec->tasks = plan->ranks;
    spec->cpus = plan->threads;
    spec->mib_a_cpu = (int)(ceil(fmax(mib, LEAST_MIB) / STEP_MIB) * STEP_MIB);
    spec->minutes = minutes < MOST_MINUTES ? (int)ceil(minutes) : MOST_MINUTES;
    spec->lead = plan->lead;
}

/* A word for the shell. */
static ol_status quoted(const char *word, ol_text *out)
{
    OL_TRY(ol_text_format(out, "'"));
    for (; *word; word++)
        OL_TRY(*word == '\'' ? ol_text_format(out, "'\\''") : ol_text_append(out, word, 1));
    return ol_text_format(out, "'");
}

static ol_status comment(const char *lines, ol_text *out)
{
    size_t n;

    for (const char *line; (line = ol_text_line(&lines, &n));)
        OL_TRY(ol_text_format(out, n > 0 ? "# %.*s\n" : "#\n", (int)n, line));
    return OL_OK;
}

/* Options of sbatch take no blanks here, and a shell or SLURM may read more into other signs (%, #, $): a
 * name is for people, so it gives way. */
static ol_status name(const char *text, ol_text *out)
{
    OL_TRY(ol_text_format(out, "#SBATCH --job-name="));
    for (; *text; text++)
        OL_TRY(ol_text_format(
            out, "%c", isalnum((unsigned char)*text) || strchr("._-+=", *text) ? *text : '_'));
    return ol_text_format(out, "\n");
}

static ol_status requests(const ol_slurm_spec *s, ol_text *out)
{
    OL_TRY(name(s->name, out));
    OL_TRY(ol_text_format(out,
                          "#SBATCH --ntasks=%d\n#SBATCH --cpus-per-task=%d\n"
                          "#SBATCH --mem-per-cpu=%dM\n#SBATCH --hint=nomultithread\n"
                          "#SBATCH --time=%d:%02d:00\n#SBATCH --signal=USR1@%d\n",
                          s->tasks, s->cpus, s->mib_a_cpu, s->minutes / 60, s->minutes % 60,
                          s->lead));
    if (s->array > 0)
        OL_TRY(ol_text_format(out, "#SBATCH --array=1-%d\n", s->array));
    return ol_text_format(out,
                          "#SBATCH --output=%s.out\n#SBATCH --open-mode=append\n"
                          "#SBATCH --requeue\n",
                          s->array > 0 ? "%x-%A_%a" : "%x-%j");
}

ol_status ol_slurm_script(const ol_slurm_spec *s, ol_text *out)
{
    const char *work = strstr(OL_RUN_SBATCH, first_work);

    assert(work);
    OL_TRY(ol_text_format(out, "#!/usr/bin/env bash\n# SPDX-License-Identifier: BSD-3-Clause\n"));
    OL_TRY(comment(s->comment, out));
    OL_TRY(requests(s, out));
    OL_TRY(ol_text_format(out, "cd "));
    OL_TRY(quoted(s->folder, out));
    OL_TRY(ol_text_format(out, " || exit 2\n[ -n \"${OUTERLOOP:-}\" ] || export OUTERLOOP="));
    OL_TRY(quoted(s->program, out));
    OL_TRY(ol_text_format(out, "\nset -- "));
    OL_TRY(quoted(s->job, out));
    for (size_t i = 0; i < s->n; i++) {
        OL_TRY(ol_text_format(out, " "));
        OL_TRY(quoted(s->arguments[i], out));
    }
    OL_TRY(ol_text_format(out, "\n"));
    return ol_text_append(out, work, strlen(work));
}
