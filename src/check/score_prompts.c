/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/check/score_prompts.h"

#include <stdlib.h>
#include <unistd.h>

#include "outerloop/base/file.h"       /* ol_commit_file */
#include "outerloop/model/import.h"    /* ol_import_* */
#include "outerloop/model/objective.h" /* ol_objective_losses */
#include "outerloop/store/archive.h"   /* ol_archive_make */
#include "prompts_file.h"

/* What is scored, read and checked. */
typedef struct scoring {
    const ol_score_spec *spec;
    ol_model *model;
    ol_real *theta;
    void *block;
    ol_prompts_file file;
    double *losses;  /* [file.batch.B] */
    int32_t *picked; /* [file.rows]    */
} scoring;

static void finish(scoring *s)
{
    ol_model_destroy(s->model);
    ol_prompts_file_finish(&s->file);
    free(s->theta);
    free(s->block);
    free(s->losses);
    free(s->picked);
}

static ol_status allocate(scoring *s)
{
    s->theta = malloc(s->model->P * sizeof *s->theta + 1);
    s->block = malloc(s->model->frozen_bytes + 1);
    OL_CHECK(s->theta && s->block, OL_ENOMEM, "no memory for a model of %zu bytes",
             s->model->P * sizeof *s->theta + s->model->frozen_bytes);
    s->model->block = s->block;
    return OL_OK;
}

static ol_status read_folder(scoring *s)
{
    const ol_score_spec *spec = s->spec;
    OL_AUTO(ol_adapter_config_finish) ol_adapter_config adapter = {0};
    ol_trained_spec trained = {0};
    ol_model_spec shape;

    OL_TRY(ol_import_spec(spec->folder, &shape));
    if (spec->adapter) {
        OL_TRY(ol_import_adapter_config(spec->adapter, &adapter));
        trained = ol_adapter_trained(&adapter);
    }
    OL_TRY(ol_model_create(&shape, &trained, &s->model));
    OL_TRY(allocate(s));
    OL_TRY(ol_import_weights(spec->folder, s->model, s->theta, s->block));
    return spec->adapter ? ol_import_adapter(spec->adapter, s->model, s->theta) : OL_OK;
}

/* The float32 weights of the caller, as this build's reals: its tables are the same. */
static ol_status take_weights(scoring *s)
{
    const ol_model *from = s->spec->model;

    OL_TRY(ol_model_create(&from->spec, s->spec->trained, &s->model));
    OL_TRY(allocate(s));
    for (size_t i = 0; i < s->model->P; i++)
        s->theta[i] = (ol_real)s->spec->theta[i];
    for (int t = 0; t < s->model->n_frozen; t++) {
        const float *values = (const float *)((const char *)from->block + from->frozen[t].offset);

        for (size_t i = 0; i < s->model->frozen[t].size; i++)
            ol_frozen_put_part(&s->model->frozen[t], i, 1, &(ol_real){(ol_real)values[i]},
                               s->block);
    }
    return OL_OK;
}

static ol_status read_prompts(scoring *s)
{
    const ol_model_spec *m = &s->model->spec;

    OL_TRY(ol_prompts_file_read(s->spec->prompts, m->vocab, m->context, &s->file));
    s->picked = calloc((size_t)s->file.rows, sizeof *s->picked);
    s->losses = calloc((size_t)s->file.batch.B, sizeof *s->losses);
    OL_CHECK(s->picked && s->losses, OL_ENOMEM, "no memory for %d rows", s->file.rows);
    return OL_OK;
}

static ol_status score(scoring *s)
{
    ol_arena ws;
    int at = 0;

    OL_TRY(ol_arena_init(
        &ws, "scoring",
        ol_objective_bytes(s->model, ol_batch_extent(&s->file.batch), OL_LOSSES, false)));
    ol_objective_losses(s->model, &s->file.batch, s->theta, &ws, s->losses);
    ol_arena_finish(&ws);
    for (int r = 0; r < s->file.rows; at += s->file.options[r++])
        for (int i = 1; i < s->file.options[r]; i++)
            if (s->losses[at + i] < s->losses[at + s->picked[r]])
                s->picked[r] = i;
    return OL_OK;
}

static ol_status write_contents(const void *payload, ol_archive *file)
{
    const scoring *s = payload;
    const int64_t prompts = s->file.batch.B, rows = s->file.rows;

    OL_TRY(ol_archive_set_text(file, "/", "format", "outerloop-scores"));
    OL_TRY(ol_archive_set_i64(file, "/", "version", 1));
    OL_TRY(ol_archive_set_text(file, "/", "prompts", s->spec->prompts));
    OL_TRY(ol_archive_write(file, "option_losses", 1, &prompts, s->losses));
    return ol_archive_write(file, "picked", 1, &rows, s->picked);
}

ol_status ol_score_prompts(const ol_score_spec *spec, ol_score_report *report)
{
    OL_AUTO(finish) scoring s = {.spec = spec};

    OL_TRY(spec->folder ? read_folder(&s) : take_weights(&s));
    OL_TRY(read_prompts(&s));
    OL_TRY(score(&s));
    OL_TRY(ol_archive_make(spec->out, write_contents, &s));
    *report = (ol_score_report){.rows = s.file.rows, .prompts = s.file.batch.B};
    for (int b = 0; b < s.file.batch.B; b++)
        report->mean += s.losses[b] / s.file.batch.B;
    return OL_OK;
}
