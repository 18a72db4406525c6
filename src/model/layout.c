/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpt2.h"
#include "outerloop/kernel/attention.h"     /* ol_attention_scratch */
#include "outerloop/kernel/cross_entropy.h" /* ol_cross_entropy_scratch */

static ol_block_buffers block_layout(ol_arena *arena, size_t n, size_t m, size_t C, bool last,
                                     ol_role role, ol_real *wide)
{
    ol_block_buffers b = {0};

    b.norm1 = ol_arena_reals(arena, n * C);
    if (last) {
        b.picked = ol_arena_reals(arena, m * C);
        b.q = ol_arena_reals(arena, m * C);
        b.kv = ol_arena_reals(arena, n * 2 * C);
    } else {
        b.q = ol_arena_reals(arena, n * 3 * C);
        b.kv = b.q ? b.q + C : NULL;
    }
    b.att = ol_arena_reals(arena, m * C);
    b.mid = ol_arena_reals(arena, m * C);
    b.norm2 = ol_arena_reals(arena, m * C);
    b.fc = role == OL_ADJOINTS ? wide : ol_arena_reals(arena, m * 4 * C);
    b.act = role == OL_ADJOINTS ? ol_arena_reals(arena, m * 4 * C) : wide;
    b.out = ol_arena_reals(arena, m * C);
    return b;
}

ol_buffers ol_buffers_layout(ol_arena *arena, const ol_model *model, ol_extent bounds, ol_role role,
                             ol_sharing sharing)
{
    const size_t n = (size_t)bounds.tokens, M = (size_t)bounds.scored;
    const size_t C = (size_t)model->spec.width;
    const int L = model->spec.layers;
    ol_block_buffers *blocks = ol_arena_take(arena, (size_t)L * sizeof *blocks);
    ol_buffers b = {.blocks = blocks};

    ol_real *wide = ol_arena_reals(arena, (L > 1 ? n : M) * 4 * C);

    b.embed = ol_arena_reals(arena, n * C);
    for (int l = 0; l < L; l++) {
        const bool last = l == L - 1;
        const bool shared = sharing == OL_ALTERNATE && l >= 2 && !last;
        ol_block_buffers own = {0};

        if (!shared)
            own = block_layout(arena, n, last ? M : n, C, last, role, wide);
        if (blocks)
            blocks[l] = shared ? blocks[l - 2] : own;
    }
    b.hidden = ol_arena_reals(arena, M * C);
    return b;
}

ol_statistics ol_statistics_layout(ol_arena *arena, const ol_model *model, ol_extent bounds)
{
    const size_t n = (size_t)bounds.tokens, M = (size_t)bounds.scored;
    const size_t H = (size_t)model->spec.heads, L = (size_t)model->spec.layers;
    ol_real **at = ol_arena_take(arena, 5 * L * sizeof *at);
    ol_statistics s = {0};

    for (size_t l = 0; l < L; l++) {
        const size_t m = l == L - 1 ? M : n;
        ol_real *rows = ol_arena_reals(arena, 2 * n + 2 * m + m * H);

        if (!at)
            continue;
        at[l] = rows;
        at[L + l] = rows + n;
        at[2 * L + l] = rows + 2 * n;
        at[3 * L + l] = rows + 2 * n + m;
        at[4 * L + l] = rows + 2 * n + 2 * m;
    }
    if (at)
        s = (ol_statistics){.mean1 = at,
                            .rstd1 = at + L,
                            .mean2 = at + 2 * L,
                            .rstd2 = at + 3 * L,
                            .lse = at + 4 * L};
    s.mean_f = ol_arena_reals(arena, M);
    s.rstd_f = ol_arena_reals(arena, M);
    return s;
}

size_t ol_walk_scratch(const ol_model *model, ol_extent bounds)
{
    const ol_cross_entropy_dim head = {(int)bounds.scored, model->spec.width, model->spec.vocab};
    const size_t attention = ol_attention_scratch((int)bounds.longest);
    const size_t logits = ol_cross_entropy_scratch(head);
    const size_t row = 2 * (size_t)model->spec.width;
    const size_t most = attention > logits ? attention : logits;

    return most > row ? most : row;
}
