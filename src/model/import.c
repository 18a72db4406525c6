/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"
#include "outerloop/base/file.h" /* ol_read_file */
#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/store/safetensors.h"

enum { PIECE = 4096, NAMED = 6 }; /* values read at a time; tensors named in a message */

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
    OL_TRY(ol_read_file(path, text, &size));
    if (strlen(*text) == size)
        return OL_OK;
    free(*text);
    return ol_fail(OL_EDATA, "%s: a NUL byte stands in it", path);
}

ol_status ol_import_spec(const char *folder, ol_model_spec *out)
{
    char path[PATH_MAX], *text = NULL;
    ol_status status;

    OL_TRY(read_text(folder, "config.json", path, &text));
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

/* A tensor of ours in the files, under its name, or with or without a base model's prefix. */
static const ol_safetensor *find(const ol_safetensors *files, const ol_model *model,
                                 const char *name)
{
    const ol_safetensor *t = ol_safetensors_find(files, name);
    char other[128];

    if (!t) {
        snprintf(other, sizeof other, "%s%s", ol_families[model->spec.family].hf_prefix, name);
        t = ol_safetensors_find(files, other);
    }
    return t || strncmp(name, "model.", 6) != 0 ? t : ol_safetensors_find(files, name + 6);
}

static ol_status check_shape(const char *folder, const ol_param *p, const ol_safetensor *t)
{
    const bool same = p->cols > 0 ? t->rank == 2 && t->dims[0] == p->rows && t->dims[1] == p->cols
                                  : t->rank == 1 && t->dims[0] == p->rows;
    ol_text shape = {0};
    ol_status status = OL_OK;

    for (int d = 0; d < t->rank && !same; d++)
        ol_text_format(&shape, "%s%lld", d > 0 ? "," : "", (long long)t->dims[d]);
    if (!same)
        status =
            ol_fail(OL_EDATA, "%s: %s is [%s]; config.json makes it [%d%s%.0d]", folder, t->name,
                    shape.data ? shape.data : "", p->rows, p->cols > 0 ? "," : "", p->cols);
    ol_text_finish(&shape);
    return status;
}

/* Values of a tensor as reals, to θ or into the block. */
static void read_values(const ol_param *p, const ol_safetensor *t, ol_real *theta, void *block)
{
    float piece[PIECE];
    ol_real reals[PIECE];

    for (size_t at = 0; at < p->size; at += PIECE) {
        const size_t n = p->size - at < PIECE ? p->size - at : PIECE;

        ol_safetensor_read(t, at, n, piece);
        for (size_t i = 0; i < n; i++)
            reals[i] = (ol_real)piece[i];
        if (theta)
            memcpy(theta + p->offset + at, reals, n * sizeof *reals);
        else
            ol_frozen_put_part(p, at, n, reals, block);
    }
}

/* Read the tensors of a table that are adapters, or those that are not. */
static ol_status read_table(const char *folder, const ol_safetensors *files, const ol_model *model,
                            const ol_param *table, int n, bool adapters, ol_real *theta,
                            void *block)
{
    listing missing = {0};

    for (int i = 0; i < n; i++) {
        const ol_param *p = &table[i];
        const ol_safetensor *t = is_adapter(p) == adapters ? find(files, model, p->name) : NULL;
        ol_status status = OL_OK;

        if (is_adapter(p) == adapters && !t)
            list(&missing, p->name);
        if (t)
            status = check_shape(folder, p, t);
        if (status != OL_OK)
            return report(&missing, status, folder, "");
        if (t && (theta || block))
            read_values(p, t, theta, block);
    }
    return report(&missing, OL_OK, folder, adapters ? "missing of the adapter" : "missing");
}

/* Tensors that older libraries stored and that are no weights. */
static bool is_ignored(const ol_model *model, const char *name)
{
    static const char *const ends[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n > strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return model->spec.tied && strcmp(name, "lm_head.weight") == 0;
}

static bool is_wanted(const ol_safetensors *files, const ol_model *model, const ol_safetensor *t)
{
    for (int i = 0; i < model->n_params; i++)
        if (find(files, model, model->params[i].name) == t)
            return true;
    for (int i = 0; i < model->n_frozen; i++)
        if (find(files, model, model->frozen[i].name) == t)
            return true;
    return false;
}

static ol_status check_extra(const char *folder, const ol_safetensors *files, const ol_model *model)
{
    listing extra = {0};

    for (size_t i = 0; i < ol_safetensors_count(files); i++) {
        const ol_safetensor *t = ol_safetensors_at(files, i);

        if (!is_wanted(files, model, t) && !is_ignored(model, t->name))
            list(&extra, t->name);
    }
    return report(&extra, OL_OK, folder, "that the model does not have");
}

static ol_status read_files(const char *folder, const ol_safetensors *files, const ol_model *model,
                            bool adapters, ol_real *theta, void *block)
{
    OL_TRY(check_extra(folder, files, model));
    OL_TRY(read_table(folder, files, model, model->params, model->n_params, adapters, theta, NULL));
    return read_table(folder, files, model, model->frozen, model->n_frozen, adapters, NULL, block);
}

ol_status ol_import_weights(const char *folder, const ol_model *model, ol_real *theta, void *block)
{
    ol_safetensors *files = NULL;
    ol_status status;

    OL_TRY(ol_safetensors_open(folder, "model", &files));
    status = read_files(folder, files, model, false, theta, block);
    ol_safetensors_close(files);
    return status;
}

ol_status ol_import_adapter(const char *folder, const ol_model *model, ol_real *theta)
{
    ol_safetensors *files = NULL;
    ol_status status;

    OL_TRY(ol_safetensors_open(folder, "adapter_model", &files));
    status = read_files(folder, files, model, true, theta, NULL);
    ol_safetensors_close(files);
    return status;
}
