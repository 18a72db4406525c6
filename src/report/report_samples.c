/* SPDX-License-Identifier: BSD-3-Clause */
/* Predictions one by one, with the prompts they were made from. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/data/target.h"     /* ol_target */
#include "outerloop/package/package.h" /* ol_package_tokenizer */
#include "report_parts.h"

/* The predictions of a learner, and what their prompts are made with. */
typedef struct sampler {
    const report_learner *learner;
    ol_stored_table table; /* eval/prediction */
    ol_lists losses;       /* [table.n] its column that is of lists */
    char root[PATH_MAX];
    ol_tokenizer *tokenizer; /* NULL: prompts cannot be had */
    ol_target *target;       /* the one asked for last, of that task and seed */
    char task[512];
    int64_t seed;
    ol_batch batch;
} sampler;

static void finish_sampler(sampler *s)
{
    ol_stored_table_finish(&s->table);
    ol_lists_finish(&s->losses);
    ol_target_destroy(s->target);
    ol_batch_finish(&s->batch);
    ol_tokenizer_destroy(s->tokenizer);
}

static ol_status read_predictions(sampler *s)
{
    const char *path = s->learner->metrics;
    OL_AUTO_ARCHIVE *file = NULL;

    OL_TRY(ol_archive_open(path, &file));
    OL_TRY(ol_stored_table_read(
        file, &ol_eval_prediction_table,
        OL_STORED(OL_PREDICTION_LEARNER) | OL_STORED(OL_PREDICTION_TASK) |
            OL_STORED(OL_PREDICTION_SEED) | OL_STORED(OL_PREDICTION_STEPS) |
            OL_STORED(OL_PREDICTION_ROW) | OL_STORED(OL_PREDICTION_PREDICTED_INDEX) |
            OL_STORED(OL_PREDICTION_GOLD_INDEX) | OL_STORED(OL_PREDICTION_PREDICTED) |
            OL_STORED(OL_PREDICTION_GOLD),
        &s->table));
    if (s->table.n == 0)
        return OL_OK;
    OL_TRY(ol_archive_read_lists(file, "eval/prediction/option_losses", &s->losses));
    OL_CHECK(s->losses.n == s->table.n, OL_EDATA,
             "%s: eval/prediction has columns of unequal length", path);
    return OL_OK;
}

static int64_t integer(const sampler *s, int column, size_t i)
{
    return (int64_t)s->table.number[column][i];
}

static const char *text(const sampler *s, int column, size_t i)
{
    return s->table.text[column].items[i];
}

/* --- prompts ---------------------------------------------------------------------------------- */

/* Where the tasks of a run are now: where its job says, or the suite beside its arms. */
static bool find_root(const ol_report *r, const report_learner *l, char root[PATH_MAX])
{
    static const char *const below[] = {"suite", "../suite"};
    const char *slash = strrchr(l->metrics, '/');
    char beside[PATH_MAX] = ".";

    if (*l->job->data.root)
        return ol_path_format(root, "%s", l->job->data.root) == OL_OK && ol_path_is_folder(root);
    if (slash)
        snprintf(beside, sizeof beside, "%.*s", (int)(slash - l->metrics), l->metrics);
    for (int i = 0; i < 4; i++)
        if (ol_path_format(root, "%s/%s", i % 2 ? beside : r->runs[l->run].path, below[i / 2]) ==
                OL_OK &&
            ol_path_is_folder(root))
            return true;
    return false;
}

static void find_tokenizer(const ol_report *r, sampler *s)
{
    const report_learner *l = s->learner;
    char tokens[PATH_MAX];

    if (!l->job || !find_root(r, l, s->root))
        return;
    if (ol_package_of_job(l->job, s->root, tokens) != OL_OK ||
        ol_package_tokenizer(tokens, &s->tokenizer) != OL_OK)
        s->tokenizer = NULL;
}

/* The target of a task under a seed; false when its files are not there or not what they were. */
static bool aim(sampler *s, const char *task, int64_t seed)
{
    const ol_job *job = s->learner->job;
    const ol_target_spec spec = {
        .root = s->root,
        .task = task,
        .seed = (int)seed,
        .variant = (ol_variant)job->data.variant,
        .shots = ol_job_demonstrations(job) ? job->eval.shots : 0,
        .max_tokens = job->data.max_tokens,
        .max_tokens_per_example = job->data.max_tokens_per_example,
        .rows = job->eval.rows,
        .adapt_rows = job->stages & OL_STAGE_ADAPT ? job->eval.adapt_rows : 0,
        .held_out = job->data.holdout > 0,
    };

    if (s->target && s->seed == seed && strcmp(s->task, task) == 0)
        return true;
    ol_target_destroy(s->target);
    s->target = NULL;
    if (ol_target_create(&spec, s->tokenizer, &s->target) != OL_OK)
        return false;
    snprintf(s->task, sizeof s->task, "%s", task);
    s->seed = seed;
    return true;
}

/* Tokens as a string; what is no UTF-8 (a cap can cut a character in two) becomes a question mark. */
static json_t *decode(const sampler *s, int64_t from, int64_t to)
{
    OL_AUTO_TEXT bytes = {0};
    size_t valid;

    if (ol_tokenizer_decode(s->tokenizer, s->batch.tokens + from, (size_t)(to - from), &bytes) !=
        OL_OK)
        return NULL;
    for (size_t at = 0; at < bytes.size; at += valid) {
        valid = ol_utf8_valid(bytes.data + at, bytes.size - at);
        if (at + valid < bytes.size)
            bytes.data[at + valid++] = '?';
    }
    return json_stringn(bytes.data ? bytes.data : "", bytes.size);
}

/* [what stands before the scored piece, the scored piece]. */
static json_t *split_prompt(const sampler *s, int b)
{
    const int64_t from = s->batch.offsets[b], to = s->batch.offsets[b + 1];
    int64_t cut = from;

    while (cut < to && !s->batch.loss_mask[cut])
        cut++;
    return json_pack("[o*,o*]", decode(s, from, cut), decode(s, cut, to));
}

/* The prompts of a prediction and its options. Nothing when they cannot be had. */
static void find_prompts(sampler *s, size_t i, json_t **prompts, json_t **options)
{
    const size_t n = s->losses.first[i + 1] - s->losses.first[i];
    const int row = (int)integer(s, OL_PREDICTION_ROW, i);

    if (!s->tokenizer ||
        !aim(s, text(s, OL_PREDICTION_TASK, i), integer(s, OL_PREDICTION_SEED, i)) ||
        row >= ol_target_rows(s->target) || (size_t)ol_target_options(s->target, row) != n)
        return;
    ol_batch_clear(&s->batch);
    if (ol_target_row_prompts(s->target, row, &s->batch) != OL_OK)
        return;
    *prompts = json_array();
    *options = json_array();
    for (int b = 0; b < s->batch.B; b++) {
        json_t *option = json_string(ol_target_option(s->target, row, b));

        json_array_append_new(*prompts, split_prompt(s, b));
        json_array_append_new(*options, option ? option : json_string("?"));
    }
}

/* --- lines ------------------------------------------------------------------------------------ */

static json_t *make_sample(sampler *s, size_t i, bool *prompted)
{
    const int64_t row = integer(s, OL_PREDICTION_ROW, i),
                  right = integer(s, OL_PREDICTION_GOLD_INDEX, i),
                  picked = integer(s, OL_PREDICTION_PREDICTED_INDEX, i);
    json_t *responses = json_array(), *filtered = json_array(), *arguments = NULL, *options = NULL;
    json_t *doc;

    for (size_t k = s->losses.first[i]; k < s->losses.first[i + 1]; k++) {
        const double loss = s->losses.values[k];
        json_t *pair = json_pack("[o,b]", isfinite(loss) ? json_real(-loss) : json_null(),
                                 (int64_t)(k - s->losses.first[i]) == picked);

        json_array_append(filtered, pair);
        json_array_append_new(responses, json_pack("[o]", pair));
    }
    find_prompts(s, i, &arguments, &options);
    *prompted = arguments != NULL;
    doc = json_pack("{s:o*,s:I,s:I,s:I,s:o*}", "task", json_string(text(s, OL_PREDICTION_TASK, i)),
                    "seed", (json_int_t)integer(s, OL_PREDICTION_SEED, i), "adapt_steps",
                    (json_int_t)integer(s, OL_PREDICTION_STEPS, i), "row", (json_int_t)row,
                    "options", options);
    return json_pack("{s:I,s:o*,s:o,s:I,s:o*,s:o*,s:o,s:o,s:f}", "doc_id", (json_int_t)row,
                     "arguments", arguments, "doc", doc, "target", (json_int_t)right, "target_text",
                     json_string(text(s, OL_PREDICTION_GOLD, i)), "predicted_text",
                     json_string(text(s, OL_PREDICTION_PREDICTED, i)), "resps", responses,
                     "filtered_resps", filtered, "acc", picked == right ? 1.0 : 0.0);
}

/* The lines of a task; with: those files all of whose lines have prompts. */
static ol_status write_task(sampler *s, const char *task, const char *folder, int *files, int *with)
{
    const report_learner *l = s->learner;
    OL_AUTO_TEXT lines = {0};
    char path[PATH_MAX];
    bool all = true;

    for (size_t i = 0; i < s->table.n; i++)
        if (strcmp(text(s, OL_PREDICTION_TASK, i), task) == 0 &&
            strcmp(text(s, OL_PREDICTION_LEARNER, i), l->name) == 0) {
            bool prompted;
            json_auto_t *sample = make_sample(s, i, &prompted);
            OL_AUTO_FREE char *line = json_dumps(sample, JSON_COMPACT | JSON_REAL_PRECISION(9));

            OL_CHECK(line, OL_ENOMEM, "no memory for a sample");
            OL_TRY(ol_text_format(&lines, "%s\n", line));
            all = all && prompted;
        }
    if (lines.size == 0)
        return OL_OK;
    OL_TRY(ol_path_format(path, "%s/samples_%s_%s.jsonl", folder, l->label, task));
    for (char *c = path + strlen(folder) + 1; *c; c++)
        *c = *c == '/' ? '_' : *c;
    ++*files;
    *with += all;
    return ol_write_file(path, lines.data, lines.size);
}

ol_status ol_report_samples(const ol_report *r, const char *folder, int *files, int *prompts)
{
    *files = *prompts = 0;
    OL_TRY(ol_make_folders(folder));
    for (int l = 0; l < r->n_scored; l++) {
        OL_AUTO(finish_sampler) sampler s = {.learner = r->scored[l]};

        OL_TRY(read_predictions(&s));
        find_tokenizer(r, &s);
        for (int t = r->tasks; t < r->n_subjects; t++)
            OL_TRY(write_task(&s, r->subjects[t].task, folder, files, prompts));
    }
    return OL_OK;
}
