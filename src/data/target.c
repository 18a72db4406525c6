/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"               /* names_have */
#include "outerloop/base/rng.h"  /* ol_rng_stream */
#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/data/task.h" /* ol_rows */

/* The k-shot rows of one file. */
typedef struct shot_rows {
    ol_rows rows;
    ol_example *examples; /* [rows.n] */
} shot_rows;

struct ol_target {
    ol_tokenizer *tokenizer; /* borrowed */
    char *task;
    ol_prompt_spec prompt;
    int adapt_rows;
    ol_task_config config;
    shot_rows shots; /* demonstrations; and rows to adapt on, where they have the same file */
    shot_rows own;   /* rows to adapt on of another file; none otherwise                    */
    const shot_rows
        *adapt; /* shots or own                                                        */
    ol_rows test;
    ol_tokens pool;          /* of the k-shot rows                                     */
    ol_example_view *demos;  /* [prompt.shots] what stands before every test row       */
    ol_example_view *others; /* [adapt_rows] scratch: what stands before a row left out */
    ol_tokens row_pool;      /* scratch: of one test row                               */
    ol_cut cut;              /* of all rows tokenized and prompts built so far         */
    int skipped;             /* test rows that cannot be scored                        */
    char *first_skipped;     /* what is wrong with the first of them                   */
    ol_tokens scratch;
};

/* Options that a row is scored with: its own, or those of the task's description. */
static char **options_of(const ol_target *t, const ol_row *row, int *n)
{
    *n = row->n_options > 0 ? row->n_options : t->config.n_options;
    return row->n_options > 0 ? row->options : t->config.options;
}

static ol_status check_test_row(const ol_target *t, const ol_row *row)
{
    int n;
    char **options = options_of(t, row, &n);

    OL_CHECK(n >= 2, OL_EDATA,
             "%s:%d: the row has %d option%s, and choosing needs at least two; give it options, or "
             "the task in its config/tasks file",
             t->test.path, row->line, n, n == 1 ? "" : "s");
    OL_CHECK(names_have(options, n, row->output), OL_EDATA,
             "%s:%d: the output \"%.80s\" is not one of the task's %d options", t->test.path,
             row->line, row->output, n);
    return OL_OK;
}

/* Leave out the test rows that cannot be scored, or refuse them. */
static ol_status judge_test_rows(ol_target *t, bool strict)
{
    OL_AUTO_FREE bool *keep = NULL;

    OL_TRY(OL_ALLOCATE(keep, t->test.n, "rows"));
    for (int i = 0; i < t->test.n; i++) {
        keep[i] = check_test_row(t, &t->test.rows[i]) == OL_OK;
        if (keep[i])
            continue;
        if (!t->first_skipped)
            t->first_skipped = strdup(ol_status_message());
        t->skipped++;
        OL_CHECK(!strict, OL_EDATA, "%s (data.strict = false leaves such rows out)",
                 ol_status_message());
        OL_CHECK(t->first_skipped, OL_ENOMEM, "%s: no memory for its rows", t->test.path);
    }
    OL_CHECK(t->skipped < t->test.n, OL_EDATA, "%s; none of the %d rows of the file can be scored",
             t->first_skipped, t->skipped);
    ol_rows_filter(&t->test, keep);
    return OL_OK;
}

static ol_status too_long(const ol_target *t, const ol_rows *rows, const ol_row *row)
{
    return ol_fail(OL_EDATA,
                   "%s:%d: the output or the longest option has so many tokens that nothing of "
                   "the input fits in the %d of an example; raise data.max_tokens_per_example",
                   rows->path, row->line, t->prompt.max_tokens_per_example);
}

/* A target whose scored piece cannot be scored, told with its row. */
static ol_status check_scored(const ol_target *t, const ol_rows *rows, const ol_row *row,
                              bool alone, const ol_example_view *target)
{
    const size_t limit = (size_t)ol_prompt_limit(&t->prompt);

    OL_CHECK(target->n_tail > 0, OL_EDATA,
             "%s:%d: the %s is empty, so that nothing can be scored in the %s variant", rows->path,
             row->line, t->prompt.variant == OL_CHANNEL ? "input" : "option",
             ol_variant_names[t->prompt.variant]);
    OL_CHECK(!alone || target->n_lead + target->n_tail > 1, OL_EDATA,
             "%s:%d: its prompt is one token, which nothing precedes; use shots above 0",
             rows->path, row->line);
    OL_CHECK(target->n_tail <= limit, OL_EDATA,
             "%s:%d: the scored piece has %zu tokens, over a prompt's cap of %zu; raise "
             "data.max_tokens",
             rows->path, row->line, target->n_tail, limit);
    return OL_OK;
}

/* The first n rows of a k-shot file, each of which must do as a demonstration. */
static ol_status tokenize_rows(ol_target *t, shot_rows *shots, int n)
{
    const ol_rows *rows = &shots->rows;

    OL_CHECK(rows->n >= n, OL_EDATA,
             "%s: has %d rows, but %d are asked for; lower %s to %d (or give it more rows)",
             rows->path, rows->n, n,
             t->prompt.shots >= n ? "eval.shots of a job, --k of prompts," : "eval.adapt_rows",
             rows->n);
    OL_TRY(OL_ALLOCATE(shots->examples, n, "examples"));
    for (int i = 0; i < n; i++) {
        const ol_row *row = &rows->rows[i];

        OL_TRY(ol_prompt_tokenize(t->tokenizer, t->prompt.variant, row->input, row->output,
                                  ol_row_is_labelled(row), &t->pool, &shots->examples[i]));
    }
    for (int i = 0; i < n; i++) {
        ol_example_view view = {0};

        if (!ol_prompt_view(&t->prompt, t->pool.ids, &shots->examples[i], i == 0, 0, &view))
            return too_long(t, rows, &rows->rows[i]);
        ol_cut_example(&t->cut, ol_prompt_whole(&shots->examples[i], i == 0),
                       view.n_lead + view.n_tail);
    }
    return OL_OK;
}

static ol_status tokenize_shots(ol_target *t)
{
    const int adapt = t->adapt_rows, shots = t->prompt.shots;

    if (t->adapt == &t->own)
        OL_TRY(tokenize_rows(t, &t->own, adapt));
    OL_TRY(tokenize_rows(t, &t->shots, t->adapt == &t->shots && adapt > shots ? adapt : shots));
    OL_TRY(OL_ALLOCATE(t->others, adapt, "examples"));
    OL_TRY(OL_ALLOCATE(t->demos, shots, "examples"));
    for (int i = 0; i < shots; i++)
        ol_prompt_view(&t->prompt, t->pool.ids, &t->shots.examples[i], i == 0, 0, &t->demos[i]);
    return OL_OK;
}

static ol_status check_spec(const ol_target_spec *spec, const ol_target *t)
{
    OL_TRY(ol_prompt_spec_check(&t->prompt));
    OL_CHECK(spec->rows >= 0, OL_EUSAGE, "eval.rows must be 0 (all) or more, not %d", spec->rows);
    OL_CHECK(spec->adapt_rows >= 0, OL_EUSAGE, "the rows to adapt on must be 0 or more, not %d",
             spec->adapt_rows);
    OL_CHECK(
        spec->adapt_rows != 1 || spec->shots == 0, OL_EUSAGE,
        "task %s: leave-one-out over one row leaves no demonstration; eval.adapt_rows must be 2 or "
        "more",
        spec->task);
    return OL_OK;
}

/* The k-shot files and the test file of a target: those of `shots`, and of `adapt_rows` where that is another. */
static ol_status read_files(ol_target *t, const ol_target_spec *spec, int needed)
{
    char train[PATH_MAX], test[PATH_MAX], adapt[PATH_MAX], unused[PATH_MAX];
    bool same = true;

    OL_TRY(ol_task_target_paths(spec->root, spec->task, spec->named_in, spec->shots, spec->seed,
                                train, test));
    if (spec->adapt_rows > 0) {
        OL_TRY(ol_task_target_paths(spec->root, spec->task, spec->named_in, spec->adapt_rows,
                                    spec->seed, adapt, unused));
        same = spec->shots == 0 || strcmp(train, adapt) == 0;
    }
    OL_TRY(ol_rows_read_test(test, t->task, spec->rows, &t->test));
    if (!same) {
        t->adapt = &t->own;
        OL_TRY(ol_rows_read(adapt, t->task, spec->adapt_rows, &t->own.rows));
        needed = spec->shots;
    }
    return needed > 0
               ? ol_rows_read(spec->shots > 0 ? train : adapt, t->task, needed, &t->shots.rows)
               : OL_OK;
}

/* Move the rows of these numbers. */
static ol_status move_rows(ol_rows *from, const int *order, int n, ol_rows *to)
{
    to->path = strdup(from->path);
    to->rows = calloc((size_t)n + 1, sizeof *to->rows);
    OL_CHECK(to->path && to->rows, OL_ENOMEM, "%s: no memory for its rows", from->path);
    for (; to->n < n; to->n++) {
        to->rows[to->n] = from->rows[order[to->n]];
        from->rows[order[to->n]] = (ol_row){0};
    }
    return OL_OK;
}

/* Of distinct rows, in the order of the seed. */
static ol_status deal_rows(ol_target *t, const ol_target_spec *spec, ol_rows *all, int needed)
{
    ol_rng rng = ol_rng_stream((uint64_t)spec->seed, OL_RNG_ROWS, 0, 0);
    const int n = all->n, rest = n - needed;
    OL_AUTO_FREE int *order = NULL;

    OL_CHECK(
        n > needed, OL_EDATA,
        "%s: has %d distinct rows, but as a held-out task it needs %d to learn from and one or "
        "more to be scored on; lower eval.adapt_rows and eval.shots to %d",
        all->path, n, needed, n > 1 ? n - 1 : 1);
    OL_TRY(OL_ALLOCATE(order, n, "rows"));
    for (int i = 0; i < n; i++)
        order[i] = i;
    ol_rng_shuffle(&rng, order, n);
    OL_TRY(move_rows(all, order, needed, &t->shots.rows));
    return move_rows(all, order + needed, spec->rows > 0 && spec->rows < rest ? spec->rows : rest,
                     &t->test);
}

/* Both parts out of the training file of a held-out task. */
static ol_status split_training_file(ol_target *t, const ol_target_spec *spec, int needed)
{
    char path[PATH_MAX];
    OL_AUTO_ROWS all = {0};
    int k;

    OL_TRY(ol_task_train_path(spec->root, spec->task, spec->named_in, path, &k));
    OL_TRY(ol_rows_read(path, t->task, 0, &all));
    OL_TRY(ol_rows_drop_repeats(&all));
    return deal_rows(t, spec, &all, needed);
}

static ol_status fill(ol_target *t, const ol_target_spec *spec)
{
    const int needed = spec->adapt_rows > spec->shots ? spec->adapt_rows : spec->shots;

    OL_TRY(check_spec(spec, t));
    t->task = strdup(spec->task);
    OL_CHECK(t->task, OL_ENOMEM, "task %s: no memory for it", spec->task);
    OL_TRY(spec->held_out ? split_training_file(t, spec, needed) : read_files(t, spec, needed));
    OL_TRY(ol_task_config_read(spec->root, spec->task, &t->config));
    OL_TRY(judge_test_rows(t, spec->strict));
    return tokenize_shots(t);
}

ol_status ol_target_create(const ol_target_spec *spec, ol_tokenizer *tokenizer, ol_target **out)
{
    OL_AUTO_TARGET *t = calloc(1, sizeof *t);

    *out = NULL;
    OL_CHECK(t, OL_ENOMEM, "task %s: no memory for it", spec->task);
    t->tokenizer = tokenizer;
    t->adapt = &t->shots;
    t->adapt_rows = spec->adapt_rows;
    t->prompt = (ol_prompt_spec){.variant = spec->variant,
                                 .shots = spec->shots,
                                 .max_tokens = spec->max_tokens,
                                 .max_tokens_per_example = spec->max_tokens_per_example};
    OL_TRY(fill(t, spec));
    return OL_GIVE(out, t);
}

void ol_target_destroy(ol_target *target)
{
    if (!target)
        return;
    free(target->task);
    free(target->first_skipped);
    ol_task_config_finish(&target->config);
    ol_rows_finish(&target->shots.rows);
    ol_rows_finish(&target->own.rows);
    free(target->shots.examples);
    free(target->own.examples);
    ol_rows_finish(&target->test);
    ol_tokens_finish(&target->pool);
    ol_tokens_finish(&target->row_pool);
    ol_tokens_finish(&target->scratch);
    free(target->demos);
    free(target->others);
    free(target);
}

int ol_target_rows(const ol_target *target)
{
    return target->test.n;
}

int ol_target_skipped(const ol_target *target, const char **first)
{
    *first = target->first_skipped;
    return target->skipped;
}

const ol_cut *ol_target_cut(const ol_target *target)
{
    return &target->cut;
}

int ol_target_options(const ol_target *target, int row)
{
    int n;

    assert(0 <= row && row < target->test.n);
    options_of(target, &target->test.rows[row], &n);
    return n;
}

const char *ol_target_option(const ol_target *target, int row, int option)
{
    int n;
    char **options;

    assert(0 <= row && row < target->test.n);
    options = options_of(target, &target->test.rows[row], &n);
    assert(0 <= option && option < n);
    return options[option];
}

int ol_target_gold(const ol_target *target, int row)
{
    const int n = ol_target_options(target, row);
    int gold = 0;

    while (gold < n - 1 &&
           strcmp(ol_target_option(target, row, gold), target->test.rows[row].output) != 0)
        gold++;
    return gold; /* check_test_row found it among them */
}

const char *ol_metric_name(ol_metric metric)
{
    return metric == OL_MACRO_F1 ? "macro_f1" : "accuracy";
}

ol_metric ol_target_metric(const ol_target *target)
{
    return target->config.is_classification ? OL_MACRO_F1 : OL_ACCURACY;
}

/* Tokenize a test row with each of its options into row_pool; `longest` of their outputs. */
static ol_status tokenize_row(ol_target *t, const ol_row *row, int n, char **options,
                              ol_example *examples, size_t *longest)
{
    const bool channel = t->prompt.variant == OL_CHANNEL, first = t->prompt.shots == 0;
    const bool labelled = names_label(options, n);

    t->row_pool.n = 0;
    *longest = 0;
    for (int i = 0; i < n; i++) {
        size_t output;

        OL_TRY(ol_prompt_tokenize(t->tokenizer, t->prompt.variant, row->input, options[i], labelled,
                                  &t->row_pool, &examples[i]));
        output = !channel ? examples[i].n_tail : first ? examples[i].n_first : examples[i].n_lead;
        *longest = output > *longest ? output : *longest;
    }
    return OL_OK;
}

/* A prompt of demonstrations and a target, which counts as one that may have been cut. */
static ol_status append_prompt(ol_target *t, const ol_example_view *demos, int n,
                               const ol_example_view *target, ol_batch *out)
{
    size_t whole = target->n_lead + target->n_tail;

    for (int i = 0; i < n; i++)
        whole += demos[i].n_lead + demos[i].n_tail;
    OL_TRY(ol_prompt_append(&t->prompt, demos, n, target, &t->scratch, out));
    ol_cut_prompt(&t->cut, whole, (size_t)(out->offsets[out->B] - out->offsets[out->B - 1]));
    return OL_OK;
}

/* Its input with its longest option, whole and as the cap leaves it. */
static void count_row(ol_target *t, const ol_example *example, const ol_example_view *view,
                      size_t longest)
{
    const bool channel = t->prompt.variant == OL_CHANNEL, first = t->prompt.shots == 0;
    const size_t lead = first ? example->n_first : example->n_lead;
    const size_t input = channel ? example->n_tail : lead;

    ol_cut_example(&t->cut, input + longest, (channel ? view->n_tail : view->n_lead) + longest);
}

ol_status ol_target_row_prompts(ol_target *t, int number, ol_batch *out)
{
    const ol_row *row = &t->test.rows[number];
    const bool first = t->prompt.shots == 0;
    OL_AUTO_FREE ol_example *examples = NULL;
    ol_example_view view = {0};
    size_t longest = 0;
    int n;
    char **options = options_of(t, row, &n);

    assert(0 <= number && number < t->test.n);
    OL_TRY(OL_ALLOCATE(examples, n, "options"));
    OL_TRY(tokenize_row(t, row, n, options, examples, &longest));
    for (int i = 0; i < n; i++) {
        if (!ol_prompt_view(&t->prompt, t->row_pool.ids, &examples[i], first, longest, &view))
            return too_long(t, &t->test, row);
        OL_TRY(check_scored(t, &t->test, row, first, &view));
        OL_TRY(append_prompt(t, t->demos, t->prompt.shots, &view, out));
        if (i == 0)
            count_row(t, &examples[i], &view, longest);
    }
    return OL_OK;
}

/* One option of one row, on the way to its null prompt. */
typedef struct null_key {
    const ol_row *row;
    const char *option;
    bool labelled; /* the row has an option that is not empty */
    int prompt;    /* number of the option among those of all rows */
} null_key;

static int compare_nulls(const void *a, const void *b)
{
    const null_key *x = a, *y = b;
    const int order = strcmp(x->option, y->option);

    if (order != 0)
        return order;
    if (x->labelled != y->labelled)
        return x->labelled ? 1 : -1;
    return (x->prompt > y->prompt) - (x->prompt < y->prompt);
}

static ol_status append_null(ol_target *t, const null_key *key, ol_batch *out)
{
    const bool first = t->prompt.shots == 0;
    ol_example_view view = {0};
    ol_example example;

    t->row_pool.n = 0;
    OL_TRY(ol_prompt_tokenize(t->tokenizer, t->prompt.variant, "N/A", key->option, key->labelled,
                              &t->row_pool, &example));
    if (!ol_prompt_view(&t->prompt, t->row_pool.ids, &example, first, 0, &view))
        return too_long(t, &t->test, key->row);
    OL_TRY(check_scored(t, &t->test, key->row, first, &view));
    return ol_prompt_append(&t->prompt, t->demos, t->prompt.shots, &view, &t->scratch, out);
}

static void list_nulls(const ol_target *t, null_key *keys)
{
    int n = 0;

    for (int r = 0; r < t->test.n; r++) {
        const ol_row *row = &t->test.rows[r];
        int options;
        char **texts = options_of(t, row, &options);
        const bool labelled = names_label(texts, options);

        for (int i = 0; i < options; i++, n++)
            keys[n] = (null_key){row, texts[i], labelled, n};
    }
}

ol_status ol_target_null_prompts(ol_target *target, ol_batch *out, int *null_of)
{
    const int before = out->B;
    OL_AUTO_FREE null_key *keys = NULL;
    int n = 0;

    for (int r = 0; r < target->test.n; r++)
        n += ol_target_options(target, r);
    OL_TRY(OL_ALLOCATE(keys, n, "options"));
    list_nulls(target, keys);
    qsort(keys, (size_t)n, sizeof *keys, compare_nulls);
    for (int i = 0; i < n; i++) {
        if (i == 0 || strcmp(keys[i].option, keys[i - 1].option) != 0 ||
            keys[i].labelled != keys[i - 1].labelled)
            OL_TRY(append_null(target, &keys[i], out));
        null_of[keys[i].prompt] = out->B - before - 1;
    }
    return OL_OK;
}

/* True when row i is one of the demonstrations of the row left out: of the `shots` rows that follow
 * it, going round. */
static bool demonstrates(const ol_target *t, int i, int left_out)
{
    const int after = (i - left_out + t->adapt_rows) % t->adapt_rows;

    return after >= 1 && after <= t->prompt.shots;
}

static ol_status append_left_out(ol_target *t, int left_out, ol_batch *out)
{
    const int32_t *pool = t->pool.ids;
    const ol_rows *rows = &t->adapt->rows;
    const ol_example *examples = t->adapt->examples;
    int n = 0;
    ol_example_view view = {0};

    for (int i = 0; i < t->adapt_rows; i++) {
        if (!demonstrates(t, i, left_out))
            continue;
        if (!ol_prompt_view(&t->prompt, pool, &examples[i], n == 0, 0, &t->others[n]))
            return too_long(t, rows, &rows->rows[i]);
        n++;
    }
    if (!ol_prompt_view(&t->prompt, pool, &examples[left_out], n == 0, 0, &view))
        return too_long(t, rows, &rows->rows[left_out]);
    OL_TRY(check_scored(t, rows, &rows->rows[left_out], n == 0, &view));
    return append_prompt(t, t->others, n, &view, out);
}

ol_status ol_target_adaptation(ol_target *target, ol_batch *out)
{
    for (int i = 0; i < target->adapt_rows; i++)
        OL_TRY(append_left_out(target, i, out));
    return OL_OK;
}

ol_status ol_target_longest(ol_target *target, int *longest)
{
    OL_AUTO(ol_batch_finish) ol_batch batch = {0};

    OL_TRY(ol_target_adaptation(target, &batch));
    *longest = (int)ol_batch_longest(&batch);
    for (int row = 0; row < target->test.n; row++) {
        ol_batch_clear(&batch);
        OL_TRY(ol_target_row_prompts(target, row, &batch));
        if (ol_batch_longest(&batch) > *longest)
            *longest = (int)ol_batch_longest(&batch);
    }
    return OL_OK;
}

ol_status ol_target_check_context(ol_target *target, int context)
{
    int longest = 0;

    OL_TRY(ol_target_longest(target, &longest));
    OL_CHECK(longest <= context, OL_EDATA,
             "target task %s has prompts of %d tokens, but the model's context is %d; lower "
             "data.max_tokens to that, or raise model.context to %d",
             target->task, longest, context, longest);
    return OL_OK;
}
