/* SPDX-License-Identifier: BSD-3-Clause */
/* A report with the keys of lm-evaluation-harness's results.json. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"  /* ol_clock_utc */
#include "outerloop/text/prompt.h" /* ol_variant_names */
#include "report_parts.h"

/* Put a value, which is taken over, into a part of the document. */
static void put(json_t *root, const char *part, const char *key, json_t *value)
{
    json_object_set_new(json_object_get(root, part), key, value);
}

/* Not there rather than not a number. */
static void set_number(json_t *object, const char *key, double value)
{
    if (isfinite(value))
        json_object_set_new(object, key, json_real(value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *string = json_string(text); /* NULL where it is not UTF-8 */

    json_object_set_new(object, key, string ? string : json_string("?"));
}

/* "in_context", "PMI", "4_steps" */
static void count_key(const report_count *count, char text[OL_STEPS_TEXT])
{
    snprintf(text, OL_STEPS_TEXT, "%s", count->name);
    for (char *c = text; *c; c++)
        *c = *c == ' ' ? '_' : *c;
}

static int shots_of(const report_learner *l)
{
    return l->job && ol_job_demonstrations(l->job) ? l->job->eval.shots : 0;
}

static const report_tally *tally_of(const report_learner *l, const char *task, int steps)
{
    for (int i = 0; i < l->n_tallies; i++)
        if (l->tallies[i].task == task && l->tallies[i].steps == steps)
            return &l->tallies[i];
    return NULL;
}

static void set_accuracy(json_t *result, int64_t right, int64_t rows)
{
    const double n = (double)rows, p = (double)right / n;

    if (rows == 0)
        return;
    set_number(result, "acc,none", p);
    set_number(result, "acc_stderr,none", rows > 1 ? sqrt(p * (1.0 - p) / (n - 1.0)) : (double)NAN);
}

/* Mean score over seeds and what it may err by, of tasks that are scored by macro-F1. */
static void set_f1(json_t *result, const report_learner *l, const char *task, int steps)
{
    double sum = 0.0, squares = 0.0;
    int n = 0;

    for (size_t i = 0; i < l->n_scores; i++) {
        const ol_eval_score *s = &l->scores[i].of;

        if (s->task != task || s->steps != steps || s->metric != OL_MACRO_F1)
            continue;
        sum += s->score;
        squares += s->score * s->score;
        n++;
    }
    if (n == 0)
        return;
    set_number(result, "f1,none", sum / n);
    if (n > 1)
        set_number(result, "f1_stderr,none",
                   sqrt(fmax(0.0, squares - sum * sum / n) / (n - 1.0) / n));
}

/* Mean expected calibration error over seeds. */
static void set_calibration(json_t *result, const report_learner *l, const char *task, int steps)
{
    double sum = 0.0;
    int n = 0;

    for (size_t i = 0; i < l->n_scores; i++) {
        const report_score *s = &l->scores[i];

        if (s->of.task == task && s->of.steps == steps && isfinite(s->calibration)) {
            sum += s->calibration;
            n++;
        }
    }
    if (n > 0)
        set_number(result, "ece,none", sum / n);
}

static json_t *config_of(const ol_report *r, const report_learner *l, const char *task, int steps)
{
    json_t *config = json_object(), *more = json_object(), *seeds = json_array();

    set_text(config, "task", task);
    set_text(config, "output_type", "multiple_choice");
    json_object_set_new(config, "num_fewshot", json_integer(shots_of(l)));
    if (l->job) {
        set_text(config, "dataset_path", *l->job->data.root ? l->job->data.root : "built-in suite");
        set_text(config, "dataset_name", l->job->data.setting);
        set_text(more, "variant", ol_variant_names[l->job->data.variant]);
    }
    for (size_t i = 0; i < l->n_scores; i++) {
        const ol_eval_score *s = &l->scores[i].of;
        bool known = false;

        for (size_t k = 0; k < json_array_size(seeds); k++)
            known = known || json_integer_value(json_array_get(seeds, k)) == s->seed;
        if (s->task == task && s->steps == steps && !known)
            json_array_append_new(seeds, json_integer(s->seed));
        if (s->task == task && *s->group)
            set_text(more, "group", s->group);
    }
    set_text(more, "learner", l->name);
    set_text(more, "run", r->runs[l->run].path);
    json_object_set_new(more, "adapt_steps", json_integer(steps));
    json_object_set_new(more, "seeds", seeds);
    json_object_set_new(more, "version", json_real(1.0));
    json_object_set_new(config, "metadata", more);
    return config;
}

static void add_task(json_t *root, const ol_report *r, const report_learner *l, const char *task,
                     int steps, const char *key)
{
    const report_tally *t = tally_of(l, task, steps);
    const json_int_t rows = t ? t->rows : 0;
    json_t *result = json_object(), *better = json_object();

    set_text(result, "alias", task);
    set_accuracy(result, t ? t->right : 0, rows);
    set_f1(result, l, task, steps);
    set_calibration(result, l, task, steps);
    json_object_set_new(better, "acc", json_true());
    if (json_object_get(result, "f1,none"))
        json_object_set_new(better, "f1", json_true());
    if (json_object_get(result, "ece,none"))
        json_object_set_new(better, "ece", json_false());
    put(root, "results", key, result);
    put(root, "higher_is_better", key, better);
    put(root, "configs", key, config_of(r, l, task, steps));
    put(root, "versions", key, json_real(1.0));
    put(root, "n-shot", key, json_integer(shots_of(l)));
    put(root, "n-samples", key, json_pack("{s:I,s:I}", "original", rows, "effective", rows));
}

/* What comes without learning, in the metric of the task. */
static void set_floors(json_t *result, const ol_eval_summary *s)
{
    set_number(result, "score_chance,none", s->chance);
    set_number(result, "score_majority,none", s->majority);
}

/* A learner at a step count: a group of its tasks. */
static void add_group(json_t *root, const ol_report *r, int learner, int c)
{
    const report_learner *l = r->scored[learner];
    const ol_eval_summary *all = report_stat_of(r, learner, c, 0);
    json_t *keys = json_array(), *group = json_object();
    char count[OL_STEPS_TEXT], name[512], key[1024];
    int64_t right = 0, rows = 0;

    count_key(&r->counts[c], count);
    snprintf(name, sizeof name, "%s/%s", l->label, count);
    for (int t = r->tasks; t < r->n_subjects; t++) {
        const char *task = r->subjects[t].task;
        const report_tally *tally = tally_of(l, task, r->counts[c].steps);
        const ol_eval_summary *s = report_stat_of(r, learner, c, t);

        if (isnan(s->score.mean))
            continue;
        snprintf(key, sizeof key, "%s/%s", name, task);
        add_task(root, r, l, task, r->counts[c].steps, key);
        set_floors(json_object_get(json_object_get(root, "results"), key), s);
        json_array_append_new(keys, json_string(key));
        right += tally ? tally->right : 0;
        rows += tally ? tally->rows : 0;
    }
    set_text(group, "alias", name);
    set_accuracy(group, right, rows);
    set_number(group, "score,none", all->score.mean);
    set_number(group, "score_low,none", all->score.low);
    set_number(group, "score_high,none", all->score.high);
    set_number(group, "score_worst_seed,none", all->worst);
    set_floors(group, all);
    put(root, "groups", name, group);
    put(root, "group_subtasks", name, keys);
}

static json_t *describe_runs(const ol_report *r)
{
    json_t *runs = json_array();

    for (int i = 0; i < r->n_runs; i++) {
        json_t *run = json_object(), *jobs = json_object();

        set_text(run, "path", r->runs[i].path);
        for (int k = 0; k < REPORT_FACTS; k++)
            if (r->runs[i].facts[k])
                set_text(run, report_fact_names[k], r->runs[i].facts[k]);
        for (int k = 0; k < r->n_learners; k++)
            if (r->learners[k].run == i && r->learners[k].job_text)
                set_text(jobs, r->learners[k].name, r->learners[k].job_text);
        json_object_set_new(run, "jobs", jobs);
        json_array_append_new(runs, run);
    }
    return runs;
}

static void add_config(json_t *root, const ol_report *r)
{
    const report_run *first = &r->runs[0];
    char now[32];

    ol_clock_utc(now);
    put(root, "config", "model", json_string("outerloop"));
    set_text(json_object_get(root, "config"), "model_args", first->path);
    put(root, "config", "runs", describe_runs(r));
    set_text(root, "git_hash", first->facts[1] ? first->facts[1] : "unknown");
    set_text(root, "date", now);
}

ol_status ol_report_json(const ol_report *r, ol_text *out)
{
    json_auto_t *root = json_pack("{s:{},s:{},s:{},s:{},s:{},s:{},s:{},s:{},s:{}}", "results",
                                  "groups", "group_subtasks", "configs", "versions", "n-shot",
                                  "higher_is_better", "n-samples", "config");
    OL_AUTO_FREE char *text = NULL;

    for (int l = 0; l < r->n_scored; l++)
        for (int c = 0; c < r->n_counts; c++)
            add_group(root, r, l, c);
    add_config(root, r);
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    OL_CHECK(text, OL_ENOMEM, "no memory for results.json");
    return ol_text_format(out, "%s\n", text);
}
