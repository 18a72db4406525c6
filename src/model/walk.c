/* SPDX-License-Identifier: BSD-3-Clause */
#include "walk.h"

#include "outerloop/kernel/cross_entropy.h" /* ol_cross_entropy_* */

/* Slot s of instance i in one role; NULL where it has none. */
static ol_real *slot_at(const ol_walk *w, ol_role role, int i, ol_slot s)
{
    const ol_graph *g = w->model->graph;

    if (s == IN) {
        if (i == 0)
            return NULL;
        i--;
        s = OUT;
    }
    if (!(ol_wanted_slots(g, role, i) >> s & 1))
        return NULL;
    if (!((ol_kept_slots(g, role, i) & w->keeps[role]) >> s & 1))
        return w->shared[role].slots[s][s == OUT ? i % 2 : 0];
    const int64_t before = role == OL_DOT                ? 0
                           : ol_slot_of_queries(g, i, s) ? w->chunk->scored0
                                                         : w->chunk->row0;

    return w->kept[role].slots[i * SLOTS + (int)s] +
           (size_t)before * (size_t)ol_slot_width(&w->model->spec, s);
}

static ol_dual values_at(const ol_walk *w, ol_pass pass, int i, ol_slot s)
{
    return (ol_dual){slot_at(w, OL_VALUE, i, s),
                     pass & OL_TANGENT ? slot_at(w, OL_DOT, i, s) : NULL};
}

static ol_dual adjoints_at(const ol_walk *w, ol_pass pass, int i, ol_slot s)
{
    return (ol_dual){slot_at(w, OL_BAR, i, s),
                     pass & OL_TANGENT ? slot_at(w, OL_BAR_DOT, i, s) : NULL};
}

/* Rows of slot s of instance i in this chunk. */
static int rows_of(const ol_walk *w, int i, ol_slot s)
{
    return ol_slot_of_queries(w->model->graph, i, s) ? w->chunk->M : w->chunk->n;
}

static ol_dual state_at(const ol_walk *w, int i, int j)
{
    const ol_graph_step *s = &w->model->graph->instances[i].steps[j];
    const int64_t before =
        ol_slot_of_queries(w->model->graph, i, s->out) ? w->chunk->scored0 : w->chunk->row0;
    const size_t at = (size_t)before * (size_t)ol_state_width(s);
    ol_real *value = NULL, *dot = NULL;

    if (!s->keeps || !w->keeps[OL_VALUE])
        return (ol_dual){w->shared[OL_VALUE].state, w->shared[OL_DOT].state};
    value = w->kept[OL_VALUE].states[i * OL_MOST_STEPS + j];
    if (w->kept[OL_DOT].states)
        dot = w->kept[OL_DOT].states[i * OL_MOST_STEPS + j];
    return (ol_dual){value ? value + at : NULL, dot};
}

static ol_weight weight_at(const ol_walk *w, const ol_operand *o)
{
    const ol_param *p = o->param;
    ol_weight weight = {.rows = o->rows, .cols = o->cols, .ld = o->ld};

    if (!p)
        return (ol_weight){0};
    if (o->trained) {
        weight.at = ol_dual_at(w->theta, p->offset + o->at);
        if (!p->adapts)
            weight.at.dot = NULL;
        return weight;
    }
    const char *frozen = (const char *)w->model->block + p->offset;

    if (p->bf16)
        weight.bf16 = (const uint16_t *)(const void *)frozen + o->at;
    else
        weight.at.v = (ol_real *)(void *)(uintptr_t)frozen + o->at; /* an input: never written */
    return weight;
}

/* Adjoints of an operand that are wanted. */
static ol_dual weight_bar_at(const ol_walk *w, const ol_operand *o)
{
    ol_dual bar;

    if (!o->param || !o->trained)
        return (ol_dual){0};
    bar = ol_dual_at(w->theta_bar, o->param->offset + o->at);
    if (w->moved_only && !o->param->adapts)
        bar.v = NULL;
    return bar;
}

/* What forward and backward have in common. */
static ol_call call_of(const ol_walk *w, ol_pass pass, int i, int j, const ol_rows *rows)
{
    const ol_graph_step *s = &w->model->graph->instances[i].steps[j];
    ol_call c = {.spec = &s->spec,
                 .rows = rows,
                 .n = rows_of(w, i, s->out),
                 .add = s->add,
                 .state = state_at(w, i, j),
                 .scratch = w->scratch};

    /* Queries of the last block are rows of their own among all rows of the chunk. */
    if (i == w->model->graph->n - 2 && ol_slot_kinds[s->out].queries && s->op->inputs < 2 &&
        (!ol_slot_of_queries(w->model->graph, i, s->in[0]) || s->op->flags & OL_IN_PLACE))
        c.row = w->chunk->row;
    for (int k = 0; k < s->op->inputs; k++)
        c.x[k] = values_at(w, pass, i, s->in[k]);
    for (int k = 0; k < OL_OP_WEIGHTS; k++) {
        c.w[k] = weight_at(w, &s->w[k]);
        if (!(pass & OL_TANGENT))
            c.w[k].at.dot = NULL;
    }
    return c;
}

static ol_rows rows_for(const ol_walk *w, int i)
{
    return ol_chunk_rows(w->chunk, i >= w->model->graph->n - 2);
}

/* Step j of instance i. In a tangent walk a slot that is not kept is made again first. */
static void step_forward(ol_pass pass, const ol_walk *w, int i, int j)
{
    const ol_instance *n = &w->model->graph->instances[i];
    const ol_graph_step *s = &n->steps[j];
    const ol_rows rows = rows_for(w, i);
    ol_pass todo = pass & OL_PRIMAL;
    ol_call c;

    if (pass & OL_TANGENT) {
        todo |= n->moves >> s->out & 1 ? OL_TANGENT : 0u;
        todo |= n->refreshed >> s->out & 1 ? OL_PRIMAL : 0u;
    }
    if (!todo)
        return;
    c = call_of(w, pass, i, j, &rows);
    c.y = values_at(w, pass, i, s->out);
    s->op->forward(todo, &c);
}

void ol_walk_forward(ol_pass pass, const ol_walk *w)
{
    const ol_graph *g = w->model->graph;

    for (int i = 0; i < g->n; i++)
        for (int j = 0; j < g->instances[i].n_steps; j++)
            step_forward(pass, w, i, j);
}

/* Make the slots again that step j needs on the way back. */
static void refresh(ol_pass pass, const ol_walk *w, int i, int j)
{
    const ol_instance *n = &w->model->graph->instances[i];

    for (int k = 0; k < j; k++)
        if (n->steps[j].refresh >> n->steps[k].out & 1)
            step_forward(pass | OL_PRIMAL, w, i, k);
}

/* Which adjoints of inputs a step gives back in a pass. */
static void want_inputs(const ol_walk *w, ol_pass pass, int i, const ol_graph_step *s, ol_call *c)
{
    const ol_instance *n = &w->model->graph->instances[i];

    for (int k = 0; k < s->op->inputs; k++) {
        c->x_bar[k] = adjoints_at(w, pass, i, s->in[k]);
        if (pass & OL_TANGENT && !(s->redo >> s->in[k] & 1))
            c->x_bar[k].v = NULL;
        if (w->moved_only && !w->reaches_all && !(n->moves >> s->in[k] & 1))
            c->x_bar[k].v = NULL;
    }
}

static void step_backward(ol_pass pass, const ol_walk *w, int i, int j)
{
    const ol_graph_step *s = &w->model->graph->instances[i].steps[j];
    const ol_rows rows = rows_for(w, i);
    ol_call c;

    if (!(w->moved_only && !w->reaches_all ? s->gives_moved : s->gives))
        return;
    if (s->refresh)
        refresh(pass, w, i, j);
    c = call_of(w, pass, i, j, &rows);
    c.y_bar = adjoints_at(w, pass, i, s->out);
    want_inputs(w, pass, i, s, &c);
    for (int k = 0; k < OL_OP_WEIGHTS; k++)
        c.w_bar[k] = weight_bar_at(w, &s->w[k]);
    if (pass & OL_TANGENT)
        for (int k = 0; k < OL_OP_WEIGHTS; k++)
            c.w_bar[k].v = NULL;
    s->op->backward(pass & OL_TANGENT && s->redo ? pass | OL_PRIMAL : pass, &c);
}

static ol_cross_entropy_dim head_dim(const ol_walk *w)
{
    return (ol_cross_entropy_dim){w->chunk->M, w->model->spec.width, w->model->spec.vocab};
}

void ol_walk_losses(const ol_walk *w)
{
    const ol_graph *g = w->model->graph;
    const ol_weight head = weight_at(w, &g->head);

    ol_cross_entropy_loss(head_dim(w), slot_at(w, OL_VALUE, g->n - 1, OUT), &head, w->chunk->target,
                          w->chunk->loss, w->scratch);
}

static void head_backward(ol_pass pass, const ol_walk *w)
{
    const ol_graph *g = w->model->graph;
    ol_weight head = weight_at(w, &g->head);
    ol_dual hidden_bar = adjoints_at(w, pass, g->n - 1, OUT);

    if (!(pass & OL_TANGENT))
        head.at.dot = NULL;
    if (w->moved_only && !w->reaches_all && !(g->instances[g->n - 1].moves >> OUT & 1))
        hidden_bar.v = NULL;
    ol_cross_entropy_adjoint(pass, head_dim(w), values_at(w, pass, g->n - 1, OUT), &head,
                             w->chunk->target, w->chunk->weight, w->chunk->loss, hidden_bar,
                             weight_bar_at(w, &g->head), w->scratch);
}

void ol_walk_backward(ol_pass pass, const ol_walk *w)
{
    const ol_graph *g = w->model->graph;

    head_backward(pass, w);
    for (int i = g->n - 1; i >= 0; i--)
        for (int j = g->instances[i].n_steps - 1; j >= 0; j--)
            step_backward(pass, w, i, j);
}

size_t ol_walk_scratch(const ol_model *model, ol_extent bounds)
{
    const ol_cross_entropy_dim head = {(int)bounds.scored, model->spec.width, model->spec.vocab};
    const ol_graph *g = model->graph;
    size_t most = ol_cross_entropy_scratch(head);

    for (int i = 0; i < g->n; i++)
        for (int j = 0; j < g->instances[i].n_steps; j++) {
            const ol_graph_step *s = &g->instances[i].steps[j];
            const size_t own = s->op->scratch ? s->op->scratch(&s->spec, (int)bounds.longest) : 0;

            most = own > most ? own : most;
        }
    return most;
}
