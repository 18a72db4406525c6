/* SPDX-License-Identifier: BSD-3-Clause */
#include "family.h"

#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gate.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/norm.h"
#include "outerloop/kernel/residual.h"
#include "outerloop/kernel/rotary.h"

const char *const ol_model_families[] = {"gpt2", "llama", "qwen2", "qwen3", NULL};
const char *const ol_rope_scalings[] = {"default", "llama3", NULL};

const ol_slot_kind ol_slot_kinds[SLOTS] = {
    [IN] = {OF_WIDTH, false},    [NORM1] = {OF_WIDTH, false},     [PICKED] = {OF_WIDTH, true},
    [Q_FLAT] = {OF_HEADS, true}, [K_FLAT] = {OF_KV_HEADS, false}, [Q] = {OF_HEADS, true},
    [K] = {OF_KV_HEADS, false},  [V] = {OF_KV_HEADS, false},      [ATT] = {OF_HEADS, true},
    [MID] = {OF_WIDTH, true},    [NORM2] = {OF_WIDTH, true},      [GATE] = {OF_HIDDEN, true},
    [UP] = {OF_HIDDEN, true},    [ACT] = {OF_HIDDEN, true},       [OUT] = {OF_WIDTH, true},
};

/* clang-format off */

/* operator        writes   reads        weights              options        part, parts */

static const ol_step gpt2_embed[] = {
    {&ol_embedding, OUT,    {0},         "wte",               0,             0, 0},
    {&ol_positions, OUT,    {0},         "wpe",               0,             0, 0},
    {0},
};

static const ol_step gpt2_block[] = {
    {&ol_layernorm, NORM1,  {IN},        "ln_1",              0,             0, 0},
    {&ol_pick,      PICKED, {NORM1},     NULL,                0,             0, 0},
    {&ol_conv1d,    Q,      {PICKED},    "attn.c_attn",       BIAS,          0, 3},
    {&ol_conv1d,    K,      {NORM1},     "attn.c_attn",       BIAS,          1, 3},
    {&ol_conv1d,    V,      {NORM1},     "attn.c_attn",       BIAS,          2, 3},
    {&ol_attention, ATT,    {Q, K, V},   NULL,                0,             0, 0},
    {&ol_conv1d,    MID,    {ATT},       "attn.c_proj",       BIAS | RESIDUAL_INIT, 0, 0},
    {&ol_residual,  MID,    {IN},        NULL,                0,             0, 0},
    {&ol_layernorm, NORM2,  {MID},       "ln_2",              0,             0, 0},
    {&ol_conv1d,    UP,     {NORM2},     "mlp.c_fc",          BIAS,          0, 0},
    {&ol_gelu,      ACT,    {UP},        NULL,                0,             0, 0},
    {&ol_conv1d,    OUT,    {ACT},       "mlp.c_proj",        BIAS | RESIDUAL_INIT, 0, 0},
    {&ol_residual,  OUT,    {MID},       NULL,                0,             0, 0},
    {0},
};

static const ol_step gpt2_final[] = {
    {&ol_layernorm, OUT,    {IN},        "ln_f",              0,             0, 0},
    {0},
};

static const ol_step llama_embed[] = {
    {&ol_embedding, OUT,    {0},         "model.embed_tokens", 0,            0, 0},
    {0},
};

#define LLAMA_NETWORK \
    {&ol_residual,  MID,    {IN},        NULL,                0,             0, 0}, \
    {&ol_rmsnorm,   NORM2,  {MID},       "post_attention_layernorm", 0,      0, 0}, \
    {&ol_linear,    GATE,   {NORM2},     "mlp.gate_proj",     0,             0, 0}, \
    {&ol_linear,    UP,     {NORM2},     "mlp.up_proj",       0,             0, 0}, \
    {&ol_swiglu,    ACT,    {GATE, UP},  NULL,                0,             0, 0}, \
    {&ol_linear,    OUT,    {ACT},       "mlp.down_proj",     0,             0, 0}, \
    {&ol_residual,  OUT,    {MID},       NULL,                0,             0, 0}

#define LLAMA_BLOCK(bias) \
    {&ol_rmsnorm,   NORM1,  {IN},        "input_layernorm",   0,             0, 0}, \
    {&ol_pick,      PICKED, {NORM1},     NULL,                0,             0, 0}, \
    {&ol_linear,    Q,      {PICKED},    "self_attn.q_proj",  bias,          0, 0}, \
    {&ol_linear,    K,      {NORM1},     "self_attn.k_proj",  bias,          0, 0}, \
    {&ol_linear,    V,      {NORM1},     "self_attn.v_proj",  bias,          0, 0}, \
    {&ol_rotary,    Q,      {Q},         NULL,                0,             0, 0}, \
    {&ol_rotary,    K,      {K},         NULL,                0,             0, 0}, \
    {&ol_attention, ATT,    {Q, K, V},   NULL,                0,             0, 0}, \
    {&ol_linear,    MID,    {ATT},       "self_attn.o_proj",  0,             0, 0}, \
    LLAMA_NETWORK

static const ol_step llama_block[] = {LLAMA_BLOCK(0), {0}};

static const ol_step qwen2_block[] = {LLAMA_BLOCK(BIAS), {0}};

static const ol_step qwen3_block[] = {
    {&ol_rmsnorm,   NORM1,  {IN},        "input_layernorm",   0,             0, 0},
    {&ol_pick,      PICKED, {NORM1},     NULL,                0,             0, 0},
    {&ol_linear,    Q_FLAT, {PICKED},    "self_attn.q_proj",  0,             0, 0},
    {&ol_linear,    K_FLAT, {NORM1},     "self_attn.k_proj",  0,             0, 0},
    {&ol_linear,    V,      {NORM1},     "self_attn.v_proj",  0,             0, 0},
    {&ol_rmsnorm,   Q,      {Q_FLAT},    "self_attn.q_norm",  PER_HEAD,      0, 0},
    {&ol_rmsnorm,   K,      {K_FLAT},    "self_attn.k_norm",  PER_HEAD,      0, 0},
    {&ol_rotary,    Q,      {Q},         NULL,                0,             0, 0},
    {&ol_rotary,    K,      {K},         NULL,                0,             0, 0},
    {&ol_attention, ATT,    {Q, K, V},   NULL,                0,             0, 0},
    {&ol_linear,    MID,    {ATT},       "self_attn.o_proj",  0,             0, 0},
    LLAMA_NETWORK,
    {0},
};

static const ol_step llama_final[] = {
    {&ol_rmsnorm,   OUT,    {IN},        "model.norm",        0,             0, 0},
    {0},
};

const ol_family ol_families[] = {
    [OL_GPT2]  = {gpt2_embed,  gpt2_block,  gpt2_final,  "h.%d.",            "transformer.",
                  "GPT2LMHeadModel",  false, false, true,  1e-5},
    [OL_LLAMA] = {llama_embed, llama_block, llama_final, "model.layers.%d.", "",
                  "LlamaForCausalLM", true,  true,  false, 1e-5},
    [OL_QWEN2] = {llama_embed, qwen2_block, llama_final, "model.layers.%d.", "",
                  "Qwen2ForCausalLM", true,  false, false, 1e-6},
    [OL_QWEN3] = {llama_embed, qwen3_block, llama_final, "model.layers.%d.", "",
                  "Qwen3ForCausalLM", true,  true,  false, 1e-6},
};

/* clang-format on */
