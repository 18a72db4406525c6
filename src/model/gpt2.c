/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpt2.h"

#include <string.h>

#include "outerloop/kernel/attention.h"     /* ol_attention_forward, ol_attention_backward */
#include "outerloop/kernel/cross_entropy.h" /* ol_cross_entropy_* */
#include "outerloop/kernel/embedding.h"     /* ol_embedding_*, ol_rows_* */
#include "outerloop/kernel/gelu.h"          /* ol_gelu_* */
#include "outerloop/kernel/layernorm.h"     /* ol_layernorm_* */
#include "outerloop/kernel/linear.h"        /* ol_linear_* */

/* The parts of one block that a walk works on. */
typedef struct block {
    const ol_block_params *params;
    const ol_block_buffers *value, *dot, *bar, *bar_dot; /* NULL when there are none */
    ol_dual in, in_bar;                                  /* [n,C] */
    int n, m, C;
    bool last;
    int ldq, ldkv;
    int l;
} block;

static ol_dual tensor(ol_dual flat, const ol_model *model, int index)
{
    return ol_dual_at(flat, model->params[index].offset);
}

/* A field of the value buffers and of the tangent buffers, as a dual. */
#define ACTIVATION(b, field)                                                                       \
    ((ol_dual){(b)->value ? (b)->value->field : NULL, (b)->dot ? (b)->dot->field : NULL})
#define ADJOINT(b, field)                                                                          \
    ((ol_dual){(b)->bar ? (b)->bar->field : NULL, (b)->bar_dot ? (b)->bar_dot->field : NULL})

static const ol_block_buffers *block_of(const ol_buffers *buffers, int l)
{
    return buffers->blocks ? &buffers->blocks[l] : NULL;
}

static block block_at(const ol_walk *w, int l)
{
    const int C = w->model->spec.width;
    block b = {.params = &w->model->blocks[l],
               .value = block_of(&w->value, l),
               .dot = block_of(&w->dot, l),
               .bar = block_of(&w->bar, l),
               .bar_dot = block_of(&w->bar_dot, l),
               .n = w->chunk->n,
               .C = C,
               .last = l == w->model->spec.layers - 1,
               .l = l};

    b.m = b.last ? w->chunk->M : b.n;
    b.ldq = b.last ? C : 3 * C;
    b.ldkv = b.last ? 2 * C : 3 * C;
    if (l == 0) {
        b.in = (ol_dual){w->value.embed, w->dot.embed};
        b.in_bar = (ol_dual){w->bar.embed, w->bar_dot.embed};
    } else {
        const block before = {.value = block_of(&w->value, l - 1),
                              .dot = block_of(&w->dot, l - 1),
                              .bar = block_of(&w->bar, l - 1),
                              .bar_dot = block_of(&w->bar_dot, l - 1)};

        b.in = ACTIVATION(&before, out);
        b.in_bar = ADJOINT(&before, out);
    }
    return b;
}

static ol_attention_dim attention_dim(const ol_walk *w, const block *b)
{
    const ol_chunk *c = w->chunk;

    return (ol_attention_dim){.H = w->model->spec.heads,
                              .D = b->C / w->model->spec.heads,
                              .B = c->B,
                              .key_start = c->start,
                              .query_start = b->last ? c->scored_start : c->start,
                              .position = b->last ? c->row_position : c->position,
                              .ldq = b->ldq,
                              .ldkv = b->ldkv};
}

static ol_attention_io attention_io(const ol_walk *w, const block *b)
{
    const ol_dual kv = ACTIVATION(b, kv);

    return (ol_attention_io){.q = ACTIVATION(b, q),
                             .k = kv,
                             .v = ol_dual_at(kv, (size_t)b->C),
                             .lse = w->statistics->lse[b->l]};
}

/* Attention of prompts that share rows: the keys and values of a prompt are brought together in
 * order of position. Those it shares stand there from the prompt before. */
static void attend_shared(const ol_walk *w, const block *b)
{
    const ol_chunk *c = w->chunk;
    const size_t pair = 2 * (size_t)b->C;
    const ol_real *kv = ACTIVATION(b, kv).v;
    ol_attention_dim dim = attention_dim(w, b);
    ol_attention_io io = attention_io(w, b);
    const int *query_start = dim.query_start;
    int keys[2] = {0};

    io.k = (ol_dual){w->path_kv, NULL};
    io.v = (ol_dual){w->path_kv + b->C, NULL};
    dim.B = 1;
    dim.ldkv = 2 * b->C;
    dim.key_start = keys;
    for (int p = 0; p < c->B; p++) {
        for (int i = c->start[p]; i < c->start[p + 1]; i++)
            memcpy(w->path_kv + (size_t)c->position[i] * pair, kv + (size_t)i * (size_t)b->ldkv,
                   pair * sizeof *kv);
        dim.query_start = query_start + p;
        ol_attention_forward(OL_PRIMAL, dim, io, ACTIVATION(b, att), w->scratch);
    }
}

static void attend(ol_pass pass, const ol_walk *w, const block *b)
{
    if (w->chunk->shared)
        attend_shared(w, b);
    else
        ol_attention_forward(pass, attention_dim(w, b), attention_io(w, b), ACTIVATION(b, att),
                             w->scratch);
}

/* q, k and v from norm1: one product, or two in the last block, whose queries are few. */
static void project_qkv(ol_pass pass, const ol_walk *w, const block *b)
{
    const ol_dual weight = tensor(w->theta, w->model, b->params->attn_weight);
    const ol_dual bias = tensor(w->theta, w->model, b->params->attn_bias);
    const ol_dual norm1 = ACTIVATION(b, norm1), picked = ACTIVATION(b, picked);
    const int C = b->C;

    if (!b->last) {
        ol_linear_forward(pass, (ol_linear_dim){b->n, C, 3 * C, 3 * C, 3 * C}, norm1, weight, bias,
                          ACTIVATION(b, q));
        return;
    }
    ol_rows_gather(pass, b->m, C, w->chunk->row, norm1, picked);
    ol_linear_forward(pass, (ol_linear_dim){b->m, C, C, 3 * C, C}, picked, weight, bias,
                      ACTIVATION(b, q));
    ol_linear_forward(pass, (ol_linear_dim){b->n, C, 2 * C, 3 * C, 2 * C}, norm1,
                      ol_dual_at(weight, (size_t)C), ol_dual_at(bias, (size_t)C),
                      ACTIVATION(b, kv));
}

static void add_into(ol_pass pass, size_t n, ol_dual x, ol_dual y)
{
    if (pass & OL_PRIMAL)
        for (size_t i = 0; i < n; i++)
            y.v[i] += x.v[i];
    if (pass & OL_TANGENT)
        for (size_t i = 0; i < n; i++)
            y.dot[i] += x.dot[i];
}

/* y += the rows of x that the block's m rows are. */
static void add_residual(ol_pass pass, const ol_walk *w, const block *b, ol_dual x, ol_dual y)
{
    if (!b->last) {
        add_into(pass, (size_t)b->n * (size_t)b->C, x, y);
        return;
    }
    for (int i = 0; i < b->m; i++)
        add_into(pass, (size_t)b->C, ol_dual_at(x, (size_t)w->chunk->row[i] * (size_t)b->C),
                 ol_dual_at(y, (size_t)i * (size_t)b->C));
}

static void forward_block(ol_pass pass, const ol_walk *w, const block *b)
{
    const ol_model *model = w->model;
    const ol_block_params *p = b->params;
    const ol_statistics *s = w->statistics;
    const int C = b->C, F = 4 * C, m = b->m;
    const double eps = model->spec.ln_eps;
    const ol_dual mid = ACTIVATION(b, mid), out = ACTIVATION(b, out);

    ol_layernorm_forward(pass, (ol_layernorm_dim){b->n, C, eps}, b->in,
                         tensor(w->theta, model, p->ln_1_weight),
                         tensor(w->theta, model, p->ln_1_bias), s->mean1[b->l], s->rstd1[b->l],
                         ACTIVATION(b, norm1));
    project_qkv(pass, w, b);
    attend(pass, w, b);
    ol_linear_forward(pass, (ol_linear_dim){m, C, C, C, C}, ACTIVATION(b, att),
                      tensor(w->theta, model, p->proj_weight),
                      tensor(w->theta, model, p->proj_bias), mid);
    add_residual(pass, w, b, b->in, mid);
    ol_layernorm_forward(pass, (ol_layernorm_dim){m, C, eps}, mid,
                         tensor(w->theta, model, p->ln_2_weight),
                         tensor(w->theta, model, p->ln_2_bias), s->mean2[b->l], s->rstd2[b->l],
                         ACTIVATION(b, norm2));
    ol_linear_forward(pass, (ol_linear_dim){m, C, F, F, F}, ACTIVATION(b, norm2),
                      tensor(w->theta, model, p->fc_weight), tensor(w->theta, model, p->fc_bias),
                      ACTIVATION(b, fc));
    /* act is shared by the blocks: a tangent pass alone finds another block's there. */
    ol_gelu_forward(pass | OL_PRIMAL, (size_t)m * (size_t)F, ACTIVATION(b, fc), ACTIVATION(b, act));
    ol_linear_forward(pass, (ol_linear_dim){m, F, C, C, C}, ACTIVATION(b, act),
                      tensor(w->theta, model, p->mlp_proj_weight),
                      tensor(w->theta, model, p->mlp_proj_bias), out);
    add_into(pass, (size_t)m * (size_t)C, mid, out);
}

/* The output of the last block and the final LayerNorm's place in it. */
static void final_norm(ol_pass pass, const ol_walk *w)
{
    const ol_model *model = w->model;
    const block last = block_at(w, model->spec.layers - 1);

    ol_layernorm_forward(pass, (ol_layernorm_dim){w->chunk->M, last.C, model->spec.ln_eps},
                         ACTIVATION(&last, out), tensor(w->theta, model, model->ln_f_weight),
                         tensor(w->theta, model, model->ln_f_bias), w->statistics->mean_f,
                         w->statistics->rstd_f, (ol_dual){w->value.hidden, w->dot.hidden});
}

void ol_walk_forward(ol_pass pass, const ol_walk *w)
{
    const ol_chunk *c = w->chunk;

    ol_embedding_forward(pass, c->n, w->model->spec.width, c->token, c->position,
                         tensor(w->theta, w->model, w->model->wte),
                         tensor(w->theta, w->model, w->model->wpe),
                         (ol_dual){w->value.embed, w->dot.embed});
    for (int l = 0; l < w->model->spec.layers; l++) {
        const block b = block_at(w, l);

        forward_block(pass, w, &b);
    }
    final_norm(pass, w);
}

static ol_cross_entropy_dim head_dim(const ol_walk *w)
{
    return (ol_cross_entropy_dim){w->chunk->M, w->model->spec.width, w->model->spec.vocab};
}

void ol_walk_losses(const ol_walk *w)
{
    ol_cross_entropy_loss(head_dim(w), w->value.hidden, tensor(w->theta, w->model, w->model->wte).v,
                          w->chunk->target, w->chunk->loss, w->scratch);
}

static void copy(ol_pass pass, size_t n, ol_dual x, ol_dual y)
{
    if (pass & OL_PRIMAL)
        memcpy(y.v, x.v, n * sizeof *y.v);
    if (pass & OL_TANGENT)
        memcpy(y.dot, x.dot, n * sizeof *y.dot);
}

static void zero(ol_pass pass, size_t n, ol_dual x)
{
    if (pass & OL_PRIMAL)
        memset(x.v, 0, n * sizeof *x.v);
    if (pass & OL_TANGENT)
        memset(x.dot, 0, n * sizeof *x.dot);
}

/* norm1_bar from q_bar and kv_bar, and the adjoints of the projection. */
static void project_qkv_backward(ol_pass pass, const ol_walk *w, const block *b)
{
    const ol_model *model = w->model;
    const size_t C = (size_t)b->C;
    const int c = b->C;
    const ol_dual weight = tensor(w->theta, model, b->params->attn_weight);
    const ol_dual weight_bar = tensor(w->theta_bar, model, b->params->attn_weight);
    const ol_dual bias_bar = tensor(w->theta_bar, model, b->params->attn_bias);
    const ol_dual norm1 = ACTIVATION(b, norm1), norm1_bar = ADJOINT(b, norm1);
    const ol_dual picked_bar = ADJOINT(b, picked);

    if (!b->last) {
        ol_linear_backward(pass, (ol_linear_dim){b->n, c, 3 * c, 3 * c, 3 * c}, norm1, weight,
                           ADJOINT(b, q), false, norm1_bar, weight_bar, bias_bar);
        return;
    }
    ol_linear_backward(pass, (ol_linear_dim){b->n, c, 2 * c, 3 * c, 2 * c}, norm1,
                       ol_dual_at(weight, C), ADJOINT(b, kv), false, norm1_bar,
                       ol_dual_at(weight_bar, C), ol_dual_at(bias_bar, C));
    ol_linear_backward(pass, (ol_linear_dim){b->m, c, c, 3 * c, c}, ACTIVATION(b, picked), weight,
                       ADJOINT(b, q), false, picked_bar, weight_bar, bias_bar);
    ol_rows_scatter(pass, b->m, c, w->chunk->row, picked_bar, norm1_bar);
}

/* From out_bar to mid_bar. */
static void backward_mlp(ol_pass pass, const ol_walk *w, const block *b)
{
    const ol_model *model = w->model;
    const ol_block_params *p = b->params;
    const int C = b->C, F = 4 * C, m = b->m;
    const size_t wide = (size_t)m * (size_t)F;

    ol_gelu_forward(pass | OL_PRIMAL, wide, ACTIVATION(b, fc), ACTIVATION(b, act));
    ol_linear_backward(pass, (ol_linear_dim){m, F, C, C, C}, ACTIVATION(b, act),
                       tensor(w->theta, model, p->mlp_proj_weight), ADJOINT(b, out), false,
                       ADJOINT(b, act), tensor(w->theta_bar, model, p->mlp_proj_weight),
                       tensor(w->theta_bar, model, p->mlp_proj_bias));
    ol_gelu_backward(pass | OL_PRIMAL, wide, ACTIVATION(b, fc), ADJOINT(b, act), ADJOINT(b, fc));
    ol_linear_backward(pass, (ol_linear_dim){m, C, F, F, F}, ACTIVATION(b, norm2),
                       tensor(w->theta, model, p->fc_weight), ADJOINT(b, fc), false,
                       ADJOINT(b, norm2), tensor(w->theta_bar, model, p->fc_weight),
                       tensor(w->theta_bar, model, p->fc_bias));
    copy(pass, (size_t)m * (size_t)C, ADJOINT(b, out), ADJOINT(b, mid));
    ol_layernorm_backward(pass, (ol_layernorm_dim){m, C, model->spec.ln_eps}, ACTIVATION(b, mid),
                          tensor(w->theta, model, p->ln_2_weight), w->statistics->mean2[b->l],
                          w->statistics->rstd2[b->l], ADJOINT(b, norm2), w->scratch,
                          ADJOINT(b, mid), tensor(w->theta_bar, model, p->ln_2_weight),
                          tensor(w->theta_bar, model, p->ln_2_bias));
}

/* From mid_bar to in_bar. */
static void backward_attention(ol_pass pass, const ol_walk *w, const block *b)
{
    const ol_model *model = w->model;
    const ol_block_params *p = b->params;
    const int C = b->C;
    const size_t reals = (size_t)b->n * (size_t)C;
    const ol_dual kv_bar = ADJOINT(b, kv);

    ol_linear_backward(pass, (ol_linear_dim){b->m, C, C, C, C}, ACTIVATION(b, att),
                       tensor(w->theta, model, p->proj_weight), ADJOINT(b, mid), false,
                       ADJOINT(b, att), tensor(w->theta_bar, model, p->proj_weight),
                       tensor(w->theta_bar, model, p->proj_bias));
    ol_attention_backward(pass, attention_dim(w, b), attention_io(w, b), ADJOINT(b, att),
                          ADJOINT(b, q), kv_bar, ol_dual_at(kv_bar, (size_t)C), w->scratch);
    project_qkv_backward(pass, w, b);
    if (b->last) {
        zero(pass, reals, b->in_bar);
        ol_rows_scatter(pass, b->m, C, w->chunk->row, ADJOINT(b, mid), b->in_bar);
    } else {
        copy(pass, reals, ADJOINT(b, mid), b->in_bar);
    }
    ol_layernorm_backward(pass, (ol_layernorm_dim){b->n, C, model->spec.ln_eps}, b->in,
                          tensor(w->theta, model, p->ln_1_weight), w->statistics->mean1[b->l],
                          w->statistics->rstd1[b->l], ADJOINT(b, norm1), w->scratch, b->in_bar,
                          tensor(w->theta_bar, model, p->ln_1_weight),
                          tensor(w->theta_bar, model, p->ln_1_bias));
}

/* From the losses to the adjoint of the last block's output. */
static void backward_head(ol_pass pass, const ol_walk *w)
{
    const ol_model *model = w->model;
    const block last = block_at(w, model->spec.layers - 1);
    const int M = w->chunk->M, C = last.C;
    const ol_dual hidden_bar = {w->bar.hidden, w->bar_dot.hidden};

    ol_cross_entropy_adjoint(pass, head_dim(w), (ol_dual){w->value.hidden, w->dot.hidden},
                             tensor(w->theta, model, model->wte), w->chunk->target,
                             w->chunk->weight, w->chunk->loss, hidden_bar,
                             tensor(w->theta_bar, model, model->wte), w->scratch);
    zero(pass, (size_t)M * (size_t)C, ADJOINT(&last, out));
    ol_layernorm_backward(pass, (ol_layernorm_dim){M, C, model->spec.ln_eps},
                          ACTIVATION(&last, out), tensor(w->theta, model, model->ln_f_weight),
                          w->statistics->mean_f, w->statistics->rstd_f, hidden_bar, w->scratch,
                          ADJOINT(&last, out), tensor(w->theta_bar, model, model->ln_f_weight),
                          tensor(w->theta_bar, model, model->ln_f_bias));
}

void ol_walk_backward(ol_pass pass, const ol_walk *w)
{
    const ol_chunk *c = w->chunk;

    backward_head(pass, w);
    for (int l = w->model->spec.layers - 1; l >= 0; l--) {
        const block b = block_at(w, l);

        backward_mlp(pass, w, &b);
        backward_attention(pass, w, &b);
    }
    ol_embedding_backward(pass, c->n, w->model->spec.width, c->token, c->position,
                          (ol_dual){w->bar.embed, w->bar_dot.embed},
                          tensor(w->theta_bar, w->model, w->model->wte),
                          tensor(w->theta_bar, w->model, w->model->wpe));
}
