/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/sampler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/log.h"  /* ol_log_warn   */
#include "outerloop/base/rng.h"  /* ol_rng_stream */
#include "outerloop/base/size.h" /* OL_ALLOCATE   */
#include "outerloop/data/task.h" /* ol_rows       */

/* A kept row: its two tokenized forms, and where it came from. */
typedef struct kept_row {
    ol_example example; /* offsets into the task's pool */
    int line;
    bool is_target; /* its scored piece is not empty */
} kept_row;

typedef struct train_task {
    char *name;
    kept_row *rows; /* [n] */
    int n;
    int *targets; /* [n_targets] rows that may be targets */
    int n_targets;
    ol_tokens pool;
    int longest; /* tokens of the longest prompt */
    ol_cut cut;  /* of its examples */
} train_task;

struct ol_sampler {
    ol_prompt_spec prompt; /* shots as drawn: 0 without demonstrations */
    int support, query;
    uint64_t seed;
    train_task *tasks; /* [n] */
    int n;
};

static int prompts_of(const ol_sampler *s)
{
    return s->support + s->query;
}

/* Rows that a task needs, see sampler.h. */
static int rows_needed(const ol_sampler *s)
{
    int need = prompts_of(s);

    if (s->support > 0 && s->prompt.shots + 1 + s->query > need)
        need = s->prompt.shots + 1 + s->query;
    if (s->query > 0 && s->prompt.shots + 1 + s->support > need)
        need = s->prompt.shots + 1 + s->support;
    return need;
}

static ol_status add_row(const ol_sampler *s, train_task *task, ol_tokenizer *tokenizer,
                         const ol_rows *rows, const ol_row *row)
{
    kept_row *kept = &task->rows[task->n];
    ol_example_view first = {0}, later = {0};

    OL_TRY(ol_prompt_tokenize(tokenizer, s->prompt.variant, row->input, row->output,
                              ol_row_is_labelled(row), &task->pool, &kept->example));
    OL_CHECK(ol_prompt_view(&s->prompt, task->pool.ids, &kept->example, true, 0, &first) &&
                 ol_prompt_view(&s->prompt, task->pool.ids, &kept->example, false, 0, &later),
             OL_EDATA,
             "%s:%d: the output has so many tokens that nothing of the input fits in the %d of an "
             "example; shorten it or raise data.max_tokens_per_example",
             rows->path, row->line, s->prompt.max_tokens_per_example);
    const bool alone = s->prompt.shots == 0;

    ol_cut_example(&task->cut, ol_prompt_whole(&kept->example, alone),
                   alone ? first.n_lead + first.n_tail : later.n_lead + later.n_tail);
    kept->line = row->line;
    /* With nothing before it, a tail of one token would have no scored one. */
    kept->is_target = s->prompt.shots > 0 ? later.n_tail > 0
                                          : first.n_tail > 0 && first.n_lead + first.n_tail > 1;
    OL_CHECK(!kept->is_target || (first.n_tail <= (size_t)ol_prompt_limit(&s->prompt)), OL_EDATA,
             "%s:%d: the scored piece has %zu tokens, over a prompt's cap of %d; raise "
             "data.max_tokens",
             rows->path, row->line, first.n_tail, ol_prompt_limit(&s->prompt));
    if (kept->is_target)
        task->targets[task->n_targets++] = task->n;
    task->n++;
    return OL_OK;
}

/* The keys that ask for more than the task has, with values that it can meet. */
static ol_status too_few(const ol_sampler *s, const train_task *task, const char *path)
{
    const int fit = task->n_targets < task->n ? task->n_targets : task->n;
    const int other = s->support > s->query ? s->support : s->query;
    const int shots = task->n - 1 - (s->support > 0 && s->query > 0 ? other : 0);
    char remedy[128] = "";

    if (prompts_of(s) > fit && fit > 1)
        snprintf(remedy, sizeof remedy,
                 "lower learner.support and learner.query to %d together, or ", fit);
    else if (prompts_of(s) <= fit && shots >= 0)
        snprintf(remedy, sizeof remedy, "lower data.shots to %d, or ", shots);
    return ol_fail(OL_EDATA,
                   "%s: task %s has %d distinct rows (%d with something to score), too few for an "
                   "episode of %d support and %d query prompts with %d demonstrations, which needs "
                   "%d; %sgive it more rows",
                   path, task->name, task->n, task->n_targets, s->support, s->query,
                   s->prompt.shots, rows_needed(s), remedy);
}

static ol_status fill_task(const ol_sampler *s, train_task *task, ol_tokenizer *tokenizer,
                           const ol_rows *rows)
{
    const int need = rows_needed(s);

    OL_TRY(OL_ALLOCATE(task->rows, rows->n, "rows"));
    OL_TRY(OL_ALLOCATE(task->targets, rows->n, "rows"));
    for (int i = 0; i < rows->n; i++)
        OL_TRY(add_row(s, task, tokenizer, rows, &rows->rows[i]));
    if (task->n < need || task->n_targets < prompts_of(s))
        return too_few(s, task, rows->path);
    return OL_OK;
}

static int descending(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x < y) - (x > y);
}

/* The shots + 1 longest rows together, less what the first of them saves on newlines. */
static ol_status find_longest(const ol_sampler *s, train_task *task)
{
    const size_t limit = (size_t)ol_prompt_limit(&s->prompt);
    OL_AUTO_FREE size_t *lengths = NULL;
    size_t sum = 0, saved = SIZE_MAX;
    ol_example_view view = {0};

    OL_TRY(OL_ALLOCATE(lengths, task->n, "rows"));
    for (int i = 0; i < task->n; i++) {
        size_t first;

        ol_prompt_view(&s->prompt, task->pool.ids, &task->rows[i].example, true, 0, &view);
        first = view.n_lead + view.n_tail;
        ol_prompt_view(&s->prompt, task->pool.ids, &task->rows[i].example, false, 0, &view);
        lengths[i] = view.n_lead + view.n_tail;
        if (first <= lengths[i] && lengths[i] - first < saved)
            saved = lengths[i] - first;
    }
    qsort(lengths, (size_t)task->n, sizeof *lengths, descending);
    for (int i = 0; i <= s->prompt.shots; i++)
        sum += lengths[i];
    if (saved != SIZE_MAX)
        sum -= saved;
    task->longest = (int)(sum < limit ? sum : limit);
    return OL_OK;
}

/* Read one task's rows, tokenize them, forget the text. */
static ol_status load_task(const ol_sampler *s, const char *path, int cap, ol_tokenizer *tokenizer,
                           train_task *task)
{
    OL_AUTO_ROWS rows = {0};

    OL_TRY(ol_rows_read(path, task->name, cap, &rows));
    OL_TRY(ol_rows_drop_repeats(&rows));
    OL_TRY(fill_task(s, task, tokenizer, &rows));
    return find_longest(s, task);
}

static ol_status load_tasks(ol_sampler *s, const ol_sampler_spec *spec, const ol_setting *setting,
                            ol_tokenizer *tokenizer)
{
    int few_shot = 0;

    OL_CHECK(setting->train.n > 0, OL_EDATA, "%s: \"train\" names no task", setting->path);
    OL_TRY(OL_ALLOCATE(s->tasks, setting->train.n, "tasks"));
    for (int i = 0; i < setting->train.n; i++) {
        train_task *task = &s->tasks[s->n++];
        OL_AUTO(ol_task_config_finish) ol_task_config config = {0};
        char path[PATH_MAX];
        int k;

        task->name = strdup(setting->train.names[i]);
        OL_CHECK(task->name, OL_ENOMEM, "%s: no memory for its tasks", setting->path);
        OL_TRY(ol_task_train_path(spec->root, task->name, setting->path, path, &k));
        OL_TRY(ol_task_config_read(spec->root, task->name, &config));
        OL_TRY(load_task(s, path, spec->train_cap, tokenizer, task));
        few_shot += k <= 16;
    }
    if (few_shot > 0)
        ol_log_warn("%d of the %d training tasks of %s have only a k-shot file of 16 rows or "
                    "fewer; they are trained on that",
                    few_shot, s->n, setting->path);
    return OL_OK;
}

static ol_status check_spec(const ol_sampler_spec *spec, const ol_sampler *s)
{
    OL_TRY(ol_prompt_spec_check(&s->prompt));
    OL_CHECK(spec->support >= 0 && spec->query >= 0 && spec->support + spec->query > 0, OL_EUSAGE,
             "learner.support and learner.query must be 0 or more and not both 0, not %d and %d",
             spec->support, spec->query);
    OL_CHECK(spec->train_cap >= 0, OL_EUSAGE, "data.train_cap must be 0 (all rows) or more, not %d",
             spec->train_cap);
    return OL_OK;
}

ol_status ol_sampler_create(const ol_sampler_spec *spec, ol_tokenizer *tokenizer, ol_sampler **out)
{
    OL_AUTO(ol_sampler_drop) ol_sampler *s = calloc(1, sizeof *s);
    OL_AUTO(ol_setting_finish) ol_setting setting = {0};

    *out = NULL;
    OL_CHECK(s, OL_ENOMEM, "no memory for the sampler");
    s->prompt = (ol_prompt_spec){.variant = spec->variant,
                                 .shots = spec->demonstrations ? spec->shots : 0,
                                 .max_tokens = spec->max_tokens,
                                 .max_tokens_per_example = spec->max_tokens_per_example};
    s->support = spec->support;
    s->query = spec->query;
    s->seed = spec->seed;
    OL_TRY(check_spec(spec, s));
    OL_TRY(ol_setting_read(spec->root, spec->setting, &setting));
    OL_TRY(ol_setting_hold_out(spec->root, spec->holdout, &setting));
    OL_TRY(load_tasks(s, spec, &setting, tokenizer));
    return OL_GIVE(out, s);
}

void ol_sampler_destroy(ol_sampler *sampler)
{
    if (!sampler)
        return;
    for (int i = 0; i < sampler->n; i++) {
        free(sampler->tasks[i].name);
        free(sampler->tasks[i].rows);
        free(sampler->tasks[i].targets);
        ol_tokens_finish(&sampler->tasks[i].pool);
    }
    free(sampler->tasks);
    free(sampler);
}

/* Tasks in the order that a round of a step has: episode n has place n % tasks of round n / tasks. */
static void draw_order(const ol_sampler *s, uint32_t step, int round, int *order)
{
    ol_rng rng = ol_rng_stream(s->seed, OL_RNG_TASKS, step, (uint32_t)round);

    for (int i = 0; i < s->n; i++)
        order[i] = i;
    ol_rng_shuffle(&rng, order, s->n);
}

/* What a row is to an episode. */
enum { FREE = 0, SUPPORT_TARGET, QUERY_TARGET };

static void draw_targets(const ol_sampler *s, const train_task *task, ol_rng *rng, uint32_t *use,
                         int *targets)
{
    for (int i = 0; i < prompts_of(s); i++) {
        int row;

        do
            row = task->targets[ol_rng_below(rng, (uint32_t)task->n_targets)];
        while (use[row] != FREE);
        use[row] = i < s->support ? SUPPORT_TARGET : QUERY_TARGET;
        targets[i] = row;
    }
}

/* Demonstrations of prompt i: no target of the other side, not its own, none twice (`seen` has the
 * last prompt that took a row, plus 1). Rows enough are there, so trying again comes to an end. */
static void draw_demos(const ol_sampler *s, const train_task *task, ol_rng *rng,
                       const uint32_t *use, int i, const int *targets, int *demos, uint32_t *seen)
{
    const uint32_t other = i < s->support ? QUERY_TARGET : SUPPORT_TARGET;

    for (int j = 0; j < s->prompt.shots; j++) {
        uint32_t row;

        do
            row = ol_rng_below(rng, (uint32_t)task->n);
        while ((int)row == targets[i] || use[row] == other || seen[row] == (uint32_t)i + 1);
        seen[row] = (uint32_t)i + 1;
        demos[j] = (int)row;
    }
}

/* The rows of an episode whose task is known. */
static ol_status draw_rows(const ol_sampler *s, uint32_t step, int n, int task_index,
                           ol_episode_rows *out)
{
    const int prompts = prompts_of(s), shots = s->prompt.shots;
    const train_task *task = &s->tasks[task_index];
    ol_rng rng = ol_rng_stream(s->seed, OL_RNG_EPISODE, step, (uint32_t)n);
    OL_AUTO(ol_episode_rows_finish)
    ol_episode_rows rows = {.task = task_index, .prompts = prompts, .shots = shots};
    OL_AUTO_FREE uint32_t *use = NULL;

    *out = (ol_episode_rows){0};
    OL_TRY(OL_ALLOCATE(rows.targets, prompts, "rows of an episode"));
    OL_TRY(OL_ALLOCATE(rows.demos, (size_t)prompts * (size_t)shots, "rows of an episode"));
    OL_TRY(OL_ALLOCATE(use, 2 * (size_t)task->n, "rows of an episode"));
    draw_targets(s, task, &rng, use, rows.targets);
    for (int i = 0; i < prompts; i++)
        draw_demos(s, task, &rng, use, i, rows.targets, rows.demos + (ptrdiff_t)i * shots,
                   use + task->n);
    return OL_GIVE(out, rows);
}

ol_status ol_sampler_rows(const ol_sampler *sampler, uint32_t step, int N, int n,
                          ol_episode_rows *out)
{
    OL_AUTO_FREE int *order = NULL;

    assert(0 <= n && n < N);
    (void)N;
    OL_TRY(OL_ALLOCATE(order, sampler->n, "tasks"));
    draw_order(sampler, step, n / sampler->n, order);
    return draw_rows(sampler, step, n, order[n % sampler->n], out);
}

void ol_episode_rows_finish(ol_episode_rows *rows)
{
    if (!rows)
        return;
    free(rows->targets);
    free(rows->demos);
    *rows = (ol_episode_rows){0};
}

static ol_example_view view_of(const ol_sampler *s, const train_task *task, int row, bool first)
{
    ol_example_view view;
    const bool fits =
        ol_prompt_view(&s->prompt, task->pool.ids, &task->rows[row].example, first, 0, &view);

    assert(fits); /* add_row refused the others */
    (void)fits;
    return view;
}

/* Views of the demonstrations of prompt i and of its target, which goes last: [shots + 1]. */
static void prompt_views(const ol_sampler *s, const ol_episode_rows *rows, int i,
                         ol_example_view *views)
{
    const train_task *task = &s->tasks[rows->task];
    const int shots = s->prompt.shots;

    for (int j = 0; j < shots; j++)
        views[j] = view_of(s, task, rows->demos[(ptrdiff_t)i * shots + j], j == 0);
    views[shots] = view_of(s, task, rows->targets[i], shots == 0);
}

ol_status ol_sampler_draw(const ol_sampler *s, uint32_t step, int N, int n, ol_episode *out)
{
    const int shots = s->prompt.shots;
    OL_AUTO_FREE ol_example_view *views = NULL;
    OL_AUTO(ol_episode_rows_finish) ol_episode_rows rows = {0};
    OL_AUTO_TOKENS scratch = {0};

    ol_batch_clear(&out->support);
    ol_batch_clear(&out->query);
    OL_TRY(OL_ALLOCATE(views, shots + 1, "examples"));
    OL_TRY(ol_sampler_rows(s, step, N, n, &rows));
    out->task = rows.task;
    for (int i = 0; i < rows.prompts; i++) {
        prompt_views(s, &rows, i, views);
        OL_TRY(ol_prompt_append(&s->prompt, views, shots, &views[shots], &scratch,
                                i < s->support ? &out->support : &out->query));
    }
    return OL_OK;
}

static void cost_of(const ol_sampler *s, const ol_episode_rows *rows, ol_episode_cost *out)
{
    const train_task *task = &s->tasks[rows->task];
    const int shots = s->prompt.shots;

    *out = (ol_episode_cost){.task = rows->task};
    for (int i = 0; i < rows->prompts; i++) {
        const ol_example_view target = view_of(s, task, rows->targets[i], shots == 0);
        size_t before = 0;

        for (int j = 0; j < shots; j++) {
            const ol_example_view demo =
                view_of(s, task, rows->demos[(ptrdiff_t)i * shots + j], j == 0);

            before += demo.n_lead + demo.n_tail;
        }
        const int64_t length = (int64_t)ol_prompt_length(&s->prompt, before, &target);

        ol_cut_prompt(&out->cut, before + target.n_lead + target.n_tail, (size_t)length);
        ol_prompts_size_add(i < s->support ? &out->support : &out->query, length,
                            (int64_t)target.n_tail);
    }
}

ol_status ol_sampler_costs(const ol_sampler *sampler, uint32_t step, int N, ol_episode_cost *out)
{
    OL_AUTO_FREE int *order = NULL;

    OL_TRY(OL_ALLOCATE(order, sampler->n, "tasks"));
    for (int n = 0; n < N; n++) {
        const int place = n % sampler->n;
        OL_AUTO(ol_episode_rows_finish) ol_episode_rows rows = {0};

        if (place == 0)
            draw_order(sampler, step, n / sampler->n, order);
        OL_TRY(draw_rows(sampler, step, n, order[place], &rows));
        cost_of(sampler, &rows, &out[n]);
    }
    return OL_OK;
}

int ol_sampler_tasks(const ol_sampler *sampler)
{
    return sampler->n;
}

const char *ol_sampler_task(const ol_sampler *sampler, int task)
{
    assert(0 <= task && task < sampler->n);
    return sampler->tasks[task].name;
}

int ol_sampler_task_rows(const ol_sampler *sampler, int task)
{
    assert(0 <= task && task < sampler->n);
    return sampler->tasks[task].n;
}

int ol_sampler_row_line(const ol_sampler *sampler, int task, int row)
{
    assert(0 <= row && row < ol_sampler_task_rows(sampler, task));
    return sampler->tasks[task].rows[row].line;
}

const ol_cut *ol_sampler_cut(const ol_sampler *sampler, int task)
{
    assert(0 <= task && task < sampler->n);
    return &sampler->tasks[task].cut;
}

int ol_sampler_longest(const ol_sampler *sampler, int task)
{
    assert(0 <= task && task < sampler->n);
    return sampler->tasks[task].longest;
}

ol_status ol_sampler_check_context(const ol_sampler *sampler, int context)
{
    for (int i = 0; i < sampler->n; i++)
        OL_CHECK(sampler->tasks[i].longest <= context, OL_EDATA,
                 "training task %s has prompts of up to %d tokens, but the model's context is %d; "
                 "lower data.max_tokens to that, or raise model.context to %d",
                 sampler->tasks[i].name, sampler->tasks[i].longest, context,
                 sampler->tasks[i].longest);
    return OL_OK;
}
