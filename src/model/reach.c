/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from which tensors are trained: graph.h says it in words. */
#include "graph.h"

static void bind_operand(ol_operand *w, const ol_model *model, const ol_param *const *home)
{
    if (w->rows == 0)
        return;
    w->param = home[w->tensor];
    w->trained = w->param >= model->params && w->param < model->params + model->n_params;
}

static bool reads(const ol_graph_step *s, ol_slots slots)
{
    for (int i = 0; i < s->op->inputs; i++)
        if (slots >> s->in[i] & 1)
            return true;
    return false;
}

static ol_slots inputs_of(const ol_graph_step *s)
{
    ol_slots slots = 0;

    for (int i = 0; i < s->op->inputs; i++)
        slots |= 1u << s->in[i];
    return slots;
}

static bool has_trained(const ol_graph_step *s, bool moved_only)
{
    for (int i = 0; i < OL_OP_WEIGHTS; i++)
        if (s->w[i].param && s->w[i].trained && (s->w[i].param->adapts || !moved_only))
            return true;
    return false;
}

/* live and moves of an instance, from those of the OUT before it. */
static void reach(ol_instance *n, bool in_live, bool in_moves)
{
    n->live = in_live ? 1u << IN : 0;
    n->moves = in_moves ? 1u << IN : 0;
    for (int j = 0; j < n->n_steps; j++) {
        const ol_graph_step *s = &n->steps[j];

        if (has_trained(s, false) || reads(s, n->live))
            n->live |= 1u << s->out;
        if (has_trained(s, true) || reads(s, n->moves))
            n->moves |= 1u << s->out;
        n->used |= 1u << s->out | inputs_of(s);
    }
    for (int j = 0; j < n->n_steps; j++) {
        ol_graph_step *s = &n->steps[j];

        s->keeps = has_trained(s, false) || (s->op->flags & OL_BENDS && reads(s, n->live));
        s->gives = has_trained(s, false) || reads(s, n->live);
        s->gives_moved = has_trained(s, true) || reads(s, n->moves);
    }
}

/* Can the slot be made again by cheap steps alone, from slots that are kept? */
static bool remakeable(const ol_instance *n, ol_slots needed, ol_slots refreshed, int slot)
{
    bool made = false;

    for (int j = 0; j < n->n_steps; j++) {
        const ol_graph_step *s = &n->steps[j];

        if ((int)s->out != slot)
            continue;
        if (!(s->op->flags & OL_CHEAP))
            return false;
        if (!(s->op->flags & OL_IN_PLACE) && inputs_of(s) & ~(needed & ~refreshed))
            return false;
        made = true;
    }
    return made;
}

/* values, tangents, refreshed, and where slots are made again. */
static void keep_values(ol_instance *n)
{
    ol_slots needed = 0, pending;

    for (int j = 0; j < n->n_steps; j++)
        if (n->steps[j].keeps)
            needed |= inputs_of(&n->steps[j]);
    for (int slot = IN + 1; slot < SLOTS; slot++)
        if (needed >> slot & 1 && remakeable(n, needed, n->refreshed, slot))
            n->refreshed |= 1u << slot;
    n->values = needed & ~n->refreshed & ~(1u << IN); /* IN is the OUT of the instance before */
    n->tangents = n->values & n->moves;
    pending = n->refreshed;
    for (int j = n->n_steps - 1; j >= 0; j--) {
        ol_graph_step *s = &n->steps[j];

        s->refresh = s->keeps ? inputs_of(s) & pending : 0;
        pending &= ~s->refresh;
    }
}

/* Do only cheap steps give the adjoint of a slot back? Nobody within does so for the last OUT. */
static bool redoable(const ol_instance *n, int slot)
{
    bool read = false;

    for (int j = 0; j < n->n_steps; j++) {
        if (!(inputs_of(&n->steps[j]) >> slot & 1))
            continue;
        if (!(n->steps[j].op->flags & (OL_CHEAP | OL_REDOES)))
            return false;
        read = true;
    }
    return read;
}

/* Mark the steps that make the adjoint of a slot again; returns the slots whose adjoints they read. */
static ol_slots redo(ol_instance *n, int slot)
{
    ol_slots more = 0;

    for (int j = 0; j < n->n_steps; j++)
        if (inputs_of(&n->steps[j]) >> slot & 1) {
            n->steps[j].redo |= 1u << slot;
            more |= 1u << n->steps[j].out;
        }
    return more;
}

/* adjoints and redo of an instance. `in` and the result: is the adjoint of IN, of OUT, to be read
 * in tangent walks? `out_kept`: OUT's adjoint is never made again. */
static ol_slots keep_adjoints(ol_instance *n, bool in)
{
    ol_slots needed = in ? 1u << IN : 0, done = 0;

    for (int j = 0; j < n->n_steps; j++)
        if (n->steps[j].keeps)
            needed |= 1u << n->steps[j].out;
    while (needed & ~done)
        for (int slot = IN; slot < SLOTS; slot++) {
            if (!((needed & ~done) >> slot & 1))
                continue;
            done |= 1u << slot;
            if (slot != OUT && redoable(n, slot))
                needed |= redo(n, slot);
            else if (slot != OUT && slot != IN)
                n->adjoints |= 1u << slot;
        }
    return needed;
}

/* The adjoint of each slot is overwritten by the last step that reads it and added to by others. */
static void find_adds(ol_instance *n)
{
    ol_slots begun = 0;

    for (int j = n->n_steps - 1; j >= 0; j--) {
        ol_graph_step *s = &n->steps[j];

        if (s->op->flags & OL_IN_PLACE)
            continue;
        for (int i = 0; i < s->op->inputs; i++)
            s->add |= (begun >> s->in[i] & 1u) << i;
        begun |= inputs_of(s);
    }
}

/* Values of IN, which stand as OUT of the instance before. */
static bool reads_in(const ol_instance *n)
{
    for (int j = 0; j < n->n_steps; j++)
        if (n->steps[j].keeps && inputs_of(&n->steps[j]) & 1u << IN)
            return true;
    return false;
}

void ol_graph_bind(ol_graph *g, const ol_model *model, const ol_param *const *home)
{
    bool live = false, moves = false, adjoint = false;

    bind_operand(&g->head, model, home);
    for (int i = 0; i < g->n; i++) {
        ol_instance *n = &g->instances[i];

        for (int j = 0; j < n->n_steps; j++)
            for (int w = 0; w < OL_OP_WEIGHTS; w++)
                bind_operand(&n->steps[j].w[w], model, home);
        reach(n, live, moves);
        live = n->live >> OUT & 1;
        moves = n->moves >> OUT & 1;
        keep_values(n);
        find_adds(n);
        adjoint = keep_adjoints(n, adjoint) >> OUT & 1;
    }
    /* OUT is kept for the instance that reads it, or for the head; its adjoint is made again by the
     * norm and the residual that read it, but for the head's. */
    for (int i = 0; i < g->n - 1; i++)
        if (reads_in(&g->instances[i + 1])) {
            g->instances[i].values |= 1u << OUT;
            g->instances[i].tangents |= g->instances[i].moves & 1u << OUT;
        } else {
            g->instances[i].values &= ~(1u << OUT);
            g->instances[i].tangents &= ~(1u << OUT);
        }
    g->instances[g->n - 1].values |= 1u << OUT;
    g->instances[g->n - 1].tangents |= g->instances[g->n - 1].moves & 1u << OUT;
    g->instances[g->n - 1].adjoints |= 1u << OUT;
}
