/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/model.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h" /* ol_rng_stream, ol_rng_normal */

enum { BLOCK_TENSORS = 12, OTHER_TENSORS = 4 };

/* GPT-2's initializer_range, and the width of the model it was chosen for. */
static const double GPT2_STD = 0.02, GPT2_WIDTH = 768;

/* Append a tensor to the table; cols 0 makes a vector. Returns its index. */
__attribute__((format(printf, 6, 7))) static int
add(ol_model *model, int rows, int cols, double init, double init_at, const char *format, ...)
{
    ol_param *param = &model->params[model->n_params];
    va_list args;

    *param = (ol_param){.offset = model->P,
                        .size = (size_t)rows * (size_t)(cols > 0 ? cols : 1),
                        .rows = rows,
                        .cols = cols,
                        .init = init,
                        .init_at = init_at};
    va_start(args, format);
    vsnprintf(param->name, sizeof param->name, format, args);
    va_end(args);
    model->P += param->size;
    return model->n_params++;
}

static double init_std(const ol_model_spec *spec)
{
    return spec->init_std > 0 ? spec->init_std : GPT2_STD * sqrt(GPT2_WIDTH / spec->width);
}

static ol_block_params add_block(ol_model *model, int l)
{
    const int C = model->spec.width, F = 4 * C;
    const double std = init_std(&model->spec), residual = std / sqrt(2.0 * model->spec.layers);
    ol_block_params b;

    b.ln_1_weight = add(model, C, 0, 0, 1, "h.%d.ln_1.weight", l);
    b.ln_1_bias = add(model, C, 0, 0, 0, "h.%d.ln_1.bias", l);
    b.attn_weight = add(model, C, 3 * C, std, 0, "h.%d.attn.c_attn.weight", l);
    b.attn_bias = add(model, 3 * C, 0, 0, 0, "h.%d.attn.c_attn.bias", l);
    b.proj_weight = add(model, C, C, residual, 0, "h.%d.attn.c_proj.weight", l);
    b.proj_bias = add(model, C, 0, 0, 0, "h.%d.attn.c_proj.bias", l);
    b.ln_2_weight = add(model, C, 0, 0, 1, "h.%d.ln_2.weight", l);
    b.ln_2_bias = add(model, C, 0, 0, 0, "h.%d.ln_2.bias", l);
    b.fc_weight = add(model, C, F, std, 0, "h.%d.mlp.c_fc.weight", l);
    b.fc_bias = add(model, F, 0, 0, 0, "h.%d.mlp.c_fc.bias", l);
    b.mlp_proj_weight = add(model, F, C, residual, 0, "h.%d.mlp.c_proj.weight", l);
    b.mlp_proj_bias = add(model, C, 0, 0, 0, "h.%d.mlp.c_proj.bias", l);
    return b;
}

static ol_status check_spec(const ol_model_spec *s)
{
    OL_CHECK(s->layers > 0 && s->heads > 0 && s->width > 0 && s->vocab > 0 && s->context > 1,
             OL_EUSAGE,
             "model: layers (%d), heads (%d), width (%d), vocab (%d) must be at least 1 and "
             "context (%d) at least 2",
             s->layers, s->heads, s->width, s->vocab, s->context);
    OL_CHECK(s->width % s->heads == 0, OL_EUSAGE,
             "model: width %d is not a multiple of heads %d; every head takes width/heads columns",
             s->width, s->heads);
    OL_CHECK(s->ln_eps > 0, OL_EUSAGE, "model: ln_eps must be positive, not %g", s->ln_eps);
    OL_CHECK((double)s->vocab * s->width < 2e9 && (double)s->width * s->width * 4 < 2e9, OL_EUSAGE,
             "model: a tensor of width %d and vocab %d has over 2^31 values; use a smaller model",
             s->width, s->vocab);
    return OL_OK;
}

ol_status ol_model_create(const ol_model_spec *spec, ol_model **out)
{
    const size_t room = OTHER_TENSORS + BLOCK_TENSORS * (size_t)spec->layers;
    ol_model *model;

    OL_TRY(check_spec(spec));
    model = calloc(1, sizeof *model);
    if (model) {
        model->spec = *spec;
        model->params = calloc(room, sizeof *model->params);
        model->blocks = calloc((size_t)spec->layers, sizeof *model->blocks);
    }
    if (!model || !model->params || !model->blocks) {
        ol_model_destroy(model);
        return ol_fail(OL_ENOMEM, "no memory for the table of %zu parameters", room);
    }
    model->wte = add(model, spec->vocab, spec->width, init_std(spec), 0, "wte.weight");
    model->wpe = add(model, spec->context, spec->width, init_std(spec), 0, "wpe.weight");
    for (int l = 0; l < spec->layers; l++)
        model->blocks[l] = add_block(model, l);
    model->ln_f_weight = add(model, spec->width, 0, 0, 1, "ln_f.weight");
    model->ln_f_bias = add(model, spec->width, 0, 0, 0, "ln_f.bias");
    assert((size_t)model->n_params == room);
    *out = model;
    return OL_OK;
}

void ol_model_destroy(ol_model *model)
{
    if (!model)
        return;
    free(model->params);
    free(model->blocks);
    free(model);
}

const ol_param *ol_model_param(const ol_model *model, const char *name)
{
    for (int i = 0; i < model->n_params; i++)
        if (strcmp(model->params[i].name, name) == 0)
            return &model->params[i];
    return NULL;
}

void ol_model_random(const ol_model *model, uint64_t seed, ol_real *theta)
{
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];
        ol_rng rng = ol_rng_stream(seed, OL_RNG_INIT, (uint32_t)i, 0);

        for (size_t j = 0; j < param->size; j++)
            theta[param->offset + j] =
                param->init > 0 ? (ol_real)(param->init_at + param->init * ol_rng_normal(&rng))
                                : (ol_real)param->init_at;
    }
}
