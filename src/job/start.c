/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/job/start.h"

#include <stdio.h>
#include <string.h>

#include "outerloop/model/import.h" /* ol_import_spec */

int ol_start_notes(const ol_model *model, ol_checkpoint_note notes[OL_SHAPE_NOTES])
{
    int n = 0;

    notes[n++] = (ol_checkpoint_note){
        .name = "arch", .kind = OL_NOTE_TEXT, .text = ol_model_families[model->spec.family]};
    for (const ol_model_field *f = ol_model_fields; f->name; f++) {
        const double value = ol_model_field_get(&model->spec, f);

        notes[n++] =
            (ol_checkpoint_note){.name = f->name,
                                 .kind = f->kind == OL_FIELD_REAL ? OL_NOTE_F64 : OL_NOTE_I64,
                                 .i = (int64_t)value,
                                 .f = value};
    }
    notes[n++] = (ol_checkpoint_note){
        .name = "frozen_digest", .kind = OL_NOTE_TEXT, .text = model->block_digest};
    return n;
}

/* The shape that /model of a checkpoint tells. */
ol_status ol_start_read_shape(const ol_archive *archive, const char *path, ol_model_spec *spec)
{
    OL_AUTO_FREE char *arch = NULL;
    int64_t whole = 0;
    double value = 0;

    OL_TRY(ol_archive_get_text(archive, "/model", "arch", &arch));
    *spec = (ol_model_spec)OL_MODEL_SPEC_INIT;
    while (ol_model_families[spec->family] && strcmp(ol_model_families[spec->family], arch) != 0)
        spec->family++;
    OL_CHECK(ol_model_families[spec->family], OL_EDATA, "%s: arch of /model is not known", path);
    for (const ol_model_field *f = ol_model_fields; f->name; f++) {
        if (f->kind == OL_FIELD_REAL) {
            OL_TRY(ol_archive_get_f64(archive, "/model", f->name, &value));
        } else {
            OL_TRY(ol_archive_get_i64(archive, "/model", f->name, &whole));
            OL_CHECK(whole >= 0 && whole <= INT32_MAX, OL_EDATA, "%s: %s of /model is out of range",
                     path, f->name);
            value = (double)whole;
        }
        ol_model_field_set(spec, f, value);
    }
    return OL_OK;
}

/* A field as a checkpoint has it against ours; a difference is added to `differ`. */
static ol_status compare_field(const ol_model_field *f, const ol_model_spec *theirs,
                               const ol_model_spec *ours, ol_text *differ)
{
    const double there = ol_model_field_get(theirs, f), here = ol_model_field_get(ours, f);

    return there == here ? OL_OK
                         : ol_text_format(differ, "%s%s %.9g and not %.9g",
                                          differ->size ? ", " : "", f->name, there, here);
}

static ol_status compare_arch(const ol_model_spec *theirs, const ol_model_spec *ours,
                              ol_text *differ)
{
    return theirs->family == ours->family
               ? OL_OK
               : ol_text_format(differ, "arch %s and not %s", ol_model_families[theirs->family],
                                ol_model_families[ours->family]);
}

/* Fail where anything differs. */
static ol_status conclude_shape(const char *path, const ol_text *differ)
{
    OL_CHECK(differ->size == 0, OL_EUSAGE,
             "%s: its model is not this job's: %s there; make the keys of `model` (and "
             "the tokenizer) agree, or choose another checkpoint",
             path, differ->data);
    return OL_OK;
}

/* Compare /model of a checkpoint with a model; what differs is named. */
ol_status ol_start_check_shape(const ol_checkpoint *file, const char *path, const ol_model *model)
{
    OL_AUTO_TEXT differ = {0};
    ol_model_spec theirs;

    OL_TRY(ol_start_read_shape(ol_checkpoint_archive(file), path, &theirs));
    OL_TRY(compare_arch(&theirs, &model->spec, &differ));
    for (const ol_model_field *f = ol_model_fields; f->name; f++)
        OL_TRY(compare_field(f, &theirs, &model->spec, &differ));
    return conclude_shape(path, &differ);
}

ol_status ol_start_find(const char *path, char found[PATH_MAX])
{
    char folder[PATH_MAX];
    int64_t step;

    if (!ol_path_is_folder(path))
        return ol_path_format(found, "%s", path);
    OL_TRY(ol_path_format(folder, "%s/checkpoints", path));
    return ol_checkpoint_newest(ol_path_is_folder(folder) ? folder : path, NULL, NULL, found,
                                &step);
}

/* The checkpoint that model.path means. */
ol_status ol_start_path(const char *path, char found[PATH_MAX])
{
    OL_TRY(ol_start_find(path, found));
    OL_CHECK(found[0], OL_EDATA, "%s: no checkpoint is there (model.path)", path);
    return OL_OK;
}

/* The same, opened. *file is the caller's. */
static ol_status open_start(const char *path, char found[PATH_MAX], ol_checkpoint **file)
{
    OL_TRY(ol_start_path(path, found));
    return ol_checkpoint_open(found, file);
}

ol_status ol_start_job(const ol_checkpoint *file, const char *path, ol_job **job)
{
    const char *text = ol_checkpoint_head(file)->job;

    return ol_job_read_text(path, text, strlen(text), job);
}

/* The checkpoint's; what the job says of it must be the same. */
static ol_status shape_of_start(const ol_job *job, ol_model_spec *spec)
{
    const ol_model_spec *ours = &job->model.shape;
    char path[PATH_MAX], key[64];
    OL_AUTO_CHECKPOINT *file = NULL;
    OL_AUTO_TEXT differ = {0};

    OL_TRY(open_start(job->model.path, path, &file));
    OL_TRY(ol_start_read_shape(ol_checkpoint_archive(file), path, spec));
    if (!ol_job_is_preset(job, "model.arch"))
        OL_TRY(compare_arch(spec, ours, &differ));
    for (const ol_model_field *f = ol_model_fields; f->name; f++) {
        snprintf(key, sizeof key, "model.%s", f->name);
        if (!ol_job_is_preset(job, key))
            OL_TRY(compare_field(f, spec, ours, &differ));
    }
    spec->init_std = ours->init_std;
    return conclude_shape(path, &differ);
}

ol_status ol_start_shape(const ol_job *job, ol_model_spec *spec)
{
    *spec = job->model.shape;
    return job->model.init == OL_INIT_IMPORT       ? ol_import_spec(job->model.path, spec)
           : job->model.init == OL_INIT_CHECKPOINT ? shape_of_start(job, spec)
                                                   : OL_OK;
}

ol_status ol_start_name(const ol_job *job, char *name, size_t size)
{
    OL_AUTO_CHECKPOINT *file = NULL;
    OL_AUTO_JOB *made_by = NULL;
    char path[PATH_MAX];

    snprintf(name, size, "start");
    OL_TRY(open_start(job->model.path, path, &file));
    if (ol_start_job(file, path, &made_by) == OL_OK)
        snprintf(name, size, "%s", made_by->name);
    return OL_OK;
}
