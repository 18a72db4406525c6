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

/* eval/prediction, with the column that is of lists. */
typedef struct predictions {
    ol_stored_table table;
    ol_lists losses;
} predictions;

/* What prompts are made with; its target is the one asked for last. */
typedef struct prompter {
    const report_learner *learner;
    char root[PATH_MAX], tokens[PATH_MAX];
    ol_tokenizer *tokenizer; /* NULL: prompts cannot be had */
    ol_target *target;
    char task[512];
    int64_t seed;
    ol_batch batch;
} prompter;

static void finish_predictions(predictions *p)
{
    ol_stored_table_finish(&p->table);
    ol_lists_finish(&p->losses);
}

static ol_status read_predictions(const char *metrics, predictions *p)
{
    const uint32_t wanted = OL_STORED(OL_PREDICTION_LEARNER) | OL_STORED(OL_PREDICTION_TASK) |
                            OL_STORED(OL_PREDICTION_SEED) | OL_STORED(OL_PREDICTION_STEPS) |
                            OL_STORED(OL_PREDICTION_ROW) |
                            OL_STORED(OL_PREDICTION_PREDICTED_INDEX) |
                            OL_STORED(OL_PREDICTION_GOLD_INDEX) |
                            OL_STORED(OL_PREDICTION_PREDICTED) | OL_STORED(OL_PREDICTION_GOLD);
    OL_AUTO_ARCHIVE *file = NULL;

    OL_TRY(ol_archive_open(metrics, &file));
    OL_TRY(ol_stored_table_read(file, &ol_eval_prediction_table, wanted, &p->table));
    if (p->table.n == 0)
        return OL_OK;
    OL_TRY(ol_archive_read_lists(file, "eval/prediction/option_losses", &p->losses));
    OL_CHECK(p->losses.n == p->table.n, OL_EDATA,
             "%s: eval/prediction has columns of unequal length", metrics);
    return OL_OK;
}

static int64_t integer(const predictions *p, int column, size_t i)
{
    return (int64_t)p->table.number[column][i];
}

static const char *text(const predictions *p, int column, size_t i)
{
    return p->table.text[column].items[i];
}

/* --- prompts ---------------------------------------------------------------------------------- */

/* Where the tasks of a run are now: where its job says, or the suite beside its arms. */
static bool find_root(const ol_report *r, const report_learner *l, char root[PATH_MAX])
{
    const char *const below[] = {"suite", "../suite"};
    const char *slash = strrchr(l->metrics, '/');

    if (*l->job->data.root)
        return ol_path_format(root, "%s", l->job->data.root) == OL_OK && ol_path_is_folder(root);
    for (int i = 0; i < 2; i++) {
        if (ol_path_format(root, "%s/%s", r->runs[l->run].path, below[i]) == OL_OK &&
            ol_path_is_folder(root))
            return true;
        if (slash &&
            ol_path_format(root, "%.*s/%s", (int)(slash - l->metrics), l->metrics, below[i]) ==
                OL_OK &&
            ol_path_is_folder(root))
            return true;
    }
    return false;
}

static void open_prompter(const ol_report *r, const report_learner *l, prompter *p)
{
    *p = (prompter){.learner = l};
    if (!l->job || !find_root(r, l, p->root))
        return;
    if (ol_package_of_job(l->job, p->root, p->tokens) != OL_OK ||
        ol_package_tokenizer(p->tokens, &p->tokenizer) != OL_OK)
        p->tokenizer = NULL;
}

static void close_prompter(prompter *p)
{
    ol_target_destroy(p->target);
    ol_batch_finish(&p->batch);
    ol_tokenizer_destroy(p->tokenizer);
}

/* The target of a task under a seed; false when its files are not there or not what they were. */
static bool aim(prompter *p, const char *task, int64_t seed)
{
    const ol_job *job = p->learner->job;
    const ol_target_spec spec = {
        .root = p->root,
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

    if (p->target && p->seed == seed && strcmp(p->task, task) == 0)
        return true;
    ol_target_destroy(p->target);
    p->target = NULL;
    if (ol_target_create(&spec, p->tokenizer, &p->target) != OL_OK)
        return false;
    snprintf(p->task, sizeof p->task, "%s", task);
    p->seed = seed;
    return true;
}

/* Bytes as a string; what is no UTF-8 (a cap can cut a character in two) becomes a question mark. */
static json_t *as_string(const ol_text *bytes)
{
    OL_AUTO_TEXT clean = {0};

    for (size_t at = 0; at < bytes->size;) {
        const size_t valid = ol_utf8_valid(bytes->data + at, bytes->size - at);

        if (ol_text_append(&clean, bytes->data + at, valid) != OL_OK)
            break;
        at += valid;
        if (at < bytes->size && ol_text_append(&clean, "?", 1) == OL_OK)
            at++;
    }
    return json_stringn(clean.data ? clean.data : "", clean.size);
}

/* [what stands before the scored piece, the scored piece]. */
static json_t *split_prompt(const prompter *p, int b)
{
    const int64_t from = p->batch.offsets[b], to = p->batch.offsets[b + 1];
    OL_AUTO_TEXT context = {0}, scored = {0};
    json_t *pair = json_array();
    int64_t cut = from;

    while (cut < to && !p->batch.loss_mask[cut])
        cut++;
    if (ol_tokenizer_decode(p->tokenizer, p->batch.tokens + from, (size_t)(cut - from), &context) ==
            OL_OK &&
        ol_tokenizer_decode(p->tokenizer, p->batch.tokens + cut, (size_t)(to - cut), &scored) ==
            OL_OK) {
        json_array_append_new(pair, as_string(&context));
        json_array_append_new(pair, as_string(&scored));
    }
    return pair;
}

/* Add "arguments" and the options to a sample. False when the prompts cannot be had. */
static bool add_prompts(prompter *p, const predictions *all, size_t i, json_t *sample, json_t *doc)
{
    const size_t options = all->losses.first[i + 1] - all->losses.first[i];
    const int row = (int)integer(all, OL_PREDICTION_ROW, i);
    json_t *arguments, *texts;

    if (!p->tokenizer ||
        !aim(p, text(all, OL_PREDICTION_TASK, i), integer(all, OL_PREDICTION_SEED, i)) ||
        row >= ol_target_rows(p->target) || (size_t)ol_target_options(p->target, row) != options)
        return false;
    ol_batch_clear(&p->batch);
    if (ol_target_row_prompts(p->target, row, &p->batch) != OL_OK)
        return false;
    arguments = json_array();
    texts = json_array();
    for (int b = 0; b < p->batch.B; b++) {
        json_t *option = json_string(ol_target_option(p->target, row, b));

        json_array_append_new(arguments, split_prompt(p, b));
        json_array_append_new(texts, option ? option : json_string("?"));
    }
    json_object_set_new(sample, "arguments", arguments);
    json_object_set_new(doc, "options", texts);
    return true;
}

/* --- lines ------------------------------------------------------------------------------------ */

static json_t *make_sample(prompter *prompts, const predictions *p, size_t i, bool *prompted)
{
    json_t *sample = json_object(), *doc = json_object(), *responses = json_array();
    json_t *filtered = json_array();
    const int64_t right = integer(p, OL_PREDICTION_GOLD_INDEX, i),
                  picked_index = integer(p, OL_PREDICTION_PREDICTED_INDEX, i);

    json_object_set_new(sample, "doc_id", json_integer(integer(p, OL_PREDICTION_ROW, i)));
    json_object_set_new(doc, "task", json_string(text(p, OL_PREDICTION_TASK, i)));
    json_object_set_new(doc, "seed", json_integer(integer(p, OL_PREDICTION_SEED, i)));
    json_object_set_new(doc, "adapt_steps", json_integer(integer(p, OL_PREDICTION_STEPS, i)));
    json_object_set_new(doc, "row", json_integer(integer(p, OL_PREDICTION_ROW, i)));
    *prompted = add_prompts(prompts, p, i, sample, doc);
    json_object_set_new(sample, "doc", doc);
    json_object_set_new(sample, "target", json_integer(right));
    json_object_set_new(sample, "target_text", json_string(text(p, OL_PREDICTION_GOLD, i)));
    json_object_set_new(sample, "predicted_text", json_string(text(p, OL_PREDICTION_PREDICTED, i)));
    for (size_t k = p->losses.first[i]; k < p->losses.first[i + 1]; k++) {
        const double loss = p->losses.values[k];
        const bool picked = (int64_t)(k - p->losses.first[i]) == picked_index;
        json_t *pair = json_array();

        json_array_append_new(pair, isfinite(loss) ? json_real(-loss) : json_null());
        json_array_append_new(pair, json_boolean(picked));
        json_array_append(filtered, pair);
        json_array_append_new(responses, json_pack("[o]", pair));
    }
    json_object_set_new(sample, "resps", responses);
    json_object_set_new(sample, "filtered_resps", filtered);
    json_object_set_new(sample, "acc", json_real(picked_index == right ? 1.0 : 0.0));
    return sample;
}

static ol_status add_line(prompter *prompts, const predictions *p, size_t i, bool *prompted,
                          ol_text *out)
{
    json_auto_t *sample = make_sample(prompts, p, i, prompted);
    OL_AUTO_FREE char *line = json_dumps(sample, JSON_COMPACT | JSON_REAL_PRECISION(9));

    OL_CHECK(line, OL_ENOMEM, "no memory for a sample");
    return ol_text_format(out, "%s\n", line);
}

static ol_status sample_path(const char *folder, const char *label, const char *task,
                             char path[PATH_MAX])
{
    OL_TRY(ol_path_format(path, "%s/samples_%s_%s.jsonl", folder, label, task));
    for (char *c = path + strlen(folder) + 1; *c; c++)
        if (*c == '/')
            *c = '_';
    return OL_OK;
}

static ol_status write_task(const report_learner *l, const char *task, const predictions *p,
                            prompter *prompts, const char *folder, int *files, int *with)
{
    char path[PATH_MAX];
    OL_AUTO_TEXT lines = {0};
    bool all = true;

    for (size_t i = 0; i < p->table.n; i++) {
        bool prompted;

        if (strcmp(text(p, OL_PREDICTION_TASK, i), task) != 0 ||
            strcmp(text(p, OL_PREDICTION_LEARNER, i), l->name) != 0)
            continue;
        OL_TRY(add_line(prompts, p, i, &prompted, &lines));
        all = all && prompted;
    }
    if (lines.size == 0)
        return OL_OK;
    OL_TRY(sample_path(folder, l->label, task, path));
    ++*files;
    *with += all;
    return ol_write_file(path, lines.data, lines.size);
}

static ol_status write_learner(const ol_report *r, const report_learner *l, const char *folder,
                               int *files, int *with)
{
    OL_AUTO(finish_predictions) predictions p = {0};
    OL_AUTO(close_prompter) prompter prompts = {0};

    OL_TRY(read_predictions(l->metrics, &p));
    open_prompter(r, l, &prompts);
    for (int t = r->tasks; t < r->n_subjects; t++)
        OL_TRY(write_task(l, r->subjects[t].task, &p, &prompts, folder, files, with));
    return OL_OK;
}

ol_status ol_report_samples(const ol_report *r, const char *folder, int *files, int *prompts)
{
    *files = *prompts = 0;
    OL_TRY(ol_make_folders(folder));
    for (int l = 0; l < r->n_scored; l++)
        OL_TRY(write_learner(r, r->scored[l], folder, files, prompts));
    return OL_OK;
}
