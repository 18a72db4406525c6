/* SPDX-License-Identifier: BSD-3-Clause */
#include "gguf.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h" /* ol_rope_frequency */

enum { KEY_TEXT = 96 };

/* A module of a family's tables, by its name there and in GGUF; a block's begin with "*.". */
typedef struct alias {
    const char *ours, *theirs;
    ol_lie weight;
} alias;

static const alias of_gpt2[] = {
    {"wte", "token_embd", OL_LIE_PLAIN},
    {"wpe", "position_embd", OL_LIE_PLAIN},
    {"ln_f", "output_norm", OL_LIE_PLAIN},
    {"lm_head", "output", OL_LIE_PLAIN},
    {"*.ln_1", "attn_norm", OL_LIE_PLAIN},
    {"*.attn.c_attn", "attn_qkv", OL_LIE_TURNED},
    {"*.attn.c_proj", "attn_output", OL_LIE_TURNED},
    {"*.ln_2", "ffn_norm", OL_LIE_PLAIN},
    {"*.mlp.c_fc", "ffn_up", OL_LIE_TURNED},
    {"*.mlp.c_proj", "ffn_down", OL_LIE_TURNED},
    {0},
};

/* Of llama, qwen2 and qwen3; q and k are paired in llama alone. */
static const alias of_llama[] = {
    {"model.embed_tokens", "token_embd", OL_LIE_PLAIN},
    {"model.norm", "output_norm", OL_LIE_PLAIN},
    {"lm_head", "output", OL_LIE_PLAIN},
    {"*.input_layernorm", "attn_norm", OL_LIE_PLAIN},
    {"*.self_attn.q_proj", "attn_q", OL_LIE_PAIRED},
    {"*.self_attn.k_proj", "attn_k", OL_LIE_PAIRED},
    {"*.self_attn.v_proj", "attn_v", OL_LIE_PLAIN},
    {"*.self_attn.o_proj", "attn_output", OL_LIE_PLAIN},
    {"*.self_attn.q_norm", "attn_q_norm", OL_LIE_PLAIN},
    {"*.self_attn.k_norm", "attn_k_norm", OL_LIE_PLAIN},
    {"*.post_attention_layernorm", "ffn_norm", OL_LIE_PLAIN},
    {"*.mlp.gate_proj", "ffn_gate", OL_LIE_PLAIN},
    {"*.mlp.up_proj", "ffn_up", OL_LIE_PLAIN},
    {"*.mlp.down_proj", "ffn_down", OL_LIE_PLAIN},
    {0},
};

/* The block that a name of ours is of, and the rest of the name; -1 and all of it outside blocks. */
static long split_block(const char *blocks, const char *name, const char **rest)
{
    const size_t before = (size_t)(strchr(blocks, '%') - blocks); /* "h.%d." */
    char *end;
    long block;

    *rest = name;
    if (strncmp(name, blocks, before) != 0 || !isdigit((unsigned char)name[before]))
        return -1;
    block = strtol(name + before, &end, 10);
    *rest = end + 1;
    return block;
}

bool ol_gguf_name(int family, const ol_param *param, char name[128], ol_lie *lie)
{
    const char *rest, *kind;
    const long block = split_block(ol_families[family].blocks, param->name, &rest);

    kind = strrchr(rest, '.');
    for (const alias *a = family == OL_GPT2 ? of_gpt2 : of_llama; kind && a->ours; a++) {
        const bool in_block = a->ours[0] == '*';
        const char *ours = a->ours + (in_block ? 2 : 0);

        if (in_block != (block >= 0) || strlen(ours) != (size_t)(kind - rest) ||
            strncmp(ours, rest, strlen(ours)) != 0)
            continue;
        if (in_block)
            snprintf(name, 128, "blk.%ld.%s%s", block, a->theirs, kind);
        else
            snprintf(name, 128, "%s%s", a->theirs, kind);
        *lie = param->cols == 0 || (a->weight == OL_LIE_PAIRED && family != OL_LLAMA) ? OL_LIE_PLAIN
                                                                                      : a->weight;
        return true;
    }
    return false;
}

bool ol_gguf_passes_over(const ol_model_spec *spec, const char *name)
{
    return strcmp(name, "rope_freqs.weight") == 0 ||
           (spec->tied && strcmp(name, "output.weight") == 0);
}

/* A file under reading: keys of its architecture stand under the architecture's name. */
typedef struct reader {
    const ol_gguf *file;
    const char *path, *arch;
} reader;

static const char *key_of(const reader *r, const char *key, char text[KEY_TEXT])
{
    snprintf(text, KEY_TEXT, "%s.%s", r->arch, key);
    return text;
}

static ol_status read_int(const reader *r, const char *key, int *out)
{
    char text[KEY_TEXT];
    int64_t value = 0;

    OL_TRY(ol_gguf_get_i64(r->file, key_of(r, key, text), &value));
    OL_CHECK(value > 0 && value <= INT_MAX, OL_EDATA, "%s: %s is %lld; 1 to %d is wanted", r->path,
             text, (long long)value, INT_MAX);
    *out = (int)value;
    return OL_OK;
}

/* One that may be left out; *out keeps its value then. */
static ol_status read_int_if(const reader *r, const char *key, int *out)
{
    char text[KEY_TEXT];

    return ol_gguf_has(r->file, key_of(r, key, text)) ? read_int(r, key, out) : OL_OK;
}

/* Files hold float32: 9.99999975e-06 for the 1e-5 of config.json. The shortest decimal that is the
 * same float32 is what was meant. */
static double shortest(double value)
{
    char text[32];

    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtof(text, NULL) == (float)value)
            return strtod(text, NULL);
    }
    return value;
}

static ol_status read_real(const reader *r, const char *key, double *out)
{
    char text[KEY_TEXT];
    double value = 0;

    OL_TRY(ol_gguf_get_f64(r->file, key_of(r, key, text), &value));
    OL_CHECK(isfinite(value) && value > 0, OL_EDATA, "%s: %s is %g; a number above 0 is wanted",
             r->path, text, value);
    *out = (float)value == value ? shortest(value) : value;
    return OL_OK;
}

static bool says(ol_gguf_text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.bytes, word, text.n) == 0;
}

static ol_status read_family(reader *r, ol_model_spec *out)
{
    ol_gguf_text arch;

    if (ol_gguf_has(r->file, "general.type")) {
        OL_TRY(ol_gguf_get_text(r->file, "general.type", &arch));
        OL_CHECK(says(arch, "model"), OL_EDATA, "%s: general.type is \"%.*s\"; a model is wanted",
                 r->path, (int)(arch.n < 40 ? arch.n : 40), arch.bytes);
    }
    OL_TRY(ol_gguf_get_text(r->file, "general.architecture", &arch));
    for (int f = 0; ol_model_families[f]; f++)
        if (says(arch, ol_model_families[f])) {
            out->family = f;
            r->arch = ol_model_families[f];
            return OL_OK;
        }
    return ol_fail(OL_EDATA,
                   "%s: general.architecture \"%.*s\" is not supported; gpt2, llama, qwen2 and "
                   "qwen3 are",
                   r->path, (int)(arch.n < 40 ? arch.n : 40), arch.bytes);
}

/* Numbers that must be what they are when they are left out. */
static ol_status check_numbers(const reader *r)
{
    static const struct {
        const char *key;
        double usual;
    } all[] = {{"expert_count", 0},
               {"attention.sliding_window", 0},
               {"rope.scaling.factor", 1},
               {"rope.scale_linear", 1},
               {"logit_scale", 1},
               {"attention.scale", 0},
               {"attn_logit_softcapping", 0},
               {"final_logit_softcapping", 0},
               {"residual_scale", 1},
               {"embedding_scale", 1},
               {"attention.max_alibi_bias", 0}};
    char text[KEY_TEXT];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double value = all[i].usual;

        if (ol_gguf_has(r->file, key_of(r, all[i].key, text)))
            OL_TRY(ol_gguf_get_f64(r->file, text, &value));
        OL_CHECK(value == all[i].usual, OL_EDATA, "%s: %s is %g; only %g is supported", r->path,
                 text, value, all[i].usual);
    }
    return OL_OK;
}

static ol_status check_unsupported(const reader *r)
{
    char text[KEY_TEXT];
    ol_gguf_text kind;
    int64_t number = 0;

    OL_TRY(check_numbers(r));
    if (ol_gguf_has(r->file, key_of(r, "rope.scaling.type", text))) {
        OL_TRY(ol_gguf_get_text(r->file, text, &kind));
        OL_CHECK(says(kind, "none"), OL_EDATA, "%s: %s \"%.*s\" is not supported; \"none\" is",
                 r->path, text, (int)(kind.n < 40 ? kind.n : 40), kind.bytes);
    }
    if (ol_gguf_has(r->file, "split.count")) {
        OL_TRY(ol_gguf_get_i64(r->file, "split.count", &number));
        OL_CHECK(
            number <= 1, OL_EDATA,
            "%s: split.count is %lld: a model in parts is not read; join them with llama.cpp's "
            "gguf-split --merge",
            r->path, (long long)number);
    }
    return OL_OK;
}

/* Sizes of a head, which must be one for q, k, v and what is rotated. */
static ol_status read_head(const reader *r, ol_model_spec *out)
{
    int value_dim = 0, rotated = 0;

    out->kv_heads = out->heads;
    OL_TRY(read_int_if(r, "attention.head_count_kv", &out->kv_heads));
    OL_CHECK(out->width % out->heads == 0 || out->family != OL_GPT2, OL_EDATA,
             "%s: embedding_length %d is no multiple of head_count %d", r->path, out->width,
             out->heads);
    out->head_dim = out->width / out->heads;
    OL_TRY(read_int_if(r, "attention.key_length", &out->head_dim));
    value_dim = rotated = out->head_dim;
    OL_TRY(read_int_if(r, "attention.value_length", &value_dim));
    if (out->family != OL_GPT2)
        OL_TRY(read_int_if(r, "rope.dimension_count", &rotated));
    OL_CHECK(value_dim == out->head_dim && rotated == out->head_dim, OL_EDATA,
             "%s: heads of %d (attention.key_length), values of %d (attention.value_length), %d "
             "rotated (rope.dimension_count): only one size for all is supported",
             r->path, out->head_dim, value_dim, rotated);
    return OL_OK;
}

/* The embedding says how many tokens there are; the head is the embedding where the file has no
 * other, or the same bytes again. */
static ol_status read_embedding(const reader *r, ol_model_spec *out)
{
    const ol_stored_list *list = ol_gguf_tensors(r->file);
    const ol_stored *embedding = ol_stored_find(list, "token_embd.weight");
    const ol_stored *head = ol_stored_find(list, "output.weight");
    size_t bytes = 0;

    OL_CHECK(embedding && embedding->rank == 2 && embedding->dims[0] <= INT_MAX, OL_EDATA,
             "%s: token_embd.weight is missing, or no matrix", r->path);
    out->vocab = (int)embedding->dims[0];
    ol_stored_bytes(embedding->type, embedding->count, &bytes);
    out->tied = !head || (head->type == embedding->type && head->count == embedding->count &&
                          memcmp(head->data, embedding->data, bytes) == 0);
    return OL_OK;
}

/* Is every frequency that the shape makes the plain one divided by that of the file? */
static bool makes_frequencies(const ol_model_spec *spec, const ol_stored *divisors)
{
    ol_model_spec plain = *spec;

    plain.rope_scaling = OL_ROPE_DEFAULT;
    for (size_t j = 0; j < divisors->count; j++) {
        const double made = ol_rope_frequency(&plain, (int)j) / ol_rope_frequency(spec, (int)j);
        float stored;

        ol_stored_read(divisors, j, 1, &stored);
        if (!(fabs(made - (double)stored) <= 1e-5 * made))
            return false;
    }
    return true;
}

/* Llama 3's scaling: the file holds what it comes to, and we look for what it is made of. All
 * models of that kind have factors 1 and 4, and powers of two for the original context. */
static ol_status read_scaling(const reader *r, ol_model_spec *out)
{
    const ol_stored *divisors = ol_stored_find(ol_gguf_tensors(r->file), "rope_freqs.weight");
    float factor = 0;

    if (!divisors || out->family == OL_GPT2)
        return OL_OK;
    OL_CHECK(divisors->rank == 1 && divisors->count == (size_t)out->head_dim / 2, OL_EDATA,
             "%s: rope_freqs.weight has %zu values; half of a head has %d", r->path,
             divisors->count, out->head_dim / 2);
    ol_stored_read(divisors, divisors->count - 1, 1, &factor); /* of the longest wavelength */
    out->rope_scaling = OL_ROPE_LLAMA3;
    out->rope_factor = (double)factor;
    out->rope_low_freq_factor = 1;
    out->rope_high_freq_factor = 4;
    for (int original = 1 << 20; original >= 16; original /= 2) {
        out->rope_original_context = original;
        if (factor >= 1 && makes_frequencies(out, divisors))
            return OL_OK;
    }
    return ol_fail(OL_EDATA,
                   "%s: rope_freqs.weight is not the scaling of Llama 3 (low_freq_factor 1, "
                   "high_freq_factor 4, an original context that is a power of two); no other is "
                   "supported",
                   r->path);
}

ol_status ol_gguf_read_spec(const ol_gguf *file, ol_model_spec *out)
{
    reader r = {.file = file, .path = ol_gguf_path(file)};
    char text[KEY_TEXT];

    *out = (ol_model_spec)OL_MODEL_SPEC_INIT;
    OL_TRY(read_family(&r, out));
    OL_TRY(check_unsupported(&r));
    OL_TRY(read_int(&r, "block_count", &out->layers));
    OL_TRY(read_int(&r, "embedding_length", &out->width));
    OL_TRY(read_int(&r, "attention.head_count", &out->heads));
    OL_TRY(read_int(&r, "feed_forward_length", &out->hidden));
    OL_TRY(read_int(&r, "context_length", &out->context));
    OL_TRY(read_real(&r,
                     out->family == OL_GPT2 ? "attention.layer_norm_epsilon"
                                            : "attention.layer_norm_rms_epsilon",
                     &out->norm_eps));
    OL_TRY(read_head(&r, out));
    if (out->family != OL_GPT2 && ol_gguf_has(file, key_of(&r, "rope.freq_base", text)))
        OL_TRY(read_real(&r, "rope.freq_base", &out->rope_theta));
    OL_TRY(read_embedding(&r, out));
    return read_scaling(&r, out);
}
