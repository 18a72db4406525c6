/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h" /* ol_read_file */
#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/model/config.h"
#include "source.h"

enum { PIECE = 4096, NAMED = 12 }; /* values stored at a time; tensors named in a message */

/* Tensors that are listed in a message. */
typedef struct listing {
    ol_text text;
    int n;
} listing;

static void list(listing *l, const char *name)
{
    if (l->n++ < NAMED)
        ol_text_format(&l->text, "%s%s", l->n > 1 ? ", " : "", name);
}

static ol_status report(listing *l, ol_status status, const char *folder, const char *what)
{
    if (status == OL_OK && l->n > 0)
        status = ol_fail(OL_EDATA, "%s: %d tensor%s %s: %s%s", folder, l->n, l->n > 1 ? "s" : "",
                         what, l->text.data ? l->text.data : "?", l->n > NAMED ? ", ..." : "");
    ol_text_finish(&l->text);
    return status;
}

static ol_status read_text(const char *folder, const char *file, char path[PATH_MAX], char **text)
{
    size_t size;

    OL_TRY(ol_path_format(path, "%s/%s", folder, file));
    OL_TRY(ol_read_file_within(path, OL_SETTINGS_BYTES, text, &size));
    if (strlen(*text) == size)
        return OL_OK;
    free(*text);
    return ol_fail(OL_EDATA, "%s: a NUL byte stands in it", path);
}

bool ol_import_is_model(const char *path)
{
    char config[PATH_MAX];

    return ol_path_is_folder(path)
               ? ol_path_format(config, "%s/config.json", path) == OL_OK && ol_path_exists(config)
               : ol_gguf_is_one(path);
}

static ol_status gguf_spec(const char *path, ol_model_spec *out)
{
    ol_gguf *file = NULL;
    ol_status status;

    OL_TRY(ol_gguf_open(path, &file));
    status = ol_gguf_read_spec(file, out);
    ol_gguf_close(file);
    return status;
}

ol_status ol_import_spec(const char *from, ol_model_spec *out)
{
    char path[PATH_MAX], *text = NULL;
    ol_status status;

    if (ol_path_exists(from) && !ol_path_is_folder(from))
        return gguf_spec(from, out);
    OL_TRY(read_text(from, "config.json", path, &text));
    status = ol_config_read_model(path, text, out);
    free(text);
    return status;
}

ol_status ol_import_adapter_config(const char *folder, ol_adapter_config *out)
{
    char path[PATH_MAX], *text = NULL;
    ol_status status;

    *out = (ol_adapter_config){0};
    OL_TRY(read_text(folder, "adapter_config.json", path, &text));
    status = ol_config_read_adapter(path, text, out);
    free(text);
    return status;
}

static bool is_adapter(const ol_param *p)
{
    return strstr(p->name, ".lora_") != NULL;
}

/* Where values go: to θ or into the block. */
typedef struct target {
    ol_real *theta;
    void *block;
} target;

static void put(void *payload, const ol_param *p, size_t at, size_t n, const float *values)
{
    const target *to = payload;
    ol_real reals[PIECE];

    for (size_t done = 0; done < n; done += PIECE) {
        const size_t m = n - done < PIECE ? n - done : PIECE;

        for (size_t i = 0; i < m; i++)
            reals[i] = (ol_real)values[done + i];
        if (to->theta)
            memcpy(to->theta + p->offset + at + done, reals, m * sizeof *reals);
        else
            ol_frozen_put_part(p, at + done, m, reals, to->block);
    }
}

static ol_status check_stored(const char *path, const ol_param *p, const ol_stored *t, ol_lie lie)
{
    const int rows = lie == OL_LIE_TURNED ? p->cols : p->rows;
    const int cols = lie == OL_LIE_TURNED ? p->rows : p->cols;
    const bool same = cols > 0 ? t->rank == 2 && t->dims[0] == rows && t->dims[1] == cols
                               : t->rank == 1 && t->dims[0] == rows;
    ol_text shape = {0};
    ol_status status = OL_OK;

    OL_CHECK(ol_stored_is_read(t->type), OL_EDATA, "%s: %s: dtype %s; F32, F16 and BF16 are read",
             path, t->name, ol_stored_word(t->type));
    for (int d = 0; d < t->rank && !same; d++)
        ol_text_format(&shape, "%s%lld", d > 0 ? "," : "", (long long)t->dims[d]);
    if (!same)
        status = ol_fail(OL_EDATA, "%s: %s is [%s]; the model's settings make it [%d%s%.0d]", path,
                         t->name, shape.data ? shape.data : "", rows, cols > 0 ? "," : "", cols);
    ol_text_finish(&shape);
    return status;
}

/* Read the tensors of a table that are adapters, or those that are not; list those that are not
 * there. */
static ol_status read_table(const ol_source *source, const ol_model *model, const ol_param *table,
                            int n, bool adapters, target to, listing *missing)
{
    for (int i = 0; i < n; i++) {
        const ol_param *p = &table[i];
        ol_lie lie = OL_LIE_PLAIN;
        const ol_stored *t;

        if (is_adapter(p) != adapters)
            continue;
        t = ol_source_find(source, model->spec.family, p, &lie);
        if (!t)
            list(missing, p->name);
        else
            OL_TRY(check_stored(source->path, p, t, lie));
        if (t && (to.theta || to.block))
            OL_TRY(ol_source_read(t, lie, &model->spec, p, put, &to));
    }
    return OL_OK;
}

static void mark(const ol_source *source, const ol_model *model, const ol_param *table, int n,
                 bool *wanted)
{
    ol_lie lie;

    for (int i = 0; i < n; i++) {
        const ol_stored *t = ol_source_find(source, model->spec.family, &table[i], &lie);

        if (t)
            wanted[t - source->list->items] = true;
    }
}

static ol_status check_extra(const ol_source *source, const ol_model *model)
{
    bool *wanted = calloc(source->list->n + 1, sizeof *wanted);
    listing extra = {0};

    OL_CHECK(wanted, OL_ENOMEM, "%s: no memory for a list of %zu tensors", source->path,
             source->list->n);
    mark(source, model, model->params, model->n_params, wanted);
    mark(source, model, model->frozen, model->n_frozen, wanted);
    for (size_t i = 0; i < source->list->n; i++) {
        const char *name = source->list->items[i].name;

        if (!wanted[i] && !ol_source_passes_over(source, &model->spec, name))
            list(&extra, name);
    }
    free(wanted);
    return report(&extra, OL_OK, source->path, "that the model does not have");
}

/* Is everything there, and nothing else? Then read it. */
static ol_status read_source(const char *path, const char *name, const ol_model *model,
                             bool adapters, target to)
{
    const target theta = {.theta = to.theta}, block = {.block = to.block};
    ol_source source = {0};
    listing missing = {0};
    ol_status status = ol_source_open(path, name, &source);

    if (status == OL_OK)
        status = check_extra(&source, model);
    if (status == OL_OK)
        status =
            read_table(&source, model, model->params, model->n_params, adapters, theta, &missing);
    if (status == OL_OK)
        status =
            read_table(&source, model, model->frozen, model->n_frozen, adapters, block, &missing);
    ol_source_close(&source);
    return report(&missing, status, path, adapters ? "missing of the adapter" : "missing");
}

ol_status ol_import_weights(const char *path, const ol_model *model, ol_real *theta, void *block)
{
    return read_source(path, "model", model, false, (target){theta, block});
}

ol_status ol_import_adapter(const char *folder, const ol_model *model, ol_real *theta)
{
    OL_CHECK(ol_path_is_folder(folder), OL_EDATA, "%s: an adapter is a folder as peft saves it",
             folder);
    return read_source(folder, "adapter_model", model, true, (target){theta, NULL});
}
