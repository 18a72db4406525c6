/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/job/job.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>

#include "outerloop/kernel/products.h" /* ol_products_names */
#include "outerloop/text/prompt.h"     /* ol_variant_names */

static const char *const stages[] = {"train", "eval", "adapt", NULL};
static const char *const inits[] = {"random", "import", "checkpoint", NULL};
static const char *const stored[] = {"f32", "bf16", NULL};
static const char *const schedules[] = {
    [OL_CONSTANT] = "constant", [OL_LINEAR] = "linear", [OL_COSINE] = "cosine", NULL};
static const char *const rates[] = {
    [OL_RATES_TENSOR] = "tensor", [OL_RATES_WEIGHT] = "weight", NULL};

/* Whole numbers past this are not exact in a double, which ranges are kept in. */
static const double most_long = 9007199254740991.0;

enum { MANY = 1000000000 };

#define AT(member) offsetof(ol_job, member)
/* clang-format off */
#define INT(path, member, preset, least, most, unit, help) \
    {path, OL_CONF_INT, AT(member), preset, least, most, 0, NULL, unit, help}
#define REAL(path, member, preset, least, most, open, unit, help) \
    {path, OL_CONF_REAL, AT(member), preset, least, most, open, NULL, unit, help}
#define STRING(path, member, preset, help) \
    {path, OL_CONF_STRING, AT(member), preset, 0, 0, 0, NULL, "", help}
#define STRINGS(path, member, preset, help) \
    {path, OL_CONF_STRINGS, AT(member), preset, 0, 0, 0, NULL, "", help}
#define WORD(path, member, preset, words, help) \
    {path, OL_CONF_WORD, AT(member), preset, 0, 0, 0, words, "", help}

static const ol_conf_key keys[] = {
    STRING("name", name, "\"\"", "what this job is called; \"\" = the file's name without .cfg"),
    {"seed", OL_CONF_LONG, AT(seed), "1", 0, most_long, 0, NULL, "",
     "of every random stream: parameters, tasks drawn, prompts drawn"},
    {"train_seeds", OL_CONF_INTS, AT(train_seeds), "[]", 0, INT_MAX, 0, NULL, "",
     "run all of it once for each, in the place of seed, in OUTPUT/seed-N; tables average over them"},
    STRING("output", output, "\"\"", "folder of all results; \"\" = runs/NAME"),
    {"stages", OL_CONF_WORDS, AT(stages), "[\"train\", \"eval\", \"adapt\"]", 0, 0, 0, stages, "",
     "what to do, always in this order: meta-train; score unseen tasks; adapt to them and score"},

    WORD("model.init", model.init, "\"random\"", inits,
         "where parameters come from: a seed, a Hugging Face folder or GGUF file, a checkpoint of ours"),
    STRING("model.path", model.path, "\"\"", "the folder or file, when not random; its shape and tokenizer come with it"),
    WORD("model.arch", model.shape.family, "\"gpt2\"", ol_model_families,
         "family of a random model"),
    INT("model.layers", model.shape.layers, "4", 1, 1000, "blocks", "depth of a random model"),
    INT("model.width", model.shape.width, "128", 1, 65536, "reals", "width C"),
    INT("model.heads", model.shape.heads, "4", 1, 1024, "heads", "attention heads of a block"),
    INT("model.kv_heads", model.shape.kv_heads, "0", 0, 1024, "heads",
        "groups of keys and values, a divisor of heads; 0 = as many as heads"),
    INT("model.head_dim", model.shape.head_dim, "0", 0, 65536, "reals",
        "size of a head; 0 = width/heads, which gpt2 and qwen2 have"),
    INT("model.hidden", model.shape.hidden, "0", 0, 1048576, "reals",
        "width of a block's network; 0 = 4 width in gpt2, 8/3 width in the others"),
    INT("model.context", model.shape.context, "1024", 2, 1048576, "tokens",
        "positions the model has"),
    INT("model.vocab", model.shape.vocab, "0", 0, 16777216, "tokens",
        "rows of the embedding; 0 = as many as the tokenizer has"),
    {"model.tied", OL_CONF_BOOL, AT(model.shape.tied), "true", 0, 0, 0, NULL, "",
     "the head is the embedding"},
    REAL("model.norm_eps", model.shape.norm_eps, "0.0", 0, 1, 0, "",
         "added to the variance in norms; 0 = 1e-5 in gpt2 and llama, 1e-6 in qwen2 and qwen3"),
    REAL("model.rope_theta", model.shape.rope_theta, "10000.0", 0, INFINITY, OL_CONF_ABOVE, "",
         "base of rotary frequencies"),
    WORD("model.rope_scaling", model.shape.rope_scaling, "\"default\"", ol_rope_scalings,
         "of rotary frequencies; llama3: long wavelengths are stretched by the keys below"),
    REAL("model.rope_factor", model.shape.rope_factor, "1.0", 1, INFINITY, 0, "", "by how much"),
    REAL("model.rope_low_freq_factor", model.shape.rope_low_freq_factor, "1.0", 0, INFINITY,
         OL_CONF_ABOVE, "", "wholly, where fewer turns fit the original context"),
    REAL("model.rope_high_freq_factor", model.shape.rope_high_freq_factor, "4.0", 0, INFINITY,
         OL_CONF_ABOVE, "", "not at all, where more do"),
    INT("model.rope_original_context", model.shape.rope_original_context, "0", 0, 1048576,
        "tokens", "which that is"),
    REAL("model.init_std", model.shape.init_std, "0.0", 0, 10, 0, "",
         "standard deviation of random weights; 0 = 0.02 sqrt(768/width), GPT-2's at its width"),

    STRINGS("model.trained", model.trained, "\"all\"",
            "what training moves: \"all\", \"lora\" (an adapter), or tensors by pattern, as h.3.*"),
    WORD("model.frozen", model.frozen, "\"f32\"", stored,
         "how matrices that are not trained are stored, one copy a node"),
    INT("model.lora.rank", model.lora.rank, "8", 1, 65536, "", "of A and B of every adapted map (r)"),
    REAL("model.lora.alpha", model.lora.alpha, "8.0", 0, INFINITY, OL_CONF_ABOVE, "",
         "their product is scaled by alpha/rank"),
    STRINGS("model.lora.targets", model.lora.targets, "[]",
            "adapted maps, as q_proj, or all-linear; none = peft's: c_attn, or q_proj and v_proj"),
    STRING("model.lora.path", model.lora.path, "\"\"",
           "folder of a peft adapter to begin with, whose settings hold; \"\" = a new one"),
    {"model.lora.rslora", OL_CONF_BOOL, AT(model.lora.rslora), "false", 0, 0, 0, NULL, "",
     "scale by alpha/sqrt(rank) instead"},

    STRING("data.root", data.root, "\"\"",
           "folder in MetaICL's layout (config/, data/); \"\" = the built-in suite"),
    STRING("data.setting", data.setting, "\"hr_to_lr\"",
           "which tasks train and test: ROOT/config/SETTING.json; the suite has MetaICL's seven, "
           "and private_labels"),
    WORD("data.variant", data.variant, "\"direct\"", ol_variant_names,
         "score the output given the input, or (channel) the input given the output"),
    STRING("data.tokenizer", data.tokenizer, "\"\"",
           "folder with tokenizer.json, or vocab.json and merges.txt; GGUF file; \"\" = the model's or suite's"),
    INT("data.shots", data.shots, "16", 0, 16384, "examples", "demonstrations in a prompt (k)"),
    INT("data.max_tokens", data.max_tokens, "1024", 2, 1048576, "tokens",
        "longest prompt; a longer one loses its first tokens"),
    INT("data.max_tokens_per_example", data.max_tokens_per_example, "256", 2, 1048576, "tokens",
        "longest example in a prompt; a longer input loses its last tokens"),
    {"data.strict", OL_CONF_BOOL, AT(data.strict), "false", 0, 0, 0, NULL, "",
     "true: a test row with one option, or an output outside its options, is refused, not skipped"},
    INT("data.train_cap", data.train_cap, "0", 0, MANY, "rows",
        "most rows used of a training task; 0 = all"),
    INT("data.holdout", data.holdout, "0", 0, MANY, "tasks",
        "training tasks not trained on but scored, in the place of the setting's targets"),

    STRING("learner.algorithm", learner.algorithm, "\"maml\"",
           "how the model learns to learn: one of the learners listed above"),
    INT("learner.order", learner.order, "2", 1, 2, "",
        "of maml and meta-sgd: 2 = exact gradient through the inner loop, 1 = its first-order part"),
    {"learner.demonstrations", OL_CONF_BOOL, AT(learner.demonstrations), "true", 0, 0, 0, NULL, "",
     "false: its prompts are the row alone, as multitask's are, whatever data.shots"},
    INT("learner.episodes", learner.episodes, "4", 1, 65536, "tasks",
        "episodes of a meta-step (N), spread over the ranks"),
    INT("learner.support", learner.support, "4", 1, 65536, "prompts",
        "of an episode, for the inner loop"),
    INT("learner.query", learner.query, "4", 1, 65536, "prompts",
        "of an episode, for the outer gradient"),
    WORD("learner.inner.optimizer", learner.inner.optimizer, "\"adamw\"", ol_optimizer_names,
         "steps on one task, in training and in adaptation"),
    INT("learner.inner.steps", learner.inner.steps, "1", 1, 1000, "steps", "inner steps (K)"),
    REAL("learner.inner.lr", learner.inner.lr, "1e-3", 0, INFINITY, 0, "", "inner rate"),
    REAL("learner.inner.beta1", learner.inner.beta1, "0.9", 0, 1, OL_CONF_BELOW, "",
         "decay of the first moment"),
    REAL("learner.inner.beta2", learner.inner.beta2, "0.999", 0, 1, OL_CONF_BELOW, "",
         "decay of the second moment"),
    REAL("learner.inner.eps", learner.inner.eps, "1e-8", 0, 1, OL_CONF_ABOVE, "",
         "added to the root of the second moment"),
    REAL("learner.inner.eps_root", learner.inner.eps_root, "1e-8", 0, 1, 0, "",
         "added under that root: keeps gradients through steps from small moments accurate"),
    REAL("learner.inner.weight_decay", learner.inner.weight_decay, "0.0", 0, INFINITY, 0, "",
         "decoupled, on matrices only"),
    WORD("learner.inner.moments", learner.inner.moments, "\"carry\"", ol_moments_names,
         "what both loops share: nothing; read: inner starts from outer; carry: and hands back"),
    WORD("learner.inner.storage", learner.inner.storage, "\"auto\"", ol_storage_names,
         "steps whose activations are kept: the last and what storage_mib holds, the last, none; same bits"),
    INT("learner.inner.storage_mib", learner.inner.storage_mib, "512", 0, 1 << 20, "MiB",
        "memory of a rank for activations of inner steps before the last, where storage is auto"),
    STRINGS("learner.inner.adapts", learner.inner.adapts, "[]",
            "tensors that the inner loop and adaptation move, by pattern; none = what is trained"),
    REAL("learner.outer.lr", learner.outer.lr, "1e-3", 0, INFINITY, 0, "",
         "rate of the outer AdamW"),
    REAL("learner.outer.interpolation", learner.outer.interpolation, "1.0", 0, 1, OL_CONF_ABOVE, "",
         "of reptile, in the place of lr: how far to go to where the inner loops end"),
    WORD("learner.outer.schedule", learner.outer.schedule, "\"linear\"", schedules,
         "of the outer rate, after warmup, over train.steps: constant, or down to 0"),
    INT("learner.outer.warmup", learner.outer.warmup, "0", 0, MANY, "meta-steps",
        "from rate 0 to learner.outer.lr (or interpolation); in an arm rescaled like train.steps"),
    REAL("learner.outer.beta1", learner.outer.beta1, "0.9", 0, 1, OL_CONF_BELOW, "",
         "decay of the first moment"),
    REAL("learner.outer.beta2", learner.outer.beta2, "0.999", 0, 1, OL_CONF_BELOW, "",
         "decay of the second moment"),
    REAL("learner.outer.eps", learner.outer.eps, "1e-8", 0, 1, OL_CONF_ABOVE, "",
         "added to the root of the second moment"),
    REAL("learner.outer.eps_root", learner.outer.eps_root, "0.0", 0, 1, 0, "",
         "added under that root"),
    REAL("learner.outer.weight_decay", learner.outer.weight_decay, "0.0", 0, INFINITY, 0, "",
         "decoupled, on matrices only"),
    REAL("learner.outer.max_grad_norm", learner.outer.max_grad_norm, "1.0", 0, INFINITY, 0, "",
         "the mean gradient is scaled down to this norm; 0 = never"),

    WORD("learner.rates.per", learner.rates.per, "\"tensor\"", rates,
         "of meta-sgd: an inner rate of its own, from learner.inner.lr on, for each"),
    REAL("learner.rates.lr", learner.rates.lr, "0.0", 0, INFINITY, 0, "",
         "of meta-sgd: outer rate of those rates; 0 = learner.outer.lr"),

    INT("train.steps", train.steps, "100", 1, MANY, "meta-steps",
        "length of training; an arm gets as many as cost the same gradient evaluations"),
    INT("train.checkpoint_every", train.checkpoint_every, "0", 0, MANY, "meta-steps",
        "a checkpoint each so many steps; 0 = not by steps; the last step always has one"),
    REAL("train.checkpoint_minutes", train.checkpoint_minutes, "10.0", 0, INFINITY, 0, "minutes",
         "a checkpoint when the newest is this old; 0 = not by time"),
    REAL("train.stall_minutes", train.stall_minutes, "60.0", 0, INFINITY, 0, "minutes",
         "end the run when a rank does not answer the others so long, stopped or lost; 0 = wait for "
         "ever"),
    INT("train.keep_last", train.keep_last, "2", 1, MANY, "checkpoints", "newest ones kept"),
    INT("train.keep_every", train.keep_every, "0", 0, MANY, "meta-steps",
        "checkpoints at multiples of this stay as well; 0 = none"),
    REAL("train.log_seconds", train.log_seconds, "10.0", 0, INFINITY, 0, "s",
         "least time between two progress lines, off a terminal"),
    INT("train.before_every", train.before_every, "10", 0, MANY, "meta-steps",
        "the query loss before adaptation is measured in the first, the last and each so many-th; "
        "0 = never"),
    {"train.second_order_share", OL_CONF_BOOL, AT(train.second_order_share), "false", 0, 0, 0,
     NULL, "", "also record how much of the gradient is second order; costs a first-order pass"},
    {"train.timers", OL_CONF_BOOL, AT(train.timers), "false", 0, 0, 0, NULL, "",
     "also record where the seconds of each meta-step go, in train/phase, and say it at the end"},
    INT("train.max_dropped", train.max_dropped, "3", 1, MANY, "meta-steps",
        "steps in a row with an episode dropped for NaN before the run ends"),

    {"eval.seeds", OL_CONF_INTS, AT(eval.seeds), "[100, 13, 21, 42, 87]", 0, INT_MAX, 0, NULL, "",
     "of the k-shot files to score with"},
    INT("eval.shots", eval.shots, "-1", -1, 16384, "examples",
        "demonstrations when scoring; -1 = data.shots"),
    INT("eval.adapt_rows", eval.adapt_rows, "16", 1, 16384, "rows",
        "rows of a target's k-shot file to adapt on, each the target of one prompt"),
    {"eval.adapt_steps", OL_CONF_INTS, AT(eval.adapt_steps), "[4, 16]", 1, 100000, 0, NULL,
     "steps", "of adaptation after which to score, ascending"},
    REAL("eval.adapt_lr", eval.adapt_lr, "0.0", 0, INFINITY, 0, "",
         "rate of adaptation; 0 = learner.inner.lr; meta-sgd adapts at the rates it learned"),
    {"eval.pmi", OL_CONF_BOOL, AT(eval.pmi), "false", 0, 0, 0, NULL, "",
     "also score in context by PMI: option losses less those after the input N/A; variant direct"},
    INT("eval.rows", eval.rows, "0", 0, MANY, "rows", "most rows of a test file; 0 = all"),

    INT("tune.holdout", tune.holdout, "12", 1, MANY, "tasks",
        "training tasks that cells of the grid are scored on, and meanwhile not trained on"),
    INT("tune.steps", tune.steps, "0", 0, MANY, "meta-steps",
        "train.steps while the grid is searched; 0 = as many as after it"),
    INT("tune.rows", tune.rows, "0", 0, MANY, "rows",
        "rows of a held-out task that are scored; 0 = eval.rows"),
    {"tune.grid", OL_CONF_GRID, AT(tune.grid), "()", 0, 0, 0, NULL, "",
     "keys of learner to choose among: ( ( { learner = { inner = { lr = 0.1; }; }; }, ... ), ... )"},

    WORD("precision", precision, "\"f32\"", ol_products_names,
         "of products of matrices; bf16: 2 to 4 times as fast where the processor has it, oneDNN makes them"),
    INT("threads", threads, "1", 1, 1024, "threads", "BLAS threads of a rank"),
};
/* clang-format on */

const ol_conf_table ol_job_keys = {
    .keys = keys,
    .n = sizeof keys / sizeof keys[0],
    .size = sizeof(ol_job),
    .list = "arms",
    .below = "learner",
    .also = "tune.grid",
    .help = "learners to compare: ( { name = \"a\"; learner = { order = 1; }; } ), "
            "--set arms.a.learner.order=2",
};
