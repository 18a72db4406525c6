/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/report/inspect.h"

#include <dirent.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect_parts.h"
#include "outerloop/base/digest.h"      /* OL_DIGEST_TEXT */
#include "outerloop/base/log.h"         /* ol_log_columns */
#include "outerloop/base/size.h"        /* OL_ALLOCATE */
#include "outerloop/record/folder.h"    /* ol_run_folder */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint */
#include "outerloop/text/prompt.h"      /* ol_variant_names */

enum { INDENT = 12 /* columns of a label */ };

ol_status ol_inspect_line(ol_text *out, const char *label, const char *format, ...)
{
    char value[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    OL_TRY(ol_text_format(out, "%-*s", INDENT, label));
    return ol_text_wrap(out, value, INDENT, ol_log_columns(STDOUT_FILENO));
}

/* Bytes of a file as "3.4 MiB". */
static void size_text(const char *path, char text[24])
{
    const double KiB = 1024.0, MiB = 1024.0 * KiB;
    struct stat info;

    if (stat(path, &info) != 0)
        snprintf(text, 24, "?");
    else if ((double)info.st_size < MiB)
        snprintf(text, 24, "%.1f KiB", (double)info.st_size / KiB);
    else
        snprintf(text, 24, "%.1f MiB", (double)info.st_size / MiB);
}

ol_status ol_inspect_file(ol_text *out, const char *label, const char *path)
{
    char size[24];

    size_text(path, size);
    return ol_inspect_line(out, label, "%s, %s", path, size);
}

ol_status ol_inspect_job(const char *text, ol_text *out)
{
    OL_AUTO_JOB *job = NULL;
    const ol_job_learner *l;

    if (ol_job_read_text("job", text, strlen(text), &job) != OL_OK)
        return ol_inspect_line(out, "job", "not readable by this version: %s", ol_status_message());
    l = &job->learner;
    OL_TRY(ol_inspect_line(out, "job", "%s, seed %lld, %d meta-steps asked for", job->name,
                           (long long)job->seed, job->train.steps));
    OL_TRY(ol_inspect_line(out, "data", "%s, setting %s, %s, %d shots",
                           *job->data.root ? job->data.root : "built-in suite", job->data.setting,
                           ol_variant_names[job->data.variant], job->data.shots));
    OL_TRY(ol_inspect_line(out, "learner", "%s%s; %d episodes of %d + %d prompts", l->algorithm,
                           ol_job_order_text(job), l->episodes, l->support, l->query));
    OL_TRY(ol_inspect_line(out, "inner", "%d step%s of %s, lr %g, moments %s; outer lr %g",
                           l->inner.steps, l->inner.steps == 1 ? "" : "s",
                           ol_optimizer_names[l->inner.optimizer], l->inner.lr,
                           ol_moments_names[l->inner.moments], l->outer.lr));
    for (int i = 0; i < job->n_arms; i++)
        OL_TRY(ol_inspect_line(out, i == 0 ? "arms" : "", "%s", job->arms[i]->name));
    return OL_OK;
}

/* Attributes of an object: "layers 2, width 64". */
static ol_status show_attributes(const ol_archive *archive, const char *object, const char *label,
                                 ol_text *out)
{
    OL_AUTO_STRINGS names = {0};
    OL_AUTO_TEXT list = {0};

    OL_TRY(ol_archive_attributes(archive, object, &names));
    for (size_t i = 0; i < names.n; i++) {
        OL_AUTO_FREE char *value = NULL;

        OL_TRY(ol_archive_show(archive, object, names.items[i], &value));
        OL_TRY(ol_text_format(&list, "%s%s %s", i > 0 ? ", " : "", names.items[i],
                              value[0] ? value : "-"));
    }
    OL_TRY(ol_text_format(out, "%-*s", INDENT, label));
    return ol_text_wrap(out, list.data ? list.data : "", INDENT, ol_log_columns(STDOUT_FILENO));
}

void ol_inspect_count(inspection *s, bool whole, const char *broken)
{
    s->checked++;
    if (!whole && s->broken++ == 0 && broken)
        snprintf(s->first, sizeof s->first, "%.*s", (int)strcspn(broken, "\n"), broken);
}

ol_status ol_inspect_broken(inspection *s, const char *path)
{
    const char *reason = ol_status_message();
    const bool named = strncmp(reason, path, strlen(path)) == 0; /* as the store's messages are */

    ol_inspect_count(s, false, reason);
    return ol_text_format(s->out, "  BROKEN  %s%s%s\n", named ? "" : path, named ? "" : ": ",
                          reason);
}

/* --- checkpoints ------------------------------------------------------------------------------ */

/* What the outer parameters of the learner's own are, as the names of their tensors begin: "" where
 * it has none. */
static const char *own_of(const char *job_text)
{
    const char *own = NULL;
    OL_AUTO_JOB *job = NULL;

    if (ol_job_read_text("job", job_text, strlen(job_text), &job) == OL_OK)
        own = ol_learner_find(job->learner.algorithm)->own;
    return own ? own : "";
}

/* Tensors of one kind: how many, and what they hold. */
typedef struct tally {
    int tensors;
    size_t reals;
    double least, sum, most; /* of the learner's own */
} tally;

static ol_status read_values(const ol_archive *archive, const char *object, size_t n, tally *t)
{
    OL_AUTO_FREE double *values = NULL;

    OL_TRY(OL_ALLOCATE(values, n, "reals"));
    OL_TRY(ol_archive_read(archive, object, n, values));
    for (size_t i = 0; i < n; i++) {
        t->least = fmin(t->least, values[i]);
        t->most = fmax(t->most, values[i]);
        t->sum += values[i];
    }
    return OL_OK;
}

/* Lines of the model's tensors, and of the learner's own. */
static ol_status describe_tensors(const ol_checkpoint *file, const char *own, ol_text *out)
{
    const ol_archive *archive = ol_checkpoint_archive(file);
    const size_t prefix = strlen(own);
    OL_AUTO_STRINGS names = {0};
    tally t[2] = {{0}, {.least = (double)INFINITY, .most = -(double)INFINITY}};

    OL_TRY(ol_archive_children(archive, "params", &names));
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i];
        const bool is_own = prefix > 0 && strncmp(name, own, prefix) == 0 && name[prefix] == '.';
        char object[PATH_MAX];
        size_t n;

        OL_TRY(ol_path_format(object, "params/%s", name));
        OL_TRY(ol_archive_count(archive, object, &n));
        if (is_own)
            OL_TRY(read_values(archive, object, n, &t[1]));
        t[is_own].tensors++;
        t[is_own].reals += n;
    }
    OL_TRY(ol_inspect_line(out, "tensors", "%d, %zu parameters%s", t[0].tensors, t[0].reals,
                           ol_checkpoint_has_moments(file) ? ", with moments" : ""));
    if (t[1].reals == 0)
        return OL_OK;
    return ol_inspect_line(out, own, "%zu, from %.4g to %.4g, mean %.4g", t[1].reals, t[1].least,
                           t[1].most, t[1].sum / (double)t[1].reals);
}

/* A checkpoint that `import` made, and the files that came along. */
static ol_status describe_import(const ol_archive *archive, ol_text *out)
{
    OL_AUTO_STRINGS names = {0};
    OL_AUTO_FREE char *origin = NULL;
    OL_AUTO_TEXT list = {0};

    OL_TRY(ol_archive_get_text(archive, "/", "origin", &origin));
    OL_TRY(ol_inspect_line(out, "imported", "from %s", origin));
    if (!ol_archive_is_group(archive, "files"))
        return OL_OK;
    OL_TRY(ol_archive_children(archive, "files", &names));
    for (size_t i = 0; i < names.n; i++)
        OL_TRY(ol_text_format(&list, "%s%s", i > 0 ? ", " : "", names.items[i]));
    return ol_inspect_line(out, "files", "%s", list.data ? list.data : "none");
}

static ol_status describe_checkpoint(const ol_checkpoint *file, ol_text *out)
{
    const ol_archive *archive = ol_checkpoint_archive(file);
    const ol_checkpoint_facts *head = ol_checkpoint_head(file);

    OL_TRY(ol_inspect_file(out, "checkpoint", ol_archive_path(archive)));
    OL_TRY(ol_inspect_line(out, "step", "%lld meta-steps, %lld optimizer steps",
                           (long long)head->step, (long long)head->moments_step));
    OL_TRY(ol_archive_has_attribute(archive, "/", "origin") ? describe_import(archive, out)
                                                            : ol_inspect_job(head->job, out));
    OL_TRY(show_attributes(archive, "/model", "model", out));
    OL_TRY(describe_tensors(file, own_of(head->job), out));
    OL_TRY(
        ol_inspect_line(out, "run", "%s, seed %llu", head->run_id, (unsigned long long)head->seed));
    return ol_inspect_line(out, "digest", "%s", head->digest);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool names_checkpoint(const char *name)
{
    return fnmatch("step-*.h5", name, 0) == 0;
}

/* One line for a checkpoint in a folder, with what the terminal has room for of its digest. */
static ol_status list_checkpoint(const ol_checkpoint *file, ol_text *out)
{
    const char *path = ol_archive_path(ol_checkpoint_archive(file));
    const char *digest = ol_checkpoint_head(file)->digest;
    const int columns = ol_log_columns(STDOUT_FILENO), room = columns - 31;
    char size[24];

    size_text(path, size);
    OL_TRY(ol_text_format(out, "  %-16s %10s  ", name_of(path), size));
    if (columns == 0 || room >= 7 + OL_DIGEST_TEXT)
        return ol_text_format(out, "digest %s\n", digest);
    OL_TRY(ol_text_cell(out, digest, room < OL_DIGEST_TEXT ? room : OL_DIGEST_TEXT, true));
    return ol_text_append(out, "\n", 1);
}

/* How far the rows of the folder's job have to go. */
static void note_step(inspection *s, const ol_checkpoint_facts *head)
{
    if (s->job && head->step > s->saved_to &&
        ol_job_same_run(s->job, "job", head->job, strlen(head->job)) == OL_OK)
        s->saved_to = head->step;
}

/* A file that was asked for, or one of a folder's: there, a damaged one is said to be so. */
static ol_status inspect_checkpoint(inspection *s, const char *path, bool listed)
{
    OL_AUTO_CHECKPOINT *file = NULL;
    ol_status status = ol_checkpoint_open(path, &file);

    if (status == OL_EDATA && (s->check || listed))
        return ol_inspect_broken(s, path);
    OL_TRY(status);
    OL_TRY(listed ? list_checkpoint(file, s->out) : describe_checkpoint(file, s->out));
    status = s->check ? ol_checkpoint_verify(path) : OL_OK;
    if (status == OL_EDATA)
        return ol_inspect_broken(s, path);
    OL_TRY(status);
    note_step(s, ol_checkpoint_head(file));
    if (!s->check)
        return OL_OK;
    ol_inspect_count(s, true, NULL);
    return ol_text_format(s->out, "  whole   %s: every digest holds\n", path);
}

static int is_checkpoint(const struct dirent *entry)
{
    return names_checkpoint(entry->d_name);
}

static ol_status list_checkpoints(inspection *s, const char *folder)
{
    struct dirent **entries = NULL;
    const int n = scandir(folder, &entries, is_checkpoint, alphasort);
    ol_status status = n > 0 ? ol_inspect_line(s->out, "checkpoints", "%d", n) : OL_OK;

    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];

        if (status == OL_OK)
            status = ol_path_format(path, "%s/%s", folder, entries[i]->d_name);
        if (status == OL_OK)
            status = inspect_checkpoint(s, path, true);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* --- files ------------------------------------------------------------------------------------ */

/* Any other file of ours: its attributes and what is at its root. */
static ol_status describe_other(inspection *s, const ol_archive *archive, const char *format)
{
    const char *path = ol_archive_path(archive);
    OL_AUTO_STRINGS names = {0};

    OL_TRY(ol_inspect_line(s->out, "file", "%s, format %s", path, format));
    OL_TRY(show_attributes(archive, "/", "attributes", s->out));
    OL_TRY(ol_archive_children(archive, "/", &names));
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i], *label = i ? "" : "contents";
        size_t n = 0;

        if (ol_archive_is_group(archive, name)) {
            OL_TRY(ol_inspect_line(s->out, label, "%s/", name));
        } else {
            OL_TRY(ol_archive_count(archive, name, &n));
            OL_TRY(ol_inspect_line(s->out, label, "%s [%zu]", name, n));
        }
    }
    if (!s->check)
        return OL_OK;
    ol_inspect_count(s, true, NULL); /* it was read in full when it was opened */
    return ol_text_format(s->out, "  whole   %s: every dataset read\n", path);
}

static ol_status inspect_file(inspection *s, const char *path)
{
    static const char *const others[] = {"meta-step-verification", "metaicl-parity",
                                         "option-losses", "outerloop-prompts", "outerloop-model"};
    static const char *const attributes[] = {"schema", "format"}; /* that say what a file is */
    OL_AUTO_ARCHIVE *archive = NULL;
    OL_AUTO_FREE char *word = NULL;
    const char *kind;

    if (strcmp(name_of(path), "metrics.h5") == 0)
        return ol_inspect_tables(s, path, true, true);
    OL_CHECK(s->how != OL_INSPECT_REBUILD, OL_EUSAGE,
             "%s: only a run folder, or its metrics.h5, can be rebuilt", path);
    if (ol_checkpoint_is_one(path) || names_checkpoint(name_of(path)))
        return inspect_checkpoint(s, path, false); /* which checks it before HDF5 sees it */
    OL_TRY(ol_archive_open(path, &archive));
    for (int i = 0; i < 2 && !word; i++)
        if (ol_archive_has_attribute(archive, "/", attributes[i]))
            OL_TRY(ol_archive_get_text(archive, "/", attributes[i], &word));
    kind = word ? word : "";
    if (strcmp(kind, "outerloop-metrics") == 0)
        return ol_inspect_tables(s, path, true, true);
    if (strcmp(kind, "outerloop-checkpoint") == 0)
        return inspect_checkpoint(s, path, false);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(kind, others[i]) == 0)
            return describe_other(s, archive, kind);
    return ol_fail(OL_EDATA,
                   "%s: is an HDF5 file, but not one of this program's; inspect takes run folders, "
                   "checkpoints and metrics files",
                   path);
}

/* --- folders ---------------------------------------------------------------------------------- */

/* Rows cut off the end of both metrics files leave no gap: the checkpoints tell. Files that are there
 * and agree are whole all the same. */
static ol_status compare_steps(inspection *s, const char *journal)
{
    const bool whole = s->check && s->has_rows;
    OL_AUTO_TEXT lost = {0};

    if (s->how == OL_INSPECT_LOOK || s->rows_to < 0 || s->saved_to <= s->rows_to)
        return OL_OK;
    OL_TRY(ol_text_format(&lost,
                          "%s: train/step: rows of meta-steps %lld to %lld are lost: "
                          "neither file has them, and there is a checkpoint of the last",
                          journal, (long long)s->rows_to + 1, (long long)s->saved_to));
    if (!whole)
        ol_inspect_count(s, false, lost.data);
    return ol_text_format(s->out, "  %-7s %s\n",
                          whole      ? "note"
                          : s->check ? "BROKEN"
                                     : "found",
                          lost.data);
}

/* Metrics and checkpoints of one arm, or of a job without arms. */
static ol_status inspect_run(inspection *s, const ol_run_folder *folder, bool with_job)
{
    OL_AUTO_JOB *job = NULL;

    (void)!ol_job_read_stored(folder->job, &job);
    s->job = job;
    s->saved_to = 0;
    OL_TRY(ol_inspect_tables(s, folder->metrics, false, with_job));
    OL_TRY(list_checkpoints(s, folder->checkpoints));
    s->job = NULL;
    return compare_steps(s, folder->journal);
}

static bool has_results(const ol_run_folder *folder)
{
    return ol_path_exists(folder->metrics) || ol_path_exists(folder->journal) ||
           ol_path_exists(folder->checkpoints);
}

/* A folder below a comparison, under a heading of its name. */
static ol_status inspect_member(inspection *s, const char *whole, const char *name)
{
    char path[PATH_MAX];
    ol_run_folder folder;

    OL_TRY(ol_path_format(path, "%s/%s", whole, name));
    OL_TRY(ol_run_folder_name(path, &folder));
    if (!has_results(&folder))
        return OL_OK;
    OL_TRY(ol_text_format(s->out, "\n[%s]\n", name));
    return inspect_run(s, &folder, strcmp(name, "untrained") != 0);
}

/* @param seed  the folder of one of train_seeds, which need not be there */
static ol_status inspect_folder(inspection *s, const char *path, bool seed)
{
    OL_AUTO_JOB *job = NULL;
    ol_run_folder folder;
    char below[PATH_MAX];
    bool there;

    OL_TRY(ol_run_folder_name(path, &folder));
    there = has_results(&folder) || ol_path_exists(folder.job);
    if (seed && !there)
        return OL_OK;
    OL_CHECK(there, OL_EDATA,
             "%s: is not the folder of a run: it has no job.cfg, no metrics and no checkpoints",
             path);
    (void)!ol_job_read_stored(folder.job, &job);
    OL_TRY(ol_text_append(s->out, "\n", seed ? 1 : 0));
    OL_TRY(
        ol_inspect_line(s->out, "run", "%s%s%s", path, job ? ", job " : "", job ? job->name : ""));
    OL_TRY(inspect_member(s, path, "untrained"));
    if (has_results(&folder))
        OL_TRY(inspect_run(s, &folder, true));
    for (int i = 0; job && i < job->n_arms; i++)
        OL_TRY(inspect_member(s, path, job->arms[i]->name));
    for (int i = 0; job && i < job->train_seeds.n; i++) {
        OL_TRY(ol_path_format(below, "%s/seed-%d", path, job->train_seeds.items[i]));
        OL_TRY(inspect_folder(s, below, true));
    }
    return OL_OK;
}

static void finish_inspection(inspection *s)
{
    ol_score_book_finish(&s->book);
}

static ol_status conclude(const inspection *s)
{
    if (s->broken == 0 && !s->check)
        return OL_OK;
    OL_CHECK(s->broken == 0, OL_ECHECK, "%d of %d files %s %s; the first: %s", s->broken,
             s->checked, s->broken == 1 ? "is" : "are",
             s->how == OL_INSPECT_REBUILD ? "not whole any more" : "damaged", s->first);
    return ol_text_format(s->out, "checked     %d file%s, all whole\n", s->checked,
                          s->checked == 1 ? "" : "s");
}

ol_status ol_inspect(const char *path, ol_inspect_how how, ol_text *out)
{
    OL_AUTO(finish_inspection)
    inspection s = {.how = how, .check = how == OL_INSPECT_CHECK, .out = out};

    OL_CHECK(ol_path_exists(path), OL_EDATA, "%s: there is no such file or folder", path);
    OL_TRY(ol_path_is_folder(path) ? inspect_folder(&s, path, false) : inspect_file(&s, path));
    OL_TRY(ol_text_append(out, "\n", s.book.n > 0 ? 1 : 0));
    OL_TRY(ol_score_book_table(&s.book, ol_log_columns(STDOUT_FILENO), out));
    return conclude(&s);
}
