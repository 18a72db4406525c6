/* SPDX-License-Identifier: BSD-3-Clause */
#include "buffers.h"

#include <string.h>

ol_slots ol_kept_slots(const ol_graph *graph, ol_role role, int i)
{
    const ol_instance *n = &graph->instances[i];
    const ol_slots kept[OL_ROLES] = {
        [OL_VALUE] = n->values, [OL_DOT] = n->tangents, [OL_BAR] = n->adjoints};

    return kept[role];
}

ol_slots ol_wanted_slots(const ol_graph *graph, ol_role role, int i)
{
    const ol_instance *n = &graph->instances[i];
    const ol_slots wanted[OL_ROLES] = {[OL_VALUE] = n->used,
                                       [OL_DOT] = n->moves & n->used,
                                       [OL_BAR] = n->live & n->used,
                                       [OL_BAR_DOT] = n->live & n->used};

    return wanted[role] & ~(1u << IN); /* IN is the OUT before */
}

static size_t rows_of(const ol_graph *graph, ol_extent bounds, int i, ol_slot s)
{
    return (size_t)(ol_slot_of_queries(graph, i, s) ? bounds.scored : bounds.tokens);
}

static size_t reals_of(const ol_model *model, ol_extent bounds, int i, ol_slot s)
{
    return rows_of(model->graph, bounds, i, s) * (size_t)ol_slot_width(&model->spec, s);
}

/* A table of n pointers, all NULL. */
static ol_real **table(ol_arena *arena, size_t n)
{
    ol_real **at = ol_arena_take(arena, n * sizeof *at);

    if (at)
        memset(at, 0, n * sizeof *at);
    return at;
}

ol_kept ol_kept_layout(ol_arena *arena, const ol_model *model, ol_role role, ol_extent bounds)
{
    const ol_graph *g = model->graph;
    ol_kept kept = {.slots = table(arena, (size_t)g->n * SLOTS),
                    .states = table(arena, (size_t)g->n * OL_MOST_STEPS)};

    for (int i = 0; i < g->n; i++) {
        const ol_slots slots = ol_kept_slots(g, role, i) & ol_wanted_slots(g, role, i);

        for (int s = 0; s < SLOTS; s++)
            if (slots >> s & 1) {
                ol_real *x = ol_arena_reals(arena, reals_of(model, bounds, i, (ol_slot)s));

                if (kept.slots)
                    kept.slots[i * SLOTS + s] = x;
            }
        for (int j = 0; j < g->instances[i].n_steps && (role == OL_VALUE || role == OL_DOT); j++) {
            const ol_graph_step *step = &g->instances[i].steps[j];
            const size_t width = (size_t)ol_state_width(step);

            if (step->keeps && width > 0) {
                ol_real *x = ol_arena_reals(arena, rows_of(g, bounds, i, step->out) * width);

                if (kept.states)
                    kept.states[i * OL_MOST_STEPS + j] = x;
            }
        }
    }
    return kept;
}

static void larger(size_t *most, size_t n)
{
    *most = n > *most ? n : *most;
}

ol_shared ol_shared_layout(ol_arena *arena, const ol_model *model, ol_role role, ol_extent bounds,
                           bool nothing_kept)
{
    const ol_graph *g = model->graph;
    size_t most[SLOTS][2] = {{0}}, state = 0;
    ol_shared shared = {0};

    for (int i = 0; i < g->n; i++) {
        const ol_slots kept = nothing_kept ? 0 : ol_kept_slots(g, role, i);
        const ol_slots slots = ol_wanted_slots(g, role, i) & ~kept;

        for (int s = 0; s < SLOTS; s++)
            if (slots >> s & 1)
                larger(&most[s][s == OUT ? i % 2 : 0], reals_of(model, bounds, i, (ol_slot)s));
        for (int j = 0; j < g->instances[i].n_steps; j++)
            larger(&state,
                   (size_t)bounds.tokens * (size_t)ol_state_width(&g->instances[i].steps[j]));
    }
    for (int s = 0; s < SLOTS; s++)
        for (int turn = 0; turn < 2; turn++)
            shared.slots[s][turn] = most[s][turn] ? ol_arena_reals(arena, most[s][turn]) : NULL;
    shared.state = role == OL_VALUE || role == OL_DOT ? ol_arena_reals(arena, state) : NULL;
    return shared;
}
