/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/cost.h"

enum { BLOCK = 64 }; /* queries whose keys are multiplied together */

/* (1) */
static double maps(const ol_model *model, const ol_prompts_size *prompts)
{
    const ol_model_spec *m = &model->spec;
    const double n = (double)prompts->tokens, M = (double)prompts->scored;
    const double L = m->layers, C = m->width, V = m->vocab;
    const double HD = (double)m->heads * m->head_dim, GD = (double)m->kv_heads * m->head_dim;
    const double eF = (m->family == OL_GPT2 ? 2.0 : 3.0) * m->hidden;

    return 2 * C * ((L - 1) * (2 * HD + 2 * GD + eF) * n + 2 * GD * n + (2 * HD + eF) * M) +
           2 * C * V * M;
}

/* (2) */
static double attention(const ol_model *model, const ol_prompts_size *prompts)
{
    const ol_model_spec *m = &model->spec;
    const double pairs = (double)(prompts->squares + BLOCK * prompts->tokens) / 2;

    return 4.0 * m->heads * m->head_dim * ((m->layers - 1) * pairs + (double)prompts->seen);
}

/* s */
static double trained(const ol_model *model)
{
    double frozen = 0;

    for (int i = 0; i < model->n_frozen; i++)
        frozen += (double)model->frozen[i].size;
    return (double)model->P / ((double)model->P + frozen);
}

double ol_cost_losses(const ol_model *model, const ol_prompts_size *prompts)
{
    return maps(model, prompts) + attention(model, prompts); /* (3) */
}

double ol_cost_gradient(const ol_model *model, const ol_prompts_size *prompts)
{
    return (2 + trained(model)) * maps(model, prompts) + 3.5 * attention(model, prompts); /* (4) */
}

double ol_cost_product(const ol_model *model, const ol_prompts_size *prompts)
{
    return (2 + 4 * trained(model)) * maps(model, prompts) +
           8 * attention(model, prompts); /* (5) */
}

double ol_cost_again(const ol_model *model, const ol_prompts_size *prompts)
{
    return 2 * maps(model, prompts) + 3.5 * attention(model, prompts); /* (6) */
}
