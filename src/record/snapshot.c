/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "outerloop/base/log.h"     /* ol_log_warn */
#include "outerloop/base/size.h"    /* OL_ALLOCATE */
#include "outerloop/job/start.h"    /* ol_start_path */
#include "outerloop/model/import.h" /* ol_import_weights, ol_import_adapter */

const char ol_snapshot_rng[] =
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
    OL_TRY(OL_ALLOCATE(*tensors, *n, "tensors of a checkpoint"));
    ol_learner_tensors(model, job ? &learner : NULL, *tensors);
    return OL_OK;
}

ol_status ol_snapshot_tensors(const ol_model *model, const ol_job *job, const ol_state *state,
                              ol_tensor **tensors, ol_checkpoint_tensor **out, int *n)
{
    OL_TRY(list_tensors(model, job, tensors, n));
    OL_TRY(OL_ALLOCATE(*out, *n, "tensors of a checkpoint"));
    for (int i = 0; i < *n; i++) {
        const ol_tensor *p = &(*tensors)[i];

        (*out)[i] = (ol_checkpoint_tensor){.name = p->name,
                                           .rank = p->cols ? 2 : 1,
                                           .dims = {p->rows, p->cols},
                                           .param = state->theta + p->offset,
                                           .m = state->m ? state->m + p->offset : NULL,
                                           .v = state->v ? state->v + p->offset : NULL};
    }
    return OL_OK;
}

static ol_status write_tensors(const char *folder, const ol_job *job, const ol_model *model,
                               const ol_state *state, const ol_run_mark *mark, const char *text,
                               char path[PATH_MAX])
{
    ol_checkpoint_note shape[OL_SHAPE_NOTES];
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
                               .rng = ol_snapshot_rng,
                               .run_id = mark->run_id,
                               .job = text,
                               .model = shape,
                               .n_model = ol_start_notes(model, shape),
                               .notes = notes,
                               .n_notes = sizeof notes / sizeof *notes};
    OL_AUTO_FREE ol_checkpoint_tensor *placed = NULL;
    OL_AUTO_FREE ol_tensor *tensors = NULL;

    OL_TRY(ol_snapshot_tensors(model, job, state, &tensors, &placed, &spec.n_tensors));
    spec.tensors = placed;
    return ol_checkpoint_write(folder, &spec, path);
}

ol_status ol_snapshot_write(const char *folder, const ol_job *job, const ol_model *model,
                            const ol_state *state, const ol_run_mark *mark, char path[PATH_MAX])
{
    const ol_checkpoint_keep keep = {.last = job->train.keep_last, .every = job->train.keep_every};
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_job_text(job, &text));
    OL_TRY(write_tensors(folder, job, model, state, mark, text.data, path));
    if (ol_checkpoint_prune(folder, path, keep, NULL) != OL_OK)
        ol_log_warn("older checkpoints stay: %s", ol_status_message());
    return OL_OK;
}

/* True when the file holds what is trained alone. */
static ol_status is_partial(const ol_checkpoint *file, bool *partial, char *digest)
{
    OL_AUTO_FREE char *text = NULL;

    OL_TRY(ol_archive_get_text(ol_checkpoint_archive(file), "/model", "frozen_digest", &text));
    *partial = text[0] != '\0';
    if (digest)
        snprintf(digest, OL_DIGEST_TEXT, "%s", text);
    return OL_OK;
}

/* What was trained belongs to the frozen part that it was trained beside, and to no other. */
static ol_status check_frozen(const ol_checkpoint *file, const char *path, const ol_model *model)
{
    char theirs[OL_DIGEST_TEXT];
    bool partial;

    OL_TRY(is_partial(file, &partial, theirs));
    OL_CHECK(strcmp(theirs, model->block_digest) == 0, OL_EUSAGE,
             "%s: it was trained beside another frozen part (its digest is %s, that of this job's "
             "is %s): model.init, model.path, model.frozen, model.trained and the file at "
             "model.path must be as they were",
             path, theirs[0] ? theirs : "none",
             model->block_digest[0] ? model->block_digest : "none");
    return OL_OK;
}

static ol_status read_part(const ol_checkpoint *file, const ol_model *model, const ol_job *job,
                           ol_checkpoint_part part, ol_real *out)
{
    OL_AUTO_FREE ol_tensor *tensors = NULL;
    int n = 0;

    OL_TRY(list_tensors(model, job, &tensors, &n));
    for (int i = 0; i < n; i++)
        OL_TRY(ol_checkpoint_read(file, part, tensors[i].name, tensors[i].size,
                                  out + tensors[i].offset));
    return OL_OK;
}

/* Read a frozen tensor of a checkpoint into the block. */
static ol_status read_frozen(const ol_checkpoint *file, const ol_param *param, void *block)
{
    OL_AUTO_FREE ol_real *values = malloc(param->size * sizeof *values);

    OL_CHECK(values, OL_ENOMEM, "no memory for %s", param->name);
    OL_TRY(ol_checkpoint_read(file, OL_CHECKPOINT_PARAMS, param->name, param->size, values));
    ol_frozen_put(param, values, block);
    return OL_OK;
}

/* Is there such a tensor? It must be, where `needed`: then it is asked for, and found missing. */
static bool stands(const ol_checkpoint *file, const ol_param *param, bool needed)
{
    char object[PATH_MAX];

    return needed || (ol_path_format(object, "params/%s", param->name) == OL_OK &&
                      ol_archive_has(ol_checkpoint_archive(file), object));
}

/* Everything of the model that the file holds; all of it but adapters when `whole`. */
static ol_status overlay(const ol_checkpoint *file, const ol_model *model, bool whole,
                         ol_real *theta, void *block)
{
    for (int i = 0; theta && i < model->n_params; i++) {
        const ol_param *p = &model->params[i];

        if (stands(file, p, whole && !model->lora))
            OL_TRY(ol_checkpoint_read(file, OL_CHECKPOINT_PARAMS, p->name, p->size,
                                      theta + p->offset));
    }
    for (int i = 0; block && i < model->n_frozen; i++)
        if (stands(file, &model->frozen[i], whole))
            OL_TRY(read_frozen(file, &model->frozen[i], block));
    return OL_OK;
}

static ol_status fill(const ol_job *job, const ol_model *model, int depth, ol_real *theta,
                      void *block);

/* The start of the job that a checkpoint of part of a model came from. */
static ol_status fill_below(const ol_checkpoint *file, const char *path, const ol_model *model,
                            int depth, ol_real *theta, void *block)
{
    OL_AUTO_JOB *job = NULL;

    OL_CHECK(depth < OL_MOST_STARTS, OL_EDATA, "%s: it stands on more than %d other checkpoints",
             path, OL_MOST_STARTS);
    OL_TRY(ol_start_job(file, path, &job));
    return fill(job, model, depth + 1, theta, block);
}

/* What the checkpoint at `path` holds, on what it stands on. */
static ol_status fill_from(const char *path, uint64_t seed, const ol_model *model, int depth,
                           ol_real *theta, void *block)
{
    OL_AUTO_CHECKPOINT *file = NULL;
    bool partial;

    OL_TRY(ol_checkpoint_open(path, &file));
    OL_TRY(ol_start_check_shape(file, path, model));
    OL_TRY(is_partial(file, &partial, NULL));
    if (partial)
        OL_TRY(fill_below(file, path, model, depth, theta, block));
    else if (model->lora)
        ol_model_random(model, seed, theta, NULL);
    return overlay(file, model, !partial, theta, block);
}

static ol_status fill(const ol_job *job, const ol_model *model, int depth, ol_real *theta,
                      void *block)
{
    const uint64_t seed = (uint64_t)job->seed;
    ol_model drawn = *model; /* random values spread as that job says */
    char path[PATH_MAX];

    drawn.spec.init_std = job->model.shape.init_std;

    if (job->model.init == OL_INIT_CHECKPOINT) {
        OL_TRY(ol_start_path(job->model.path, path));
        OL_TRY(fill_from(path, seed, model, depth, theta, block));
    } else {
        ol_model_random(&drawn, seed, theta, job->model.init == OL_INIT_RANDOM ? block : NULL);
        if (job->model.init == OL_INIT_IMPORT)
            OL_TRY(ol_import_weights(job->model.path, model, theta, block));
    }
    return job->model.lora.path[0] ? ol_import_adapter(job->model.lora.path, model, theta) : OL_OK;
}

/* What a checkpoint is of: its job, its shape, and how many reals its tensors are. */
typedef struct origin {
    ol_job *job;
    ol_model_spec spec;
    size_t reals;
    bool partial;
} origin;

static ol_status count_reals(const ol_archive *archive, size_t *reals)
{
    OL_AUTO(ol_strings_finish) ol_strings names = {0};

    OL_TRY(ol_archive_children(archive, "params", &names));
    for (size_t i = 0; i < names.n; i++) {
        char object[PATH_MAX];
        size_t n = 0;

        OL_TRY(ol_path_format(object, "params/%s", names.items[i]));
        OL_TRY(ol_archive_count(archive, object, &n));
        *reals += n;
    }
    return OL_OK;
}

static ol_status read_origin(const char *path, origin *o)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_checkpoint_open(path, &file));
    OL_TRY(ol_start_read_shape(ol_checkpoint_archive(file), path, &o->spec));
    OL_TRY(is_partial(file, &o->partial, NULL));
    OL_TRY(count_reals(ol_checkpoint_archive(file), &o->reals));
    return ol_start_job(file, path, &o->job);
}

/* Before there is memory for them: are the parameters that /model speaks of in the file? */
static ol_status check_reals(const char *path, const origin *o, const ol_model *model)
{
    size_t wanted = model->P;

    for (int i = 0; !o->partial && i < model->n_frozen; i++)
        wanted += model->frozen[i].size;
    OL_CHECK(model->lora || wanted <= o->reals, OL_EDATA,
             "%s: /model is of a model of %zu parameters, and /params holds %zu", path, wanted,
             o->reals);
    return OL_OK;
}

ol_status ol_snapshot_load(const char *path, ol_job **job, ol_model **model, ol_real **theta)
{
    char found[PATH_MAX];
    origin o = {0};
    ol_trained_spec trained;
    ol_status status;
    void *block;

    OL_TRY(ol_start_find(path, found));
    OL_CHECK(
        found[0], OL_EDATA,
        "%s: holds no checkpoint, and no model: that is a folder with config.json, or a GGUF file",
        path);
    status = read_origin(found, &o);
    *job = o.job; /* the caller's from now on */
    OL_TRY(status);
    trained = ol_job_trained(*job);
    trained.frozen_bf16 = false;
    OL_TRY(ol_model_create(&o.spec, &trained, model));
    OL_TRY(check_reals(found, &o, *model));
    *theta = malloc((*model)->P * sizeof **theta + 1);
    block = malloc((*model)->frozen_bytes + 1);
    (*model)->block = block;
    OL_CHECK(*theta && block, OL_ENOMEM, "%s: no memory for its model", found);
    return fill_from(found, (uint64_t)(*job)->seed, *model, 0, *theta, block);
}

ol_status ol_snapshot_start(const ol_job *job, const ol_model *model, ol_real *theta, void *block)
{
    return fill(job, model, 0, theta, block);
}

static ol_status read_mark(const ol_checkpoint *file, ol_run_mark *mark)
{
    const ol_archive *archive = ol_checkpoint_archive(file);

    mark->step = ol_checkpoint_head(file)->step;
    snprintf(mark->run_id, sizeof mark->run_id, "%s", ol_checkpoint_head(file)->run_id);
    OL_TRY(ol_archive_get_i64(archive, "/", "tokens", &mark->tokens));
    OL_TRY(ol_archive_get_f64(archive, "/", "seconds", &mark->seconds));
    return ol_archive_get_i64(archive, "/", "restarts", &mark->restarts);
}

/* Whose a checkpoint must be. */
typedef struct owner {
    const ol_job *job;
    const ol_model *model;
} owner;

/* An ol_checkpoint_test. */
static ol_status is_own(void *payload, const char *path, const ol_checkpoint *file)
{
    const owner *own = payload;

    OL_TRY(ol_start_check_shape(file, path, own->model));
    OL_TRY(ol_job_same_run(own->job, path, ol_checkpoint_head(file)->job,
                           strlen(ol_checkpoint_head(file)->job)));
    return check_frozen(file, path, own->model);
}

static ol_status read_state(const char *path, const ol_job *job, const ol_model *model,
                            ol_state *state, ol_run_mark *mark)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_checkpoint_open(path, &file));
    OL_TRY(read_part(file, model, job, OL_CHECKPOINT_PARAMS, state->theta));
    OL_TRY(read_part(file, model, job, OL_CHECKPOINT_M, state->m));
    OL_TRY(read_part(file, model, job, OL_CHECKPOINT_V, state->v));
    state->t = ol_checkpoint_head(file)->moments_step;
    return read_mark(file, mark);
}

/* Rank 0's part of resuming: find, check, read. */
static ol_status resume_here(const char *folder, const ol_job *job, const ol_model *model,
                             ol_state *state, ol_run_mark *mark, bool *found)
{
    owner own = {job, model};
    char path[PATH_MAX] = "";
    int64_t step;

    *found = false;
    if (!ol_path_is_folder(folder))
        return OL_OK;
    OL_TRY(ol_checkpoint_newest(folder, is_own, &own, path, &step));
    if (!path[0])
        return OL_OK;
    OL_TRY(read_state(path, job, model, state, mark));
    *found = true;
    ol_log_info("going on from %s (meta-step %lld of %d)", path, (long long)mark->step,
                job->train.steps);
    return OL_OK;
}

ol_status ol_snapshot_resume(ol_comm *comm, const char *folder, const ol_job *job,
                             const ol_model *model, const ol_shared_state *shared, ol_state *state,
                             ol_run_mark *mark, bool *found)
{
    const ol_learner_spec learner = ol_job_learner_spec(job);
    const size_t O = ol_learner_size(model, &learner);
    ol_status status = OL_OK;

    if (ol_comm_rank(comm) == 0)
        status = resume_here(folder, job, model, state, mark, found);
    OL_TRY(ol_comm_agree(comm, status));
    OL_TRY(ol_comm_broadcast(comm, found, sizeof *found, 0));
    if (!*found)
        return OL_OK;
    OL_TRY(ol_comm_broadcast(comm, mark, sizeof *mark, 0));
    OL_TRY(ol_comm_broadcast(comm, &state->t, sizeof state->t, 0));
    OL_TRY(ol_shared_state_spread(shared, state->theta, O));
    OL_TRY(ol_shared_state_spread(shared, state->m, O));
    return ol_shared_state_spread(shared, state->v, O);
}
