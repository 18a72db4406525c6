/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <fnmatch.h>

#include "cases.h"
#include "outerloop/kernel/vector.h"
#include "outerloop/kernel/weight.h"

/* One, two and three blocks; heads alone and in groups, as wide as the model and not; tied and not;
 * rotary wavelengths of which llama3 keeps the first, blends the second and stretches the others. */
static const struct shape {
    const char *name;
    ol_model_spec spec;
} shapes[] = {
    {"gpt2", {.family = OL_GPT2, .layers = 3, .heads = 2, .width = 8, .tied = true}},
    {"gpt2, head of its own",
     {.family = OL_GPT2, .layers = 1, .heads = 4, .width = 8, .hidden = 20}},
    {"llama",
     {.family = OL_LLAMA,
      .layers = 3,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 6,
      .width = 10,
      .hidden = 14,
      .rope_theta = 50}},
    {"llama3, tied",
     {.family = OL_LLAMA,
      .layers = 1,
      .heads = 2,
      .kv_heads = 1,
      .head_dim = 8,
      .width = 12,
      .tied = true,
      .rope_theta = 100,
      .rope_scaling = OL_ROPE_LLAMA3,
      .rope_factor = 8,
      .rope_low_freq_factor = 0.5,
      .rope_high_freq_factor = 3,
      .rope_original_context = 24}},
    {"qwen2, tied",
     {.family = OL_QWEN2,
      .layers = 2,
      .heads = 3,
      .kv_heads = 1,
      .width = 12,
      .tied = true,
      .rope_theta = 100}},
    {"qwen3",
     {.family = OL_QWEN3,
      .layers = 3,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 6,
      .width = 10,
      .hidden = 14,
      .rope_theta = 100}},
    {"qwen3, tied",
     {.family = OL_QWEN3,
      .layers = 1,
      .heads = 2,
      .head_dim = 4,
      .width = 6,
      .tied = true,
      .rope_theta = 100}},
};

enum { SHAPES = sizeof shapes / sizeof *shapes, WORDS = 13, MOST = 5, LONG = 48, MOST_CASES = 300 };

/* What is trained. '@' in a pattern is the number of the last block. */
typedef struct choice {
    const char *trained[MOST], *adapts[MOST], *targets[MOST];
    int rank;
    double alpha;
    bool rslora, bf16;
    const char *where; /* the choice is one of models with such a tensor; NULL: of all */
} choice;

static const choice gpt2_choices[] = {
    {.trained = {0}},
    {.trained = {"lora"}, .targets = {"c_attn"}, .rank = 2, .alpha = 8},
    {.trained = {"lora"}, .targets = {"c_proj", "c_fc"}, .rank = 3, .alpha = 4, .rslora = true},
    {.trained = {"lora"}, .targets = {"all-linear"}, .rank = 2, .alpha = 3, .bf16 = true},
    {.trained = {"lora"}, .targets = {"attn.c_proj"}, .rank = 1, .alpha = 1},
    {.trained = {"lora"}, .targets = {"h.@.attn.c_attn"}, .rank = 2, .alpha = 8, .bf16 = true},
    {.trained = {"lora"}, .targets = {"h.0.mlp.c_fc"}, .rank = 2, .alpha = 2},
    {.trained = {"lora"},
     .adapts = {"*.lora_B.*"},
     .targets = {"all-linear"},
     .rank = 2,
     .alpha = 2},
    {.trained = {"lora"},
     .adapts = {"*.h.@.*"},
     .targets = {"c_attn", "mlp.c_proj"},
     .rank = 2,
     .alpha = 2},
    {.trained = {"*ln_*"}},
    {.trained = {"*.bias"}, .bf16 = true},
    {.trained = {"ln_f.*"}},
    {.trained = {"wte.weight"}},
    {.trained = {"wpe.weight"}, .bf16 = true},
    {.trained = {"lm_head.weight"}, .where = "lm_head.weight"},
    {.trained = {"h.@.*"}},
    {.trained = {"h.0.*"}, .bf16 = true},
    {.trained = {"h.1.*"}, .where = "h.1.*"},
    {.trained = {"*.c_attn.weight"}},
    {.trained = {"*.c_fc.weight", "*.attn.c_proj.*"}},
    {.trained = {"wpe.*", "h.*", "ln_f.*"}, .bf16 = true},
    {.trained = {"all"}, .adapts = {"h.@.*"}},
    {.trained = {"all"}, .adapts = {"lm_head.weight"}, .where = "lm_head.weight"},
    {.trained = {"all"}, .adapts = {"wte.weight"}},
    {.trained = {"all"}, .adapts = {"ln_f.*"}},
    {.trained = {"all"}, .adapts = {"h.0.*", "wpe.weight"}},
    {.trained = {"all"}, .adapts = {"*.attn.*"}},
    {.trained = {"*ln_*"}, .adapts = {"ln_f.*", "h.@.ln_2.*"}},
    {.trained = {"h.*"}, .adapts = {"h.@.mlp.*"}, .bf16 = true},
    {.trained = {"h.0.*", "lm_head.weight"},
     .adapts = {"lm_head.weight"},
     .where = "lm_head.weight"},
};

static const choice llama_choices[] = {
    {.trained = {0}},
    {.trained = {"lora"}, .targets = {"q_proj", "v_proj"}, .rank = 2, .alpha = 8},
    {.trained = {"lora"},
     .targets = {"all-linear"},
     .rank = 3,
     .alpha = 4,
     .rslora = true,
     .bf16 = true},
    {.trained = {"lora"}, .targets = {"k_proj"}, .rank = 1, .alpha = 2, .bf16 = true},
    {.trained = {"lora"}, .targets = {"o_proj", "gate_proj"}, .rank = 2, .alpha = 2},
    {.trained = {"lora"}, .targets = {"up_proj"}, .rank = 2, .alpha = 3, .rslora = true},
    {.trained = {"lora"}, .targets = {"down_proj", "q_proj"}, .rank = 2, .alpha = 8},
    {.trained = {"lora"}, .targets = {"layers.@.self_attn.v_proj"}, .rank = 2, .alpha = 8},
    {.trained = {"lora"}, .targets = {"layers.0.mlp.down_proj"}, .rank = 2, .alpha = 8},
    {.trained = {"lora"},
     .adapts = {"*.lora_B.*"},
     .targets = {"all-linear"},
     .rank = 2,
     .alpha = 2},
    {.trained = {"lora"},
     .adapts = {"*.layers.@.*"},
     .targets = {"q_proj", "up_proj"},
     .rank = 2,
     .alpha = 2},
    {.trained = {"*norm*"}},
    {.trained = {"*q_norm*"}, .where = "*q_norm*"},
    {.trained = {"*k_norm*", "*v_proj*"},
     .adapts = {"*k_norm*"},
     .bf16 = true,
     .where = "*k_norm*"},
    {.trained = {"*.bias"}, .where = "*.bias"},
    {.trained = {"model.norm.*"}, .bf16 = true},
    {.trained = {"model.embed_tokens.weight"}},
    {.trained = {"lm_head.weight"}, .where = "lm_head.weight"},
    {.trained = {"model.layers.@.*"}},
    {.trained = {"model.layers.0.*"}, .bf16 = true},
    {.trained = {"model.layers.1.*"}, .where = "model.layers.1.*"},
    {.trained = {"*.k_proj.*"}},
    {.trained = {"*.gate_proj.weight", "*.o_proj.*"}},
    {.trained = {"model.layers.*", "model.norm.*"}, .bf16 = true},
    {.trained = {"all"}, .adapts = {"model.layers.@.*"}},
    {.trained = {"all"}, .adapts = {"lm_head.weight"}, .where = "lm_head.weight"},
    {.trained = {"all"}, .adapts = {"model.embed_tokens.weight"}},
    {.trained = {"all"}, .adapts = {"model.norm.weight"}},
    {.trained = {"all"}, .adapts = {"model.layers.0.*"}},
    {.trained = {"all"}, .adapts = {"*.v_proj.*", "*.mlp.*"}},
    {.trained = {"*norm*"}, .adapts = {"model.norm.*", "*.@.input_layernorm.*"}},
    {.trained = {"model.layers.*"}, .adapts = {"*.layers.@.mlp.*"}, .bf16 = true},
    {.trained = {"*.layers.0.*", "lm_head.weight"},
     .adapts = {"lm_head.weight"},
     .where = "lm_head.weight"},
};

/* The choices of a shape's kind, ended by `n`. */
static const choice *choices_of(int shape, int *n)
{
    if (shapes[shape].spec.family == OL_GPT2) {
        *n = sizeof gpt2_choices / sizeof *gpt2_choices;
        return gpt2_choices;
    }
    *n = sizeof llama_choices / sizeof *llama_choices;
    return llama_choices;
}

static ol_model_spec spec_of(int shape, int context)
{
    ol_model_spec spec = shapes[shape].spec;

    spec.vocab = WORDS;
    spec.context = context;
    return spec;
}

static bool has_tensor(int shape, const char *pattern)
{
    const ol_model_spec spec = spec_of(shape, 8);
    ol_model *model;
    bool found = false;

    assert_int_equal(ol_model_create(&spec, NULL, &model), OL_OK);
    for (int i = 0; i < model->n_params; i++)
        found |= fnmatch(pattern, model->params[i].name, 0) == 0;
    ol_model_destroy(model);
    return found;
}

/* The cases, found once. */
static struct {
    int n;
    struct {
        int shape;
        const choice *choice;
    } at[MOST_CASES];
} table;

static void find_cases(void)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        int n;
        const choice *choices = choices_of(shape, &n);

        for (int c = 0; c < n; c++) {
            if (choices[c].where && !has_tensor(shape, choices[c].where))
                continue;
            assert_true(table.n < MOST_CASES);
            table.at[table.n].shape = shape;
            table.at[table.n++].choice = &choices[c];
        }
    }
}

int cases_count(void)
{
    if (table.n == 0)
        find_cases();
    return table.n;
}

bool case_is_plain(int i)
{
    return !table.at[i].choice->trained[0];
}

bool case_is_its_choices(int i)
{
    const choice *mine = table.at[i].choice;
    int before = 0, all = 0, n;

    for (int j = 0; j < table.n; j++)
        if (table.at[j].choice == mine) {
            before += j < i;
            all++;
        }
    return before == (int)(mine - choices_of(table.at[i].shape, &n)) % all;
}

/* Patterns with '@' filled in; `text` keeps them. */
static ol_patterns filled(const char *const *from, int last, char text[MOST][LONG],
                          const char **items)
{
    int n = 0;

    for (; n < MOST && from[n]; n++) {
        const char *at = strchr(from[n], '@');

        if (at)
            snprintf(text[n], LONG, "%.*s%d%s", (int)(at - from[n]), from[n], last, at + 1);
        else
            snprintf(text[n], LONG, "%s", from[n]);
        items[n] = text[n];
    }
    return (ol_patterns){n, items};
}

static void add_words(setting *s, const char *before, const ol_patterns *words)
{
    for (int i = 0; i < words->n; i++) {
        const size_t used = strlen(s->name);

        snprintf(s->name + used, sizeof s->name - used, "%s%s", i ? " " : before, words->items[i]);
    }
}

ol_real *fixed_reals(size_t n, ol_real *x)
{
    size_t *at =
        mmap(NULL, n * sizeof *x + 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(at != MAP_FAILED);
    *at = n * sizeof *x + 64;
    memcpy((char *)at + 64, x, n * sizeof *x);
    free(x);
    assert_int_equal(mprotect(at, *at, PROT_READ), 0);
    return (ol_real *)(void *)((char *)at + 64);
}

void fixed_free(void *fixed)
{
    size_t *at = (size_t *)(void *)((char *)fixed - 64);

    munmap(at, *at);
}

/* Frozen tensors as bent as the trained ones are. */
static void *frozen_block(const ol_model *model)
{
    ol_real *block = tiny_reals(model->frozen_bytes / sizeof *block + 1);

    for (int i = 0; i < model->n_frozen; i++) {
        const ol_param *p = &model->frozen[i];
        ol_real *x = tiny_normals(p->size, 1000 + (uint32_t)i);

        for (size_t j = 0; j < p->size; j++)
            x[j] = (ol_real)p->init_at + (ol_real)0.36 * x[j];
        ol_frozen_put(p, x, block);
        free(x);
    }
    return fixed_reals(model->frozen_bytes / sizeof *block + 1, block);
}

/* "llama: lora on q_proj v_proj, adapts ..." */
static void name_case(setting *s, const char *shape, const ol_trained_spec *t)
{
    static const char *const bf16[] = {"bf16"};

    snprintf(s->name, sizeof s->name, "%s", shape);
    add_words(s, ": ", &t->trained);
    add_words(s, " on ", &t->targets);
    add_words(s, ", adapts ", &t->adapts);
    add_words(s, ", ", &(ol_patterns){t->frozen_bf16, bf16});
}

setting setting_make(const char *shape, const ol_model_spec *spec, const ol_trained_spec *trained,
                     ol_batch batch)
{
    setting s = {.batch = batch};

    if (trained->rank)
        s.scale = trained->alpha / (trained->rslora ? sqrt(trained->rank) : trained->rank);
    name_case(&s, shape, trained);
    if (ol_model_create(spec, trained, &s.model) != OL_OK)
        fail_msg("%s: %s", s.name, ol_status_message());
    s.theta = fixed_reals(s.model->P, tiny_theta(s.model, 1));
    s.model->block = s.block = frozen_block(s.model);
    return s;
}

setting case_make(int i, int context, ol_batch batch)
{
    const choice *c = table.at[i].choice;
    const ol_model_spec spec = spec_of(table.at[i].shape, context);
    const int last = spec.layers - 1;
    char text[3][MOST][LONG];
    const char *items[3][MOST];
    const ol_trained_spec trained = {.trained = filled(c->trained, last, text[0], items[0]),
                                     .adapts = filled(c->adapts, last, text[1], items[1]),
                                     .targets = filled(c->targets, last, text[2], items[2]),
                                     .rank = c->rank,
                                     .alpha = c->alpha,
                                     .rslora = c->rslora,
                                     .frozen_bf16 = c->bf16};

    return setting_make(shapes[table.at[i].shape].name, &spec, &trained, batch);
}

void case_finish(setting *s)
{
    fixed_free(s->theta);
    fixed_free(s->block);
    ol_batch_finish(&s->batch);
    ol_model_destroy(s->model);
}

ol_real *case_direction(const setting *s, uint32_t stream)
{
    ol_real *u = tiny_normals(s->model->P, stream);

    for (int i = 0; i < s->model->n_params; i++)
        if (!s->model->params[i].adapts)
            ol_vector_zero(s->model->params[i].size, u + s->model->params[i].offset);
    return fixed_reals(s->model->P, u);
}

static ol_arena arena_for(const setting *s, ol_work work, bool tape)
{
    return tiny_arena(ol_objective_bytes(s->model, ol_batch_extent(&s->batch), work, tape));
}

static void finish(ol_arena *ws)
{
    assert_int_equal(ol_arena_mark(ws), 0);
    ol_arena_finish(ws);
}

double case_loss(const setting *s, const ol_real *theta)
{
    double *losses = calloc((size_t)s->batch.B, sizeof *losses), sum = 0;
    ol_arena ws = arena_for(s, OL_LOSSES, false);

    assert_non_null(losses);
    ol_objective_losses(s->model, &s->batch, theta, &ws, losses);
    for (int b = 0; b < s->batch.B; b++)
        sum += losses[b];
    finish(&ws);
    free(losses);
    return sum / s->batch.B;
}

ol_real *case_gradient(const setting *s, const ol_real *theta, ol_wanted wanted, ol_tape *tape,
                       double *loss)
{
    ol_arena ws = arena_for(s, OL_GRADIENT, tape != NULL);
    ol_real *g = tiny_normals(s->model->P, 99); /* what stood there must not matter */
    const double nats = ol_objective_grad(s->model, &s->batch, theta, wanted, tape, &ws, g);

    finish(&ws);
    if (loss)
        *loss = nats;
    return g;
}

ol_real *case_product(const setting *s, const ol_real *u, ol_tape *tape, ol_real *start)
{
    ol_arena ws = arena_for(s, OL_PRODUCT, tape != NULL);
    ol_real *hv = start ? start : tiny_reals(s->model->P);

    ol_objective_hvp(s->model, &s->batch, s->theta, u, tape, &ws, hv);
    finish(&ws);
    return hv;
}

taped tape_make(const ol_model *model, ol_extent extent)
{
    ol_arena dry = ol_arena_dry("tape");
    taped t;

    assert_null(ol_tape_layout(&dry, model, extent));
    t.memory = tiny_arena(dry.peak);
    t.tape = ol_tape_layout(&t.memory, model, extent);
    return t;
}

void tape_finish(taped *t)
{
    ol_arena_finish(&t->memory);
}

void near(const setting *s, const char *what, size_t n, const ol_real *a, const ol_real *b,
          double tolerance)
{
    const double error = ol_vector_distance(n, a, b) / ol_vector_norm(n, b);

    if (!(error <= tolerance))
        fail_msg("%s: %s: relative error %.3g, over %.1g", s->name, what, error, tolerance);
}

void same_bits(const setting *s, const char *what, size_t n, const ol_real *a, const ol_real *b)
{
    size_t i = 0;

    while (i < n && memcmp(&a[i], &b[i], sizeof *a) == 0)
        i++;
    if (i < n)
        fail_msg("%s: %s: %zu of %zu is %.17g, not %.17g", s->name, what, i, n, (double)a[i],
                 (double)b[i]);
}
