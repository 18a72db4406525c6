/* SPDX-License-Identifier: BSD-3-Clause */
/* Meta-SGD [Li et al. 2017]: maml with inner steps θ - α∘g whose rates α the outer loop learns too.
 *
 *   (1) θ_{k+1} = θ_k - α∘g_k
 *   (2) λ_k     = λ_{k+1} - H_k (α∘λ_{k+1}),  λ_K = ∇L_query(θ_K)
 *   (3) dq/dα   = Σ_k -g_k∘λ_{k+1}             summed over a tensor where it has one rate
 *
 * The Hessian product of (2) is the trajectory's, which all learners share. */
#include <stdio.h>

#include "inner.h"
#include "outerloop/meta/outer.h" /* ol_outer_adamw */

static const char *misfit(const ol_learner_spec *spec)
{
    return spec->inner == OL_SGD ? NULL
                                 : "meta-sgd learns the rates of inner SGD steps: set "
                                   "learner.inner.optimizer = \"sgd\"";
}

/* Rates of a tensor: none where the inner loop leaves it alone. */
static size_t rates_of(const ol_learner_spec *spec, const ol_param *param)
{
    if (!param->adapts)
        return 0;
    return spec->rates == OL_RATES_WEIGHT ? param->size : 1;
}

static int tensors(const ol_model *model, const ol_learner_spec *spec, ol_tensor *out)
{
    const bool each = spec->rates == OL_RATES_WEIGHT;
    size_t at = model->P;
    int n = 0;

    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];
        const size_t size = rates_of(spec, param);

        if (size == 0)
            continue;
        if (out) {
            out[n] = (ol_tensor){.offset = at,
                                 .size = size,
                                 .rows = each ? param->rows : 1,
                                 .cols = each ? param->cols : 0};
            snprintf(out[n].name, sizeof out[n].name, "rates.%.80s", param->name);
        }
        at += size;
        n++;
    }
    return n;
}

static size_t size(const ol_model *model, const ol_learner_spec *spec)
{
    size_t E = 0;

    for (int i = 0; i < model->n_params; i++)
        E += rates_of(spec, &model->params[i]);
    return E;
}

static void start(const ol_learner_spec *spec, size_t E, ol_real *rate)
{
    for (size_t i = 0; i < E; i++)
        rate[i] = (ol_real)spec->adam.lr;
}

static void step(const ol_model *model, const ol_learner_spec *spec, const ol_real *rate,
                 const ol_real *g, ol_real *x)
{
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];
        const size_t at = param->offset, n = param->size;

        if (!param->adapts)
            continue;
        if (spec->rates == OL_RATES_TENSOR)
            ol_vector_axpy(n, -*rate, g + at, x + at); /* (1) */
        else
            for (size_t j = 0; j < n; j++)
                x[at + j] -= rate[j] * g[at + j]; /* (1) */
        rate += rates_of(spec, param);
    }
}

static void pullback(const ol_model *model, const ol_learner_spec *spec, const ol_real *rate,
                     const ol_real *g, const ol_real *lx, ol_real *lg, ol_real *rate_bar)
{
    const size_t stride = spec->rates == OL_RATES_WEIGHT; /* 0: one rate for all of a tensor */

    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];
        const size_t at = param->offset, n = param->size;

        if (!param->adapts)
            continue;
        if (spec->rates == OL_RATES_TENSOR)
            *rate_bar -= (ol_real)ol_vector_dot(n, g + at, lx + at); /* (3) */
        else
            for (size_t j = 0; j < n; j++)
                rate_bar[j] -= g[at + j] * lx[at + j]; /* (3) */
        for (size_t j = 0; j < n && lg; j++)
            lg[at + j] = -rate[j * stride] * lx[at + j]; /* (2); lg may be g */
        rate += rates_of(spec, param);
        rate_bar += rates_of(spec, param);
    }
}

const ol_learner ol_learner_meta_sgd = {
    .name = "meta-sgd",
    .help = "maml whose inner SGD rates are learned too, one a tensor or one a weight",
    .inner_loop = true,
    .ordered = true,
    .demonstrations = true,
    .own = "rates",
    .misfit = misfit,
    .evaluations = ol_maml_evaluations,
    .declare = ol_inner_declare,
    .bytes = ol_inner_bytes,
    .episode = ol_maml_episode,
    .outer = ol_outer_adamw,
    .tensors = tensors,
    .size = size,
    .start = start,
    .step = step,
    .pullback = pullback,
};
