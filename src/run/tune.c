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

#include "outerloop/base/log.h"      /* ol_log_* */
#include "outerloop/base/size.h"     /* OL_GROW */
#include "outerloop/record/folder.h" /* ol_run_folder */
#include "outerloop/run/run.h"       /* ol_tune_job */
#include "run_parts.h"
#include "tune_parts.h"

enum { NAME = 96 };

static const char tuned[] = "tuned"; /* origin of what was chosen */

static void search_finish(tune_search *s)
{
    for (int i = 0; i < s->n_subjects; i++)
        free(s->subjects[i].arm);
    free(s->subjects);
    for (int i = 0; i < s->n; i++)
        free(s->arms[i].told);
    free(s->arms);
    ol_text_finish(&s->text);
    ol_job_destroy(s->job);
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

/* Find cell c of a subject among the arms, or make it one. */
static ol_status place_cell(tune_search *s, tune_subject *of, int c, const ol_job *cell)
{
    char name[NAME];
    OL_AUTO_TEXT told = {0};

    OL_TRY(describe_cell(s, cell, &told));
    for (of->arm[c] = 0; of->arm[c] < s->n; of->arm[c]++)
        if (strcmp(s->arms[of->arm[c]].told, told.data) == 0)
            return OL_OK;
    snprintf(name, sizeof name, "%s.%d", of->name, c + 1);
    OL_TRY(ol_text_format(&s->text, s->n > 0 ? "," : ""));
    OL_TRY(ol_conf_write_variant(name, cell, cell->conf, &s->text));
    OL_TRY(OL_GROW(s->arms, s->n, "cells of a grid"));
    return OL_GIVE(&s->arms[s->n++].told, told.data);
}

static ol_status add_subject(tune_search *s, const ol_job *job, const char *name)
{
    tune_subject *of = &s->subjects[s->n_subjects++];

    *of = (tune_subject){.job = job, .name = name, .n = (int)ol_job_cells(job)};
    OL_TRY(OL_ALLOCATE(of->arm, of->n, "cells of a grid"));
    for (int c = 0; c < of->n; c++) {
        OL_AUTO_JOB *cell = NULL;

        OL_TRY(ol_job_cell(job, job->tune.grid, (size_t)c, &cell));
        strcpy(cell->tune.grid, "()"); /* no grid is shorter */
        OL_TRY(place_cell(s, of, c, cell));
    }
    return OL_OK;
}

/* The job of the search: the arms found, and for the rest the job itself but for what is set here. */
static ol_status make_job(tune_search *s, const ol_job *job)
{
    const unsigned scores = job->stages & OL_STAGE_ADAPT ? OL_STAGE_ADAPT : (unsigned)OL_STAGE_EVAL;
    ol_job values = *job; /* borrowed: only to be written */
    char none[] = "()", output[PATH_MAX];
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_path_format(output, "%s/tune/%s", job->output, s->trained ? "trained" : "untrained"));
    values.output = output;
    values.stages = scores | (s->trained ? job->stages & OL_STAGE_TRAIN : 0);
    if (job->train_seeds.n > 0)
        values.seed = job->train_seeds.items[0];
    values.train_seeds.n = 0;
    values.data.holdout = job->tune.holdout;
    if (job->tune.steps > 0)
        values.train.steps = job->tune.steps;
    if (job->tune.rows > 0)
        values.eval.rows = job->tune.rows;
    values.tune = (ol_job_tune){.holdout = job->tune.holdout, .grid = none};
    OL_TRY(ol_conf_write(ol_job_keys, &values, NULL, &text));
    OL_TRY(ol_text_format(&text, "arms = (%s\n);\n", s->text.data));
    return ol_job_read_text(job->name, text.data, text.size, &s->job);
}

/* The arms with grids; without any arms, the job. Or the start, where it is scored beside them. */
static ol_status list_subjects(tune_search *s, const ol_job *job)
{
    const unsigned both = OL_STAGE_TRAIN | OL_STAGE_ADAPT;

    OL_TRY(OL_ALLOCATE(s->subjects, ol_job_arms(job), "arms of a job"));
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
    *s = (tune_search){.trained = trained,
                       .counts = job->stages & OL_STAGE_ADAPT ? job->eval.adapt_steps.n : 1};
    OL_TRY(list_subjects(s, job));
    return s->n_subjects > 0 ? make_job(s, job) : OL_OK;
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

/* Means of the scores of one file. @return it has all of them */
static bool average(const tune_search *s, const ol_score_file *file, double *means)
{
    const int each = s->job->data.holdout * s->job->eval.seeds.n;
    int n[OL_CONF_LIST] = {0};
    bool whole = true;

    memset(means, 0, ((size_t)s->counts + 1) * sizeof *means);
    for (size_t i = 0; i < file->n; i++) {
        const int at = place_of(s, file->scores[i].steps);

        if (at < 0)
            continue;
        means[at] += file->scores[i].score;
        means[s->counts] += file->scores[i].score;
        n[at]++;
    }
    for (int i = 0; i < s->counts; i++) {
        whole = whole && n[i] == each;
        means[i] /= each;
    }
    means[s->counts] /= (double)each * s->counts;
    return whole;
}

/* The scores of arm i, where it is done. */
static ol_status read_arm(tune_search *s, int i, bool *whole)
{
    const ol_job *arm = ol_job_arm(s->job, i);
    ol_run_folder folder;
    OL_AUTO_ARCHIVE *metrics = NULL;
    OL_AUTO(ol_score_book_finish) ol_score_book book = {0};

    *whole = false;
    OL_TRY(ol_run_folder_name(arm->output, &folder));
    if (!ol_path_exists(folder.metrics))
        return OL_OK;
    OL_TRY(ol_run_folder_claim(&folder, arm, true));
    if (!folder.claim.finished)
        return OL_OK;
    *whole = ol_archive_open(folder.metrics, &metrics) == OL_OK &&
             ol_score_book_add(&book, metrics) == OL_OK &&
             book.n == 1 && /* else its run mends it */
             average(s, &book.files[0], s->arms[i].means);
    return OL_OK;
}

/* Rank 0: read the scores of all arms, and where all are there choose. */
static ol_status choose_here(tune_search *s, bool *whole)
{
    *whole = true;
    for (int i = 0; i < s->n && *whole; i++)
        OL_TRY(read_arm(s, i, whole));
    if (!*whole)
        return OL_OK;
    for (tune_subject *of = s->subjects; of < s->subjects + s->n_subjects; of++)
        for (int c = 1; c < of->n; c++)
            if (tune_means(s, of, c)[s->counts] > tune_means(s, of, of->best)[s->counts])
                of->best = c;
    return OL_OK;
}

/* The choice, on all ranks; not *whole where it cannot be made yet. */
static ol_status choose(ol_comm *comm, tune_search *s, bool *whole)
{
    OL_TRY(OL_ON_FIRST(comm, choose_here(s, whole)));
    for (int i = 0; i < s->n_subjects; i++)
        OL_TRY(ol_comm_broadcast(comm, &s->subjects[i].best, sizeof s->subjects[i].best, 0));
    return ol_comm_broadcast(comm, whole, sizeof *whole, 0);
}

/* Train and score what is not yet, and choose. *fresh: it was not all there. */
static ol_status run_search(ol_comm *comm, tune_search *s, bool resume, bool *work_started,
                            bool *fresh)
{
    OL_AUTO(ol_score_book_finish) ol_score_book book = {0};
    bool whole = false;

    if (resume)
        OL_TRY(choose(comm, s, &whole));
    if (whole)
        return OL_OK;
    *fresh = true;
    ol_log_info("tuning%s: %d cells on %d held-out training tasks, in %s",
                s->trained ? "" : " the adaptation of the start", s->n, s->job->data.holdout,
                s->job->output);
    OL_TRY(ol_run_once(comm, s->job, resume, work_started, &book));
    OL_TRY(choose(comm, s, &whole));
    OL_CHECK(whole, OL_EIO, "%s: not all scores of the grid are stored; start again with --resume",
             s->job->output);
    return OL_OK;
}

/* Rank 0: the table to the screen, to the log of the job, and as a file. */
static ol_status show_table(const tune_search *searches, const ol_job *job, bool fresh)
{
    char path[PATH_MAX];
    OL_AUTO_TEXT table = {0};

    OL_TRY(ol_path_format(path, "%s/tune/choice.txt", job->output));
    if (!fresh) {
        ol_log_info("tuned before, the choice is in %s", path);
        return OL_OK;
    }
    OL_TRY(tune_table(searches, job, &table));
    OL_TRY(ol_write_file(path, table.data, table.size));
    ol_log_result(table.data, table.size, table.data);
    return OL_OK;
}

/* "PREFIXlearner.inner.lr=0.1 # ORIGIN": the comment is what job.cfg tells of it. */
static ol_status add_set(const char *prefix, size_t key, const ol_job *values, const char *origin,
                         ol_conf_sets *sets)
{
    OL_AUTO_TEXT value = {0};

    OL_TRY(ol_conf_value(ol_job_keys, key, values, &value));
    return ol_conf_sets_add(sets, "%s%s=%s # %s", prefix, ol_job_keys.keys[key].path, value.data,
                            origin);
}

static const tune_subject *subject_of(const tune_search *s, const ol_job *job)
{
    for (int i = 0; i < s->n_subjects; i++)
        if (s->subjects[i].job == job)
            return &s->subjects[i];
    return NULL;
}

/* The keys that the chosen cell of a subject says and that count for it, in place of `job`'s own;
 * `of_start`, and as `job` has them: those that the start's choice would change for it too. Marks its
 * own in said[]. */
static ol_status set_choice(const tune_search *s, const ol_job *job, const ol_job *arm,
                            const char *prefix, const bool *of_start, bool *said,
                            ol_conf_sets *sets)
{
    const tune_subject *of = subject_of(s, arm);
    OL_AUTO_JOB *alone = NULL, *cell = NULL;

    if (of) {
        OL_TRY(ol_job_cell(job, arm->tune.grid, (size_t)of->best, &alone));
        OL_TRY(ol_job_cell(arm, arm->tune.grid, (size_t)of->best, &cell));
    }
    for (size_t key = 0; key < ol_job_keys.n; key++) {
        said[key] =
            of && ol_conf_own(alone->conf, key) && tune_counts_for(s, ol_job_keys.keys[key].path);
        if (said[key] || of_start[key])
            OL_TRY(add_set(prefix, key, cell ? cell : arm,
                           said[key] ? tuned : ol_conf_origin(arm->conf, key), sets));
    }
    return OL_OK;
}

/* All settings that the choice comes to. */
static ol_status list_choice(const tune_search *start, const tune_search *trained,
                             const ol_job *job, ol_conf_sets *sets)
{
    bool nothing[OL_CONF_KEYS] = {false}, of_start[OL_CONF_KEYS], said[OL_CONF_KEYS];

    OL_TRY(ol_conf_sets_add(sets, "tune.grid=() # %s", tuned));
    OL_TRY(set_choice(start, job, job, "", nothing, of_start, sets));
    for (int i = 0; i < ol_job_arms(job); i++) {
        const ol_job *arm = ol_job_arm(job, i);
        char prefix[NAME + 16] = "";

        if (job->n_arms > 0)
            snprintf(prefix, sizeof prefix, "arms.%s.", arm->name);
        OL_TRY(set_choice(trained, job, arm, prefix, of_start, said, sets));
        if (job->n_arms > 0 && subject_of(trained, arm))
            OL_TRY(ol_conf_sets_add(sets, "%stune.grid=() # %s", prefix, tuned));
    }
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
    OL_AUTO(search_finish) tune_search search;

    *out = NULL;
    OL_TRY(search_init(&search, job, trained));
    return OL_GIVE(out, search.job);
}

static void searches_finish(tune_search (*searches)[2])
{
    search_finish(&(*searches)[0]);
    search_finish(&(*searches)[1]);
}

ol_status ol_tune(ol_comm *comm, const ol_job *job, const ol_run_folder *folder, bool resume,
                  bool *work_started, ol_conf_sets *choice)
{
    OL_AUTO(searches_finish) tune_search searches[2] = {0};
    bool fresh = false;
    ol_status status = search_init(&searches[0], job, false);

    if (status == OL_OK)
        status = search_init(&searches[1], job, true);
    OL_TRY(ol_comm_agree(comm, status));
    for (int i = 0; i < 2; i++) {
        if (searches[i].n_subjects > 0)
            OL_TRY(run_search(comm, &searches[i], resume, work_started, &fresh));
        OL_TRY(OL_ON_FIRST(comm, ol_log_open(folder->log)));
    }
    OL_TRY(OL_ON_FIRST(comm, show_table(searches, job, fresh)));
    return ol_comm_agree(comm, list_choice(&searches[0], &searches[1], job, choice));
}
