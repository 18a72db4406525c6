/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"
#include "outerloop/base/file.h" /* ol_path_is_folder */

enum { PIECE = 4096 }; /* values read at a time */

ol_status ol_source_open(const char *path, const char *name, ol_source *out)
{
    *out = (ol_source){.path = path};
    if (ol_path_is_folder(path)) {
        OL_TRY(ol_safetensors_open(path, name, &out->files));
        out->list = ol_safetensors_list(out->files);
    } else {
        OL_TRY(ol_gguf_open(path, &out->gguf));
        out->list = ol_gguf_tensors(out->gguf);
    }
    return OL_OK;
}

void ol_source_close(ol_source *source)
{
    ol_safetensors_close(source->files);
    ol_gguf_close(source->gguf);
    *source = (ol_source){0};
}

const ol_stored *ol_source_find(const ol_source *source, int family, const ol_param *param,
                                ol_lie *lie)
{
    const char *prefix = "model.";
    const ol_stored *t;
    char other[128];

    *lie = OL_LIE_PLAIN;
    if (source->gguf)
        return ol_gguf_name(family, param, other, lie) ? ol_stored_find(source->list, other) : NULL;
    t = ol_stored_find(source->list, param->name);
    if (!t) {
        snprintf(other, sizeof other, "%s%s", ol_families[family].hf_prefix, param->name);
        t = ol_stored_find(source->list, other);
    }
    return t || strncmp(param->name, prefix, strlen(prefix)) != 0
               ? t
               : ol_stored_find(source->list, param->name + strlen(prefix));
}

/* Tensors that older libraries stored and that are no weights. */
static bool is_buffer(const char *name)
{
    static const char *const ends[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n > strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

bool ol_source_passes_over(const ol_source *source, const ol_model_spec *spec, const char *name)
{
    if (source->gguf)
        return ol_gguf_passes_over(spec, name);
    return is_buffer(name) || (spec->tied && strcmp(name, "lm_head.weight") == 0);
}

/* Where in the file our row r of heads of D rows is. */
static size_t paired_row(size_t r, size_t D)
{
    const size_t in_head = r % D;

    return r - in_head + 2 * (in_head % (D / 2)) + in_head / (D / 2);
}

/* All values at once, in our order: out [rows,cols]. */
static void arrange(const ol_stored *t, ol_lie lie, const ol_model_spec *spec, const ol_param *p,
                    float *row, float *out)
{
    const size_t rows = (size_t)p->rows, cols = (size_t)p->cols;

    for (size_t r = 0; r < rows && lie == OL_LIE_PAIRED; r++)
        ol_stored_read(t, paired_row(r, (size_t)spec->head_dim) * cols, cols, out + r * cols);
    for (size_t c = 0; c < cols && lie == OL_LIE_TURNED; c++) {
        ol_stored_read(t, c * rows, rows, row);
        for (size_t r = 0; r < rows; r++)
            out[r * cols + c] = row[r];
    }
}

static ol_status read_arranged(const ol_stored *t, ol_lie lie, const ol_model_spec *spec,
                               const ol_param *p, ol_source_sink *sink, void *payload)
{
    float *values = malloc(p->size * sizeof *values);
    float *row = malloc((size_t)p->rows * sizeof *row);

    if (values && row) {
        arrange(t, lie, spec, p, row, values);
        sink(payload, p, 0, p->size, values);
    }
    free(row);
    free(values);
    OL_CHECK(values && row, OL_ENOMEM, "no memory for %s", p->name);
    return OL_OK;
}

ol_status ol_source_read(const ol_stored *tensor, ol_lie lie, const ol_model_spec *spec,
                         const ol_param *param, ol_source_sink *sink, void *payload)
{
    float piece[PIECE];

    if (lie != OL_LIE_PLAIN)
        return read_arranged(tensor, lie, spec, param, sink, payload);
    for (size_t at = 0; at < param->size; at += PIECE) {
        const size_t n = param->size - at < PIECE ? param->size - at : PIECE;

        ol_stored_read(tensor, at, n, piece);
        sink(payload, param, at, n, piece);
    }
    return OL_OK;
}
