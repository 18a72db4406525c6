/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings chosen on training tasks that are held out.
 *
 * Each arm has a grid of cells. All cells of all arms become the arms of one more job, which holds
 * tune.holdout training tasks out (data.holdout), trains on the others from the first of train_seeds
 * and scores the held-out ones; the setting's own targets are not read. It is an ordinary run, in
 * OUTPUT/tune/trained: it stops, goes on, is inspected and reported like any. Cells that are equal
 * in all of `learner` are one arm of it.
 *
 * Where an arm adapts, the start does too, and its settings are chosen alike, in
 * OUTPUT/tune/untrained, where nothing is trained: of a cell of the job's own grid it takes what
 * adaptation uses, the keys of learner.inner but steps and storage.
 *
 *   score(cell) = mean over eval.adapt_steps, held-out tasks and eval.seeds of the score in
 *                 eval/score; without an adapt stage, of that in context
 *   choice      = the cell with the highest one; of equal ones the first
 *
 * The choice follows from what is stored, so nothing of it is: a second start reads it again. It ends
 * as settings of the job ("arms.maml.learner.inner.lr=0.1"), whose grids are then empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job_keys.h"
#include "outerloop/base/log.h"   /* ol_log_* */
#include "outerloop/run/folder.h" /* ol_run_folder */
#include "run_parts.h"
#include "tune_parts.h"

enum { NAME = 96 };

static const char no_grid[] = "()";
static const char tuned[] = "tuned"; /* origin of what was chosen */

static void search_finish(tune_search *s)
{
    for (int i = 0; i < s->n_subjects; i++)
        free(s->subjects[i].arm);
    free(s->subjects);
    for (int i = 0; i < s->n; i++)
        free(s->known[i]);
    free(s->known);
    free(s->output);
    ol_text_finish(&s->arms);
    ol_text_finish(&s->text);
    ol_job_destroy(s->job);
    free(s->scores);
}

bool tune_counts_for(const tune_search *s, const char *path)
{
    if (s->trained)
        return strncmp(path, "learner.", TUNE_LEARNER) == 0;
    return strncmp(path, "learner.inner.", 14) == 0 && strcmp(path, "learner.inner.steps") != 0 &&
           strncmp(path, "learner.inner.storage", 21) != 0;
}

/* All values that count, in a row; and whose warmup is not rescaled. */
static ol_status describe_cell(const tune_search *s, const ol_job *cell, ol_text *text)
{
    OL_TRY(ol_text_format(
        text, "%d;", ol_conf_own(cell->conf, ol_conf_find(ol_job_keys, "learner.outer.warmup"))));
    for (size_t key = 0; key < ol_job_keys.n; key++)
        if (tune_counts_for(s, ol_job_keys.keys[key].path)) {
            OL_TRY(ol_conf_value(ol_job_keys, key, cell, text));
            OL_TRY(ol_text_format(text, ";"));
        }
    return OL_OK;
}

/* A new arm of the search. Takes what tells it apart. */
static ol_status add_arm(tune_search *s, const char *name, const ol_job *cell, ol_text *told)
{
    char **grown = realloc(s->known, ((size_t)s->n + 1) * sizeof *grown);

    OL_CHECK(grown, OL_ENOMEM, "no memory for the cells of a grid");
    s->known = grown;
    OL_TRY(ol_text_format(&s->arms, s->n > 0 ? "," : ""));
    OL_TRY(ol_conf_write_variant(name, cell, cell->conf, &s->arms));
    s->known[s->n++] = told->data;
    *told = (ol_text){0};
    return OL_OK;
}

/* Find cell c of a subject among the arms, or make it one. */
static ol_status place_cell(tune_search *s, tune_subject *of, int c, const ol_job *cell)
{
    char name[NAME];
    ol_text told = {0};
    ol_status status = describe_cell(s, cell, &told);

    for (int i = 0; i < s->n && status == OL_OK; i++)
        if (strcmp(s->known[i], told.data) == 0) {
            of->arm[c] = i;
            ol_text_finish(&told);
            return OL_OK;
        }
    of->arm[c] = s->n;
    snprintf(name, sizeof name, "%s.%d", of->name, c + 1);
    if (status == OL_OK)
        status = add_arm(s, name, cell, &told);
    ol_text_finish(&told);
    return status;
}

static ol_status add_subject(tune_search *s, const ol_job *job, const char *name)
{
    tune_subject *of = &s->subjects[s->n_subjects++];

    *of = (tune_subject){.job = job, .name = name, .n = (int)ol_job_cells(job)};
    of->arm = calloc((size_t)of->n, sizeof *of->arm);
    OL_CHECK(of->arm, OL_ENOMEM, "no memory for the cells of a grid");
    for (int c = 0; c < of->n; c++) {
        ol_job *cell;
        ol_status status;

        OL_TRY(ol_job_cell(job, job->tune.grid, (size_t)c, &cell));
        strcpy(cell->tune.grid, no_grid); /* no grid is shorter */
        status = place_cell(s, of, c, cell);
        ol_job_destroy(cell);
        OL_TRY(status);
    }
    return OL_OK;
}

/* Everything but the arms, in the values of the job. */
static void set_values(const tune_search *s, const ol_job *job, ol_job *values)
{
    const unsigned scores = job->stages & OL_STAGE_ADAPT ? OL_STAGE_ADAPT : (unsigned)OL_STAGE_EVAL;

    values->stages = scores | (s->trained ? job->stages & OL_STAGE_TRAIN : 0);
    if (job->train_seeds.n > 0)
        values->seed = job->train_seeds.items[0];
    values->train_seeds.n = 0;
    values->data.holdout = job->tune.holdout;
    if (job->tune.steps > 0)
        values->train.steps = job->tune.steps;
    if (job->tune.rows > 0)
        values->eval.rows = job->tune.rows;
    values->output = s->output;
    values->tune.steps = values->tune.rows = 0;
}

static ol_status make_job(tune_search *s, const ol_job *job)
{
    ol_job values = *job; /* borrowed: only to be written */
    char none[] = "()";

    set_values(s, job, &values);
    values.tune.grid = none;
    OL_TRY(ol_conf_write(ol_job_keys, &values, NULL, &s->text));
    OL_TRY(ol_text_format(&s->text, "arms = (%s\n);\n", s->arms.data));
    return ol_job_read_text(job->name, s->text.data, s->text.size, &s->job);
}

/* The arms with grids; without any arms, the job. Or the start, where it is scored beside them. */
static ol_status list_subjects(tune_search *s, const ol_job *job)
{
    const unsigned both = OL_STAGE_TRAIN | OL_STAGE_ADAPT;

    s->subjects = calloc((size_t)ol_job_arms(job), sizeof *s->subjects);
    OL_CHECK(s->subjects, OL_ENOMEM, "no memory for the arms of a job");
    if (!s->trained)
        return job->n_arms > 0 && (job->stages & both) == both && ol_job_cells(job) > 0
                   ? add_subject(s, job, "untrained")
                   : OL_OK;
    for (int i = 0; i < ol_job_arms(job); i++)
        if (ol_job_cells(ol_job_arm(job, i)) > 0)
            OL_TRY(add_subject(s, ol_job_arm(job, i), ol_job_arm(job, i)->name));
    return OL_OK;
}

static ol_status search_init(tune_search *s, const ol_job *job, bool trained)
{
    char path[PATH_MAX];

    *s = (tune_search){.trained = trained};
    OL_TRY(ol_path_format(path, "%s/tune/%s", job->output, trained ? "trained" : "untrained"));
    s->output = strdup(path);
    OL_CHECK(s->output, OL_ENOMEM, "no memory for a job");
    s->counts = job->stages & OL_STAGE_ADAPT ? job->eval.adapt_steps.n : 1;
    OL_TRY(list_subjects(s, job));
    if (s->n_subjects == 0)
        return OL_OK;
    s->scores = calloc((size_t)s->n * (size_t)(s->counts + 1), sizeof *s->scores);
    OL_CHECK(s->scores, OL_ENOMEM, "no memory for scores");
    return make_job(s, job);
}

/* Number of a step count among those scored; -1 for none of them. */
static int place_of(const tune_search *s, int steps)
{
    const ol_job *job = s->job;

    if (!(job->stages & OL_STAGE_ADAPT))
        return steps == 0 ? 0 : -1;
    for (int i = 0; i < job->eval.adapt_steps.n; i++)
        if (job->eval.adapt_steps.items[i] == steps)
            return i;
    return -1;
}

/* Means of the scores of one file; *whole is false when it lacks some. */
static void average(const tune_search *s, const score_file *file, double *means, bool *whole)
{
    const int each = s->job->data.holdout * s->job->eval.seeds.n;
    int n[OL_CONF_LIST] = {0};

    for (int i = 0; i <= s->counts; i++)
        means[i] = 0;
    for (size_t i = 0; i < file->n; i++) {
        const int at = place_of(s, file->scores[i].steps);

        if (at < 0)
            continue;
        means[at] += file->scores[i].score;
        means[s->counts] += file->scores[i].score;
        n[at]++;
    }
    for (int i = 0; i < s->counts; i++) {
        *whole = *whole && n[i] == each;
        means[i] /= each;
    }
    means[s->counts] /= (double)each * s->counts;
}

static ol_status read_arm(const tune_search *s, int i, double *means, bool *whole)
{
    ol_run_folder folder;
    ol_run_claim claim;
    ol_archive *metrics = NULL;
    score_book book = {0};
    ol_status status;

    OL_TRY(ol_run_folder_name(ol_job_arm(s->job, i)->output, &folder));
    if (!ol_path_exists(folder.metrics)) {
        *whole = false;
        return OL_OK;
    }
    OL_TRY(ol_run_folder_claim(&folder, ol_job_arm(s->job, i), true, &claim));
    *whole = *whole && claim.finished;
    if (!*whole)
        return OL_OK;
    OL_TRY(ol_archive_open(folder.metrics, &metrics));
    status = ol_score_book_add(&book, metrics);
    ol_archive_close(metrics);
    if (status == OL_OK && book.n == 1)
        average(s, &book.files[0], means, whole);
    *whole = *whole && status == OL_OK && book.n == 1;
    ol_score_book_finish(&book);
    return status;
}

/* Rank 0: the scores of all arms, as far as they are there. */
static ol_status read_scores(tune_search *s, bool *whole)
{
    *whole = true;
    for (int i = 0; i < s->n && *whole; i++)
        OL_TRY(read_arm(s, i, s->scores + i * (s->counts + 1), whole));
    return OL_OK;
}

static ol_status share_scores(ol_comm *comm, tune_search *s, bool *whole)
{
    const size_t bytes = (size_t)s->n * (size_t)(s->counts + 1) * sizeof *s->scores;

    *whole = true;
    OL_TRY(ol_comm_agree(comm, ol_comm_rank(comm) == 0 ? read_scores(s, whole) : OL_OK));
    OL_TRY(ol_comm_broadcast(comm, whole, sizeof *whole, 0));
    return ol_comm_broadcast(comm, s->scores, bytes, 0);
}

double tune_score(const tune_search *s, const tune_subject *of, int cell, int count)
{
    return s->scores[of->arm[cell] * (s->counts + 1) + count];
}

static void choose(tune_search *s)
{
    for (int i = 0; i < s->n_subjects; i++) {
        tune_subject *of = &s->subjects[i];

        for (int c = 1; c < of->n; c++)
            if (tune_score(s, of, c, s->counts) > tune_score(s, of, of->best, s->counts))
                of->best = c;
    }
}

/* Train and score what is not yet, and choose. *fresh: it was not all there. */
static ol_status run_search(ol_comm *comm, tune_search *s, bool resume, bool *work_started,
                            bool *fresh)
{
    score_book book = {0};
    ol_job *job = NULL;
    bool whole = false;
    ol_status status;

    if (resume)
        OL_TRY(share_scores(comm, s, &whole));
    *fresh = *fresh || !whole;
    if (!whole) {
        ol_log_info("tuning%s: %d cells on %d held-out training tasks, in %s",
                    s->trained ? "" : " the adaptation of the start", s->n, s->job->data.holdout,
                    s->output);
        OL_TRY(
            ol_comm_agree(comm, ol_job_read_text(s->job->name, s->text.data, s->text.size, &job)));
        status = ol_run_once(comm, job, resume, work_started, &book);
        ol_score_book_finish(&book);
        OL_TRY(status);
        OL_TRY(share_scores(comm, s, &whole));
        OL_CHECK(whole, OL_EIO,
                 "%s: not all scores of the grid are stored; start again with --resume", s->output);
    }
    choose(s);
    return OL_OK;
}

/* Rank 0: the table to the screen, to the log of the job, and as a file. */
static ol_status show_table(const tune_search *s, int n, const ol_job *job, bool fresh)
{
    char path[PATH_MAX];
    ol_run_folder folder;
    ol_text table = {0};
    ol_status status = ol_run_folder_name(job->output, &folder);

    if (status == OL_OK)
        status = ol_log_open(folder.log);
    if (status == OL_OK)
        status = ol_path_format(path, "%s/tune/choice.txt", job->output);
    if (status == OL_OK)
        status = tune_table(s, n, job, &table);
    if (status == OL_OK && fresh)
        status = ol_write_file(path, table.data, table.size);
    if (status == OL_OK && fresh) {
        printf("\n");
        ol_log_print(table.data, table.size);
        printf("\n");
        fflush(stdout);
        ol_log_keep("\n");
        ol_log_keep(table.data);
        ol_log_keep("\n");
    }
    if (status == OL_OK && !fresh)
        ol_log_info("tuned before, the choice is in %s", path);
    ol_text_finish(&table);
    return status;
}

/* "PREFIXlearner.inner.lr=0.1 # ORIGIN": the comment is what job.cfg tells of it. */
static ol_status add_set(const char *prefix, size_t key, const ol_job *values, const char *origin,
                         set_list *sets)
{
    ol_text set = {0};
    ol_status status = ol_text_format(&set, "%s%s=", prefix, ol_job_keys.keys[key].path);

    if (status == OL_OK)
        status = ol_conf_value(ol_job_keys, key, values, &set);
    if (status == OL_OK)
        status = ol_text_format(&set, " # %s", origin);
    if (status == OL_OK)
        status = ol_set_list_add(sets, set.data);
    ol_text_finish(&set);
    return status;
}

/* Keys that the chosen cell of a subject says and that count for it: said[]. */
static ol_status mark_keys(const tune_search *s, const ol_job *job, const tune_subject *of,
                           bool *said)
{
    ol_job *alone;

    OL_TRY(ol_job_cell(job, of->job->tune.grid, (size_t)of->best, &alone));
    for (size_t key = 0; key < ol_job_keys.n; key++)
        said[key] = ol_conf_own(alone->conf, key) && tune_counts_for(s, ol_job_keys.keys[key].path);
    ol_job_destroy(alone);
    return OL_OK;
}

static const tune_subject *subject_of(const tune_search *s, const ol_job *job)
{
    for (int i = 0; i < s->n_subjects; i++)
        if (s->subjects[i].job == job)
            return &s->subjects[i];
    return NULL;
}

/* The chosen keys of an arm, and as they are those that the start's choice would change for it. */
static ol_status set_arm(const tune_search *s, const ol_job *job, const ol_job *arm,
                         const bool *of_start, set_list *sets)
{
    const tune_subject *of = subject_of(s, arm);
    bool said[OL_CONF_KEYS] = {false};
    char prefix[NAME + 16] = "";
    ol_job *cell = NULL;
    ol_status status = OL_OK;

    if (job->n_arms > 0)
        snprintf(prefix, sizeof prefix, "arms.%s.", arm->name);
    if (of)
        OL_TRY(mark_keys(s, job, of, said));
    if (of)
        OL_TRY(ol_job_cell(arm, arm->tune.grid, (size_t)of->best, &cell));
    for (size_t key = 0; key < ol_job_keys.n && status == OL_OK; key++)
        if (said[key] || of_start[key])
            status = add_set(prefix, key, cell ? cell : arm,
                             said[key] ? tuned : ol_conf_origin(arm->conf, key), sets);
    ol_job_destroy(cell);
    if (status == OL_OK && job->n_arms > 0 && of) {
        char none[NAME + 32];

        snprintf(none, sizeof none, "%stune.grid=() # %s", prefix, tuned);
        status = ol_set_list_add(sets, none);
    }
    return status;
}

/* All settings that the choice comes to. */
static ol_status list_choice(const tune_search *start, const tune_search *trained,
                             const ol_job *job, set_list *sets)
{
    const tune_subject *of = subject_of(start, job);
    bool said[OL_CONF_KEYS] = {false};
    ol_job *cell;

    OL_TRY(ol_set_list_add(sets, "tune.grid=() # tuned"));
    if (of) {
        ol_status status = mark_keys(start, job, of, said);

        OL_TRY(status);
        OL_TRY(ol_job_cell(job, job->tune.grid, (size_t)of->best, &cell));
        for (size_t key = 0; key < ol_job_keys.n && status == OL_OK; key++)
            if (said[key])
                status = add_set("", key, cell, tuned, sets);
        ol_job_destroy(cell);
        OL_TRY(status);
    }
    for (int i = 0; i < ol_job_arms(job); i++)
        OL_TRY(set_arm(trained, job, ol_job_arm(job, i), said, sets));
    return OL_OK;
}

bool ol_tune_wanted(const ol_job *job)
{
    bool wanted = ol_job_cells(job) > 0;

    for (int i = 0; i < ol_job_arms(job); i++)
        wanted = wanted || ol_job_cells(ol_job_arm(job, i)) > 0;
    return wanted;
}

ol_status ol_tune_job(const ol_job *job, bool trained, ol_job **out)
{
    tune_search search;
    ol_status status = search_init(&search, job, trained);

    *out = search.job;
    search.job = NULL;
    search_finish(&search);
    if (status != OL_OK) {
        ol_job_destroy(*out);
        *out = NULL;
    }
    return status;
}

ol_status ol_tune(ol_comm *comm, const ol_job *job, bool resume, bool *work_started,
                  set_list *choice)
{
    tune_search searches[2] = {{0}};
    bool fresh = false;
    ol_status status = OL_OK;

    for (int i = 0; i < 2 && status == OL_OK; i++)
        status = search_init(&searches[i], job, i > 0);
    status = ol_comm_agree(comm, status);
    for (int i = 0; i < 2 && status == OL_OK; i++)
        if (searches[i].n_subjects > 0)
            status = run_search(comm, &searches[i], resume, work_started, &fresh);
    if (status == OL_OK)
        status = ol_comm_agree(comm, ol_comm_rank(comm) == 0 ? show_table(searches, 2, job, fresh)
                                                             : OL_OK);
    if (status == OL_OK)
        status = ol_comm_agree(comm, list_choice(&searches[0], &searches[1], job, choice));
    search_finish(&searches[0]);
    search_finish(&searches[1]);
    return status;
}
