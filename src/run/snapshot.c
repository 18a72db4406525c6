/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "outerloop/base/log.h"         /* ol_log_warn */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_* */

static const char rng_note[] =
    "Philox4x32-10; streams keyed by (seed, purpose, meta-step, episode), nothing stored";

void ol_run_id_make(const char *host, char run_id[OL_RUN_ID_TEXT])
{
    const time_t now = time(NULL);
    struct tm utc;
    char stamp[24], name[25];

    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, sizeof name, "%.24s", host);
    snprintf(run_id, OL_RUN_ID_TEXT, "%s-%s-%ld", stamp, name, (long)getpid());
}

/* The table of the outer state: *tensors is owned by the caller. @param job  NULL: θ's alone */
static ol_status list_tensors(const ol_model *model, const ol_job *job, ol_tensor **tensors, int *n)
{
    const ol_learner_spec learner = job ? ol_job_learner_spec(job) : (ol_learner_spec){0};

    *n = ol_learner_tensors(model, job ? &learner : NULL, NULL);
    *tensors = calloc((size_t)*n, sizeof **tensors);
    OL_CHECK(*tensors, OL_ENOMEM, "checkpoint: no memory for a list of %d tensors", *n);
    ol_learner_tensors(model, job ? &learner : NULL, *tensors);
    return OL_OK;
}

/* The tensors of a state for a checkpoint; `tensors` keeps their names. Both are the caller's. */
static ol_status place_tensors(const ol_model *model, const ol_job *job, const ol_state *state,
                               ol_tensor **tensors, ol_checkpoint_tensor **out, int *n)
{
    OL_TRY(list_tensors(model, job, tensors, n));
    *out = calloc((size_t)*n, sizeof **out);
    OL_CHECK(*out, OL_ENOMEM, "checkpoint: no memory for a list of %d tensors", *n);
    for (int i = 0; i < *n; i++) {
        const ol_tensor *p = &(*tensors)[i];

        (*out)[i] = (ol_checkpoint_tensor){.name = p->name,
                                           .rank = p->cols ? 2 : 1,
                                           .dims = {p->rows, p->cols},
                                           .param = state->theta + p->offset,
                                           .m = state->m + p->offset,
                                           .v = state->v + p->offset};
    }
    return OL_OK;
}

static ol_status write_tensors(const char *folder, const ol_job *job, const ol_model *model,
                               const ol_state *state, const ol_run_mark *mark, const char *text,
                               char path[PATH_MAX])
{
    const ol_model_spec *m = &model->spec;
    const ol_checkpoint_note shape[] = {
        {.name = "arch", .kind = OL_NOTE_TEXT, .text = "gpt2"},
        {.name = "layers", .kind = OL_NOTE_I64, .i = m->layers},
        {.name = "width", .kind = OL_NOTE_I64, .i = m->width},
        {.name = "heads", .kind = OL_NOTE_I64, .i = m->heads},
        {.name = "context", .kind = OL_NOTE_I64, .i = m->context},
        {.name = "vocab", .kind = OL_NOTE_I64, .i = m->vocab},
        {.name = "ln_eps", .kind = OL_NOTE_F64, .f = m->ln_eps},
    };
    const ol_checkpoint_note notes[] = {
        {.name = "name", .kind = OL_NOTE_TEXT, .text = job->name},
        {.name = "learner", .kind = OL_NOTE_TEXT, .text = job->learner.algorithm},
        {.name = "tokens", .kind = OL_NOTE_I64, .i = mark->tokens},
        {.name = "seconds", .kind = OL_NOTE_F64, .f = mark->seconds},
        {.name = "restarts", .kind = OL_NOTE_I64, .i = mark->restarts},
    };
    ol_checkpoint_spec spec = {.step = mark->step,
                               .moments_step = state->t,
                               .seed = (uint64_t)job->seed,
                               .rng = rng_note,
                               .run_id = mark->run_id,
                               .job = text,
                               .model = shape,
                               .n_model = sizeof shape / sizeof *shape,
                               .notes = notes,
                               .n_notes = sizeof notes / sizeof *notes};
    ol_checkpoint_tensor *placed = NULL;
    ol_tensor *tensors = NULL;
    ol_status status = place_tensors(model, job, state, &tensors, &placed, &spec.n_tensors);

    spec.tensors = placed;
    if (status == OL_OK)
        status = ol_checkpoint_write(folder, &spec, path);
    free(placed);
    free(tensors);
    return status;
}

ol_status ol_snapshot_write(const char *folder, const ol_job *job, const ol_model *model,
                            const ol_state *state, const ol_run_mark *mark, char path[PATH_MAX])
{
    const ol_checkpoint_keep keep = {.last = job->train.keep_last, .every = job->train.keep_every};
    ol_text text = {0};
    ol_status status = ol_job_text(job, &text);

    if (status == OL_OK)
        status = write_tensors(folder, job, model, state, mark, text.data, path);
    ol_text_finish(&text);
    OL_TRY(status);
    if (ol_checkpoint_prune(folder, path, keep, NULL) != OL_OK)
        ol_log_warn("older checkpoints stay: %s", ol_status_message());
    return OL_OK;
}

/* Compare /model of a checkpoint with a model; both shapes are named when they differ. */
static ol_status check_shape(const ol_checkpoint *file, const char *path, const ol_model *model)
{
    static const char *const names[] = {"layers", "width", "heads", "context", "vocab"};
    const ol_model_spec *m = &model->spec;
    const int64_t ours[] = {m->layers, m->width, m->heads, m->context, m->vocab};
    const ol_archive *archive = ol_checkpoint_archive(file);
    int64_t theirs[5];
    bool same = true;

    for (int i = 0; i < 5; i++) {
        OL_TRY(ol_archive_get_i64(archive, "/model", names[i], &theirs[i]));
        same = same && theirs[i] == ours[i];
    }
    OL_CHECK(same, OL_EUSAGE,
             "%s: its model has %lld layers, width %lld, %lld heads, context %lld, vocab %lld, and "
             "this job's has %lld layers, width %lld, %lld heads, context %lld, vocab %lld: make "
             "the keys of `model` (and the tokenizer) agree, or choose another checkpoint",
             path, (long long)theirs[0], (long long)theirs[1], (long long)theirs[2],
             (long long)theirs[3], (long long)theirs[4], (long long)ours[0], (long long)ours[1],
             (long long)ours[2], (long long)ours[3], (long long)ours[4]);
    return OL_OK;
}

static ol_status read_part(const ol_checkpoint *file, const ol_model *model, const ol_job *job,
                           ol_checkpoint_part part, ol_real *out)
{
    ol_tensor *tensors = NULL;
    int n = 0;
    ol_status status = list_tensors(model, job, &tensors, &n);

    for (int i = 0; i < n && status == OL_OK; i++)
        status = ol_checkpoint_read(file, part, tensors[i].name, tensors[i].size,
                                    out + tensors[i].offset);
    free(tensors);
    return status;
}

static ol_status read_params(const char *path, const ol_model *model, ol_real *theta)
{
    ol_checkpoint *file = NULL;
    ol_status status;

    OL_TRY(ol_checkpoint_open(path, &file));
    status = check_shape(file, path, model);
    if (status == OL_OK)
        status = read_part(file, model, NULL, OL_CHECKPOINT_PARAMS, theta);
    ol_checkpoint_close(file);
    return status;
}

ol_status ol_snapshot_read_params(const char *path, const ol_model *model, ol_real *theta)
{
    char newest[PATH_MAX], folder[PATH_MAX];
    int64_t step;

    if (!ol_path_is_folder(path))
        return read_params(path, model, theta);
    OL_TRY(ol_path_format(folder, "%s/checkpoints", path));
    OL_TRY(ol_checkpoint_newest(ol_path_is_folder(folder) ? folder : path, newest, &step));
    OL_CHECK(newest[0], OL_EDATA, "%s: no checkpoint is there (model.path)", path);
    return read_params(newest, model, theta);
}

static ol_status read_mark(const ol_checkpoint *file, ol_run_mark *mark)
{
    const ol_archive *archive = ol_checkpoint_archive(file);

    mark->step = ol_checkpoint_step(file);
    snprintf(mark->run_id, sizeof mark->run_id, "%s", ol_checkpoint_run_id(file));
    OL_TRY(ol_archive_get_i64(archive, "/", "tokens", &mark->tokens));
    OL_TRY(ol_archive_get_f64(archive, "/", "seconds", &mark->seconds));
    return ol_archive_get_i64(archive, "/", "restarts", &mark->restarts);
}

static ol_status read_state(const char *path, const ol_job *job, const ol_model *model,
                            ol_state *state, ol_run_mark *mark)
{
    ol_checkpoint *file = NULL;
    ol_status status;

    OL_TRY(ol_checkpoint_open(path, &file));
    status = check_shape(file, path, model);
    if (status == OL_OK)
        status =
            ol_job_same_run(job, path, ol_checkpoint_job(file), strlen(ol_checkpoint_job(file)));
    if (status == OL_OK)
        status = read_part(file, model, job, OL_CHECKPOINT_PARAMS, state->theta);
    if (status == OL_OK)
        status = read_part(file, model, job, OL_CHECKPOINT_M, state->m);
    if (status == OL_OK)
        status = read_part(file, model, job, OL_CHECKPOINT_V, state->v);
    if (status == OL_OK)
        status = read_mark(file, mark);
    state->t = ol_checkpoint_moments_step(file);
    ol_checkpoint_close(file);
    return status;
}

/* Rank 0's part of resuming: find, check, read. */
static ol_status resume_here(const char *folder, const ol_job *job, const ol_model *model,
                             ol_state *state, ol_run_mark *mark, bool *found)
{
    char path[PATH_MAX] = "";
    int64_t step;

    *found = false;
    if (!ol_path_is_folder(folder))
        return OL_OK;
    OL_TRY(ol_checkpoint_sweep(folder, NULL));
    OL_TRY(ol_checkpoint_newest(folder, path, &step));
    if (!path[0])
        return OL_OK;
    OL_TRY(read_state(path, job, model, state, mark));
    *found = true;
    ol_log_info("going on from %s (meta-step %lld of %d)", path, (long long)mark->step,
                job->train.steps);
    return OL_OK;
}

ol_status ol_snapshot_resume(ol_comm *comm, const char *folder, const ol_job *job,
                             const ol_model *model, ol_state *state, ol_run_mark *mark, bool *found)
{
    const ol_learner_spec learner = ol_job_learner_spec(job);
    const size_t bytes = ol_learner_size(model, &learner) * sizeof(ol_real);
    ol_status status = OL_OK;

    if (ol_comm_rank(comm) == 0)
        status = resume_here(folder, job, model, state, mark, found);
    OL_TRY(ol_comm_agree(comm, status));
    OL_TRY(ol_comm_broadcast(comm, found, sizeof *found, 0));
    if (!*found)
        return OL_OK;
    OL_TRY(ol_comm_broadcast(comm, mark, sizeof *mark, 0));
    OL_TRY(ol_comm_broadcast(comm, state->theta, bytes, 0));
    OL_TRY(ol_comm_broadcast(comm, state->m, bytes, 0));
    OL_TRY(ol_comm_broadcast(comm, state->v, bytes, 0));
    return ol_comm_broadcast(comm, &state->t, sizeof state->t, 0);
}
