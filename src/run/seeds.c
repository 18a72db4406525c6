/* SPDX-License-Identifier: BSD-3-Clause */
/* A job, once or once for each of its train_seeds, and the table that it ends in. */
#include "outerloop/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/log.h"   /* ol_log_* */
#include "outerloop/run/folder.h" /* ol_run_folder */
#include "outerloop/run/setup.h"  /* ol_describe_idle */
#include "outerloop/run/stop.h"   /* ol_stop_install */
#include "run_parts.h"

/* One start of `outerloop run`. */
typedef struct whole {
    ol_comm *comm;
    const char *path;
    const char *const *sets; /* [n_sets] */
    size_t n_sets;
    bool resume;
    bool *work_started;
    ol_job *job;
    score_book book; /* rank 0's */
} whole;

/* The table is the answer to the command, so it goes to standard output; the log keeps it. */
static ol_status print_table(const score_book *book)
{
    ol_text shown = {0}, kept = {0};
    ol_status status = ol_score_book_table(book, ol_log_columns(STDOUT_FILENO), &shown);

    if (status == OL_OK)
        status = ol_score_book_table(book, 0, &kept);
    if (status == OL_OK && shown.size > 0) {
        printf("\n%s\n", shown.data);
        fflush(stdout);
        ol_log_keep("\n");
        ol_log_keep(kept.data);
        ol_log_keep("\n");
    }
    ol_text_finish(&shown);
    ol_text_finish(&kept);
    return status;
}

/* "output=\"OUTPUT/seed-N\"": quoted, for a path may look like another value. */
static ol_status set_output(const char *output, int seed, ol_text *set)
{
    OL_TRY(ol_text_format(set, "output=\""));
    for (; *output; output++)
        OL_TRY(ol_text_format(set, "%s%c", strchr("\"\\", *output) ? "\\" : "", *output));
    return ol_text_format(set, "/seed-%d\"", seed);
}

/* The settings of the job with one seed, in a folder of its own. */
typedef struct seed_sets {
    const char **items; /* [n], the last three the seed's */
    size_t n;
    char seed[32];
    ol_text output;
} seed_sets;

static void seed_sets_finish(seed_sets *s)
{
    free(s->items);
    ol_text_finish(&s->output);
}

static ol_status seed_sets_init(const whole *w, int seed, seed_sets *s)
{
    *s = (seed_sets){.items = malloc((w->n_sets + 3) * sizeof *s->items)};
    OL_CHECK(s->items, OL_ENOMEM, "no memory for a job");
    OL_TRY(set_output(w->job->output, seed, &s->output));
    snprintf(s->seed, sizeof s->seed, "seed=%d", seed);
    for (; s->n < w->n_sets; s->n++)
        s->items[s->n] = w->sets[s->n];
    s->items[s->n++] = s->seed;
    s->items[s->n++] = s->output.data;
    s->items[s->n++] = "train_seeds=[]";
    return OL_OK;
}

/* May the arms of a job run in their folders? */
static ol_status claim_arms(const ol_job *job, bool resume)
{
    for (int i = 0; i < ol_job_arms(job); i++) {
        ol_run_folder folder;
        ol_run_claim claim;

        OL_TRY(ol_run_folder_name(ol_job_arm(job, i)->output, &folder));
        OL_TRY(ol_run_folder_claim(&folder, ol_job_arm(job, i), resume, &claim));
    }
    return OL_OK;
}

/* What a later seed would be refused for is said before any work. */
static ol_status claim_seed(const whole *w, int seed)
{
    seed_sets sets;
    ol_job *job = NULL;
    ol_status status = seed_sets_init(w, seed, &sets);

    if (status == OL_OK)
        status = ol_job_read(w->path, sets.items, sets.n, &job);
    if (status == OL_OK)
        status = claim_arms(job, w->resume);
    ol_job_destroy(job);
    seed_sets_finish(&sets);
    return status;
}

/* The job as it stands in the folder already, so that it need not be written. */
static bool is_written(const ol_run_folder *folder, const ol_job *job)
{
    char now[OL_DIGEST_TEXT], then[OL_DIGEST_TEXT], *text = NULL;
    ol_job *before = NULL;
    size_t size;
    bool same = false;

    if (ol_read_file(folder->job, &text, &size) == OL_OK &&
        ol_job_read_text(folder->job, text, size, &before) == OL_OK)
        same = ol_job_digest(job, now) == OL_OK && ol_job_digest(before, then) == OL_OK &&
               strcmp(now, then) == 0;
    ol_job_destroy(before);
    free(text);
    return same;
}

/* Rank 0: the folder of all seeds. */
static ol_status open_folder(const whole *w, ol_run_folder *folder)
{
    ol_run_claim claim;

    OL_TRY(ol_run_folder_name(w->job->output, folder));
    OL_TRY(ol_run_folder_claim(folder, w->job, w->resume, &claim));
    for (int i = 0; i < w->job->train_seeds.n; i++)
        OL_TRY(claim_seed(w, w->job->train_seeds.items[i]));
    OL_TRY(ol_run_folder_make(folder));
    return is_written(folder, w->job) ? OL_OK : ol_run_folder_write_job(folder, w->job);
}

static ol_status run_seed(whole *w, int seed)
{
    seed_sets sets;
    ol_status status = ol_comm_agree(w->comm, seed_sets_init(w, seed, &sets));

    if (status == OL_OK)
        status =
            ol_run_once(w->comm, w->path, sets.items, sets.n, w->resume, w->work_started, &w->book);
    seed_sets_finish(&sets);
    return status;
}

static ol_status run_seeds(whole *w)
{
    const ol_conf_ints *seeds = &w->job->train_seeds;
    const bool first = ol_comm_rank(w->comm) == 0;
    ol_run_folder folder = {0};

    OL_TRY(ol_comm_agree(w->comm, first ? open_folder(w, &folder) : OL_OK));
    if (first)
        ol_stop_watch_whole(folder.path);
    for (int i = 0; i < seeds->n; i++) {
        OL_TRY(ol_comm_agree(w->comm, first ? ol_log_open(folder.log) : OL_OK));
        ol_log_info("training %d of %d, from seed %d", i + 1, seeds->n, seeds->items[i]);
        OL_TRY(run_seed(w, seeds->items[i]));
    }
    return ol_comm_agree(w->comm, first ? ol_log_open(folder.log) : OL_OK);
}

ol_status ol_run_job(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                     bool resume, bool *work_started)
{
    whole w = {comm, path, sets, n_sets, resume, work_started, NULL, {0}};
    ol_status status;

    *work_started = false;
    ol_stop_install();
    status = ol_comm_agree(comm, ol_job_read(path, sets, n_sets, &w.job));
    if (status == OL_OK)
        ol_describe_idle(w.job, ol_comm_size(comm));
    if (status == OL_OK)
        status = w.job->train_seeds.n > 0
                     ? run_seeds(&w)
                     : ol_run_once(comm, path, sets, n_sets, resume, work_started, &w.book);
    if (status == OL_OK)
        status = ol_comm_agree(comm, ol_comm_rank(comm) == 0 ? print_table(&w.book) : OL_OK);
    ol_score_book_finish(&w.book);
    ol_job_destroy(w.job);
    ol_stop_remove();
    return status;
}
