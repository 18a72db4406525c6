/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/text.h"    /* ol_text           */
#include "outerloop/job/start.h"    /* ol_start_notes */
#include "outerloop/model/import.h" /* ol_import_weights */
#include "outerloop/package/package.h"
#include "outerloop/record/snapshot.h" /* ol_snapshot_tensors */

/* The last part of a path, of such characters as names of jobs have. */
static ol_status put_name(const char *path, ol_text *out)
{
    size_t end = strlen(path), begin;

    while (end > 1 && path[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';)
        begin--;
    for (size_t i = begin; i < end; i++) {
        const bool usable = isalnum((unsigned char)path[i]) || strchr("._-", path[i]);

        OL_TRY(ol_text_append(out, usable ? &path[i] : "-", 1));
    }
    return OL_OK;
}

/* One key of the shape, in libconfig's words. */
static ol_status put_field(const ol_model_spec *spec, const ol_model_field *f, ol_text *out)
{
    const double value = ol_model_field_get(spec, f);
    char number[32];

    if (strcmp(f->name, "rope_scaling") == 0)
        return ol_text_format(out, "  rope_scaling = \"%s\";\n", ol_rope_scalings[(int)value]);
    if (f->kind == OL_FIELD_BOOL)
        return ol_text_format(out, "  %s = %s;\n", f->name, value != 0 ? "true" : "false");
    if (f->kind == OL_FIELD_INT)
        return ol_text_format(out, "  %s = %d;\n", f->name, (int)value);
    snprintf(number, sizeof number, "%.17g", value);
    return ol_text_format(out, "  %s = %s%s;\n", f->name, number,
                          strpbrk(number, ".e") ? "" : ".0");
}

/* The job of a checkpoint that no job made: a model of that shape, and prompts that it can take. */
static ol_status put_job(const char *from, const ol_model_spec *spec, ol_text *out)
{
    const int most = spec->context < 1024 ? spec->context : 1024;

    OL_TRY(ol_text_format(out, "name = \""));
    OL_TRY(put_name(from, out));
    OL_TRY(
        ol_text_format(out, "\";\nmodel = {\n  arch = \"%s\";\n", ol_model_families[spec->family]));
    for (const ol_model_field *f = ol_model_fields; f->name; f++)
        OL_TRY(put_field(spec, f, out));
    return ol_text_format(out, "};\ndata = { max_tokens = %d; max_tokens_per_example = %d; };\n",
                          most, most < 256 ? most : 256);
}

static ol_status write_model(const char *from, const char *out, const ol_model *model, float *theta,
                             const char *job, const ol_package *package)
{
    const ol_checkpoint_note notes[] = {
        {.name = "origin", .kind = OL_NOTE_TEXT, .text = from},
        {.name = "tokens", .kind = OL_NOTE_I64},
        {.name = "seconds", .kind = OL_NOTE_F64},
        {.name = "restarts", .kind = OL_NOTE_I64},
    };
    ol_checkpoint_note shape[OL_SHAPE_NOTES];
    OL_AUTO_FREE ol_checkpoint_tensor *placed = NULL;
    OL_AUTO_FREE ol_tensor *tensors = NULL;
    ol_checkpoint_spec spec = {.rng = ol_snapshot_rng,
                               .job = job,
                               .model = shape,
                               .n_model = ol_start_notes(model, shape),
                               .notes = notes,
                               .n_notes = sizeof notes / sizeof *notes,
                               .files = package->files,
                               .n_files = package->n};
    char run_id[OL_RUN_ID_TEXT];

    OL_TRY(ol_snapshot_tensors(model, NULL, &(ol_state){.theta = theta}, &tensors, &placed,
                               &spec.n_tensors));
    ol_run_id_make("import", run_id);
    spec.run_id = run_id;
    spec.tensors = placed;
    return ol_checkpoint_write_as(out, &spec);
}

/* Everything of the source, then the file. */
static ol_status convert(const char *from, const char *out, const ol_model *model, float *theta)
{
    OL_AUTO(ol_package_finish) ol_package package = {0};
    OL_AUTO_TEXT text = {0};
    OL_AUTO_JOB *job = NULL;

    OL_CHECK(theta, OL_ENOMEM, "%s: no memory for a model of %zu values", from, model->P);
    OL_TRY(put_job(from, &model->spec, &text));
    /* a shape that no job can have is refused before any work */
    OL_TRY(ol_job_read_text(from, text.data, text.size, &job));
    OL_TRY(ol_package_read(from, &package));
    OL_TRY(ol_import_weights(from, model, theta, NULL));
    return write_model(from, out, model, theta, text.data, &package);
}

ol_status ol_package_import(const char *from, const char *out, size_t *params)
{
    ol_model_spec spec;
    ol_model *model = NULL;
    OL_AUTO_FREE float *theta = NULL;
    ol_status status;

    OL_CHECK(ol_import_is_model(from), OL_EDATA,
             "%s: is no model: a folder with config.json and model.safetensors, or a GGUF file, is "
             "wanted",
             from);
    OL_TRY(ol_import_spec(from, &spec));
    OL_TRY(ol_model_create(&spec, NULL, &model));
    *params = model->P;
    theta = malloc(model->P * sizeof *theta);
    status = convert(from, out, model, theta);
    ol_model_destroy(model);
    return status;
}
