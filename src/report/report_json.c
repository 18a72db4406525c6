/* SPDX-License-Identifier: BSD-3-Clause */
/* A report with the keys of lm-evaluation-harness's results.json. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "outerloop/base/clock.h"  /* ol_clock_utc */
#include "outerloop/text/prompt.h" /* ol_variant_names */
#include "report_parts.h"

/* What is counted over the seeds and trainings of a task at one step count, or over tasks. */
typedef struct count {
    int64_t rows, right;
    ol_mean f1, calibration;
    double squares;    /* sum over f1 */
    const char *group; /* "" for none */
    json_t *seeds;     /* NULL: not wanted */
} count;

/* Put a value, which is taken over, into a part of the document. */
static void put(json_t *root, const char *part, const char *key, json_t *value)
{
    json_object_set_new(json_object_get(root, part), key, value);
}

/* NULL, which is left out, rather than not a number. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : NULL;
}

static json_t *string(const char *text)
{
    json_t *value = json_string(text); /* NULL where it is not UTF-8 */

    return value ? value : json_string("?");
}

/* "maml/in_context", "maml/PMI", "maml/4_steps" */
static void group_name(const report_learner *l, const report_count *steps, char name[512])
{
    int at = snprintf(name, 512, "%s/", l->label);

    for (const char *c = steps->name; *c && at < 511; c++)
        name[at++] = *c == ' ' ? '_' : *c;
    name[at < 511 ? at : 511] = '\0';
}

static int shots_of(const report_learner *l)
{
    return l->job && ol_job_demonstrations(l->job) ? l->job->eval.shots : 0;
}

static void add_seed(json_t *seeds, int seed)
{
    for (size_t k = 0; k < json_array_size(seeds); k++)
        if (json_integer_value(json_array_get(seeds, k)) == seed)
            return;
    json_array_append_new(seeds, json_integer(seed));
}

static count count_task(const report_learner *l, const char *task, int steps)
{
    count n = {.group = "", .seeds = json_array()};

    for (size_t i = 0; i < l->n_scores; i++) {
        const ol_eval_score *s = &l->scores[i];

        if (s->steps != steps || strcmp(s->task, task) != 0)
            continue;
        n.group = s->group;
        n.rows += l->details[i].rows;
        n.right += l->details[i].right;
        ol_mean_add(&n.calibration, l->details[i].calibration);
        add_seed(n.seeds, s->seed);
        if (s->metric == OL_MACRO_F1) {
            ol_mean_add(&n.f1, s->score);
            n.squares += s->score * s->score;
        }
    }
    return n;
}

/* NaN of no rows. */
static double accuracy(const count *n)
{
    return (double)n->right / (double)n->rows;
}

/* What the mean of n values may err by, from their sum and the sum of their squares; not finite of one. */
static double error_of(double sum, double squares, double n)
{
    return sqrt(fmax(0.0, squares - sum * sum / n) / (n - 1.0) / n);
}

static double accuracy_error(const count *n)
{
    return error_of((double)n->right, (double)n->right, (double)n->rows);
}

static json_t *result_of(const char *task, const count *n, const ol_eval_summary *s)
{
    return json_pack("{s:o,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*}", "alias", string(task), "acc,none",
                     number(accuracy(n)), "acc_stderr,none", number(accuracy_error(n)), "f1,none",
                     number(ol_mean_value(n->f1)), "f1_stderr,none",
                     number(error_of(n->f1.sum, n->squares, (double)n->f1.n)), "ece,none",
                     number(ol_mean_value(n->calibration)), "score_chance,none", number(s->chance),
                     "score_majority,none", number(s->majority));
}

static json_t *config_of(const ol_report *r, const report_learner *l, const char *task, int steps,
                         const count *n)
{
    const ol_job_data *data = l->job ? &l->job->data : NULL;
    json_t *more = json_pack("{s:o*,s:o*,s:o,s:o,s:i,s:o,s:f}", "variant",
                             data ? string(ol_variant_names[data->variant]) : NULL, "group",
                             *n->group ? string(n->group) : NULL, "learner", string(l->name), "run",
                             string(r->runs[l->run].path), "adapt_steps", steps, "seeds", n->seeds,
                             "version", 1.0);

    return json_pack("{s:o,s:s,s:i,s:o*,s:o*,s:o}", "task", string(task), "output_type",
                     "multiple_choice", "num_fewshot", shots_of(l), "dataset_path",
                     data ? string(*data->root ? data->root : "built-in suite") : NULL,
                     "dataset_name", data ? string(data->setting) : NULL, "metadata", more);
}

static count add_task(json_t *root, const ol_report *r, int learner, int c, int subject,
                      const char *key)
{
    const report_learner *l = r->scored[learner];
    const char *task = r->subjects[subject].task;
    const int steps = r->counts[c].steps;
    const count n = count_task(l, task, steps);

    put(root, "results", key, result_of(task, &n, report_stat_of(r, learner, c, subject)));
    put(root, "higher_is_better", key,
        json_pack("{s:b,s:o*,s:o*}", "acc", true, "f1", n.f1.n > 0 ? json_true() : NULL, "ece",
                  n.calibration.n > 0 ? json_false() : NULL));
    put(root, "configs", key, config_of(r, l, task, steps, &n));
    put(root, "versions", key, json_real(1.0));
    put(root, "n-shot", key, json_integer(shots_of(l)));
    put(root, "n-samples", key,
        json_pack("{s:I,s:I}", "original", (json_int_t)n.rows, "effective", (json_int_t)n.rows));
    return n;
}

/* A learner at a step count: a group of its tasks. */
static void add_group(json_t *root, const ol_report *r, int l, int c)
{
    const ol_eval_summary *all = report_stat_of(r, l, c, 0);
    json_t *keys = json_array();
    char name[512], key[1024];
    count sum = {0};

    group_name(r->scored[l], &r->counts[c], name);
    for (int t = r->tasks; t < r->n_subjects; t++)
        if (!isnan(report_stat_of(r, l, c, t)->score.mean)) {
            snprintf(key, sizeof key, "%s/%s", name, r->subjects[t].task);
            const count n = add_task(root, r, l, c, t, key);

            json_array_append_new(keys, json_string(key));
            sum.right += n.right;
            sum.rows += n.rows;
        }
    put(root, "groups", name,
        json_pack("{s:o,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*,s:o*}", "alias", string(name),
                  "acc,none", number(accuracy(&sum)), "acc_stderr,none",
                  number(accuracy_error(&sum)), "score,none", number(all->score.mean),
                  "score_low,none", number(all->score.low), "score_high,none",
                  number(all->score.high), "score_worst_seed,none", number(all->worst),
                  "score_chance,none", number(all->chance), "score_majority,none",
                  number(all->majority)));
    put(root, "group_subtasks", name, keys);
}

static json_t *describe_runs(const ol_report *r)
{
    json_t *runs = json_array();

    for (int i = 0; i < r->n_runs; i++) {
        json_t *jobs = json_object(), *run = json_pack("{s:o}", "path", string(r->runs[i].path));

        for (int k = 0; k < REPORT_FACTS; k++)
            if (r->runs[i].facts[k])
                json_object_set_new(run, report_fact_names[k], string(r->runs[i].facts[k]));
        for (int k = 0; k < r->n_learners; k++)
            if (r->learners[k].run == i && r->learners[k].job_text)
                json_object_set_new(jobs, r->learners[k].name, string(r->learners[k].job_text));
        json_object_set_new(run, "jobs", jobs);
        json_array_append_new(runs, run);
    }
    return runs;
}

ol_status ol_report_json(const ol_report *r, ol_text *out)
{
    json_auto_t *root = json_pack("{s:{},s:{},s:{},s:{},s:{},s:{},s:{},s:{}}", "results", "groups",
                                  "group_subtasks", "configs", "versions", "n-shot",
                                  "higher_is_better", "n-samples");
    const report_run *first = &r->runs[0];
    OL_AUTO_FREE char *text = NULL;
    char now[32];

    ol_clock_utc(now);
    for (int l = 0; l < r->n_scored; l++)
        for (int c = 0; c < r->n_counts; c++)
            add_group(root, r, l, c);
    json_object_update_new(
        root, json_pack("{s:{s:s,s:o,s:o},s:o,s:s}", "config", "model", "outerloop", "model_args",
                        string(first->path), "runs", describe_runs(r), "git_hash",
                        string(first->facts[1] ? first->facts[1] : "unknown"), "date", now));
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    OL_CHECK(text, OL_ENOMEM, "no memory for results.json");
    return ol_text_format(out, "%s\n", text);
}
