/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */

static ol_status add_fault(checker *c, const char *format, const char *detail, int n, int of)
{
    c->faults++;
    return ol_text_format(&c->said, format, detail, n, of);
}

/* A status of what was looked at: a fault is told, and the check goes on. */
static ol_status told(checker *c, ol_status status)
{
    return status == OL_EDATA ? add_fault(c, "  %s\n", ol_status_message(), 0, 0) : status;
}

static ol_status add_length(task_check *t, int64_t tokens)
{
    OL_TRY(OL_GROW(t->lengths, t->n_lengths, "lengths of examples"));
    t->lengths[t->n_lengths++] = (int32_t)tokens;
    return OL_OK;
}

/* --- training tasks --------------------------------------------------------------------------- */

/* Tokens of a row as a later example, whole and as the cap leaves it. */
static ol_status measure_row(const checker *c, const ol_rows *rows, const ol_row *row,
                             ol_tokens *pool, size_t *whole, size_t *kept)
{
    const ol_prompt_spec *prompt = &c->spec->prompt;
    ol_example example;
    ol_example_view view;

    pool->n = 0;
    OL_TRY(ol_prompt_tokenize(c->spec->tokenizer, prompt->variant, row->input, row->output,
                              ol_row_is_labelled(row), pool, &example));
    OL_CHECK(ol_prompt_view(prompt, pool->ids, &example, false, 0, &view), OL_EDATA,
             "%s:%d: the output has so many tokens that nothing of the input fits in the %d of an "
             "example",
             rows->path, row->line, prompt->max_tokens_per_example);
    *whole = ol_prompt_whole(&example, false);
    *kept = view.n_lead + view.n_tail;
    return OL_OK;
}

/* Prompts of each row after the `shots` that precede it, going round. */
static void count_windows(const checker *c, task_check *t, const size_t *kept, int n)
{
    const ol_prompt_spec *prompt = &c->spec->prompt;
    const size_t limit = (size_t)ol_prompt_limit(prompt);
    const int shots = prompt->shots < n ? prompt->shots : n - 1;
    size_t whole = 0;

    for (int i = 0; i < shots; i++)
        whole += kept[i];
    for (int i = 0; i < n; i++) {
        whole += kept[(i + shots) % n];
        ol_cut_prompt(&t->cut, whole, whole < limit ? whole : limit);
        whole -= kept[i];
    }
}

static ol_status measure_rows(checker *c, task_check *t, const ol_rows *rows)
{
    OL_AUTO_FREE size_t *kept = NULL;
    OL_AUTO_TOKENS pool = {0};
    int n = 0;

    OL_TRY(OL_ALLOCATE(kept, rows->n, "rows"));
    for (int i = 0; i < rows->n; i++) {
        size_t whole = 0;
        const ol_status status = measure_row(c, rows, &rows->rows[i], &pool, &whole, &kept[n]);

        OL_TRY(told(c, status));
        if (status != OL_OK)
            continue;
        ol_cut_example(&t->cut, whole, kept[n++]);
        OL_TRY(add_length(t, (int64_t)whole));
    }
    if (n > 0)
        count_windows(c, t, kept, n);
    return OL_OK;
}

/* Rows of a file into `keys`. @return how many it has twice, added to *twice */
static ol_status add_keys(row_keys *keys, const ol_rows *rows, int *twice)
{
    OL_AUTO(row_keys_finish) row_keys mine = {0};

    OL_TRY(row_keys_add(&mine, rows, 0));
    row_keys_distinct(&mine);
    *twice += rows->n - (int)mine.n;
    return row_keys_join(keys, &mine);
}

static ol_status check_training(checker *c, const char *named_in, task_check *t)
{
    OL_AUTO_ROWS rows = {0};
    char path[PATH_MAX];
    int k;

    OL_TRY(ol_task_train_path(c->spec->root, t->name, named_in, path, &k));
    OL_TRY(ol_rows_read(path, t->name, 0, &rows));
    t->rows = rows.n;
    OL_TRY(add_keys(&t->keys, &rows, &t->twice));
    return c->spec->tokenizer ? measure_rows(c, t, &rows) : OL_OK;
}

/* --- targets ---------------------------------------------------------------------------------- */

/* Every prompt, exactly as it would be scored. The first row at fault stands for all of its file. */
static ol_status measure_target(checker *c, task_check *t, ol_target *target)
{
    OL_AUTO(ol_batch_finish) ol_batch batch = {0};
    ol_status status = OL_OK;

    for (int row = 0; row < ol_target_rows(target) && status == OL_OK; row++) {
        const int64_t before = ol_target_cut(target)->tokens;

        ol_batch_clear(&batch);
        status = ol_target_row_prompts(target, row, &batch);
        if (status == OL_OK)
            status = add_length(t, ol_target_cut(target)->tokens - before);
    }
    ol_cut_add(&t->cut, ol_target_cut(target));
    return told(c, status);
}

static ol_status check_prompts(checker *c, const char *named_in, int seed, task_check *t)
{
    const ol_target_spec spec = {
        .root = c->spec->root,
        .named_in = named_in,
        .task = t->name,
        .seed = seed,
        .variant = c->spec->prompt.variant,
        .shots = c->spec->prompt.shots,
        .max_tokens = c->spec->prompt.max_tokens,
        .max_tokens_per_example = c->spec->prompt.max_tokens_per_example,
    };
    OL_AUTO_TARGET *target = NULL;
    const char *first;
    int skipped;

    OL_TRY(ol_target_create(&spec, c->spec->tokenizer, &target));
    skipped = ol_target_skipped(target, &first);
    if (skipped > 0)
        OL_TRY(add_fault(c, "  %s (%d of %d rows cannot be scored)\n", first, skipped,
                         skipped + ol_target_rows(target)));
    return measure_target(c, t, target);
}

static ol_status add_file(row_keys *keys, const char *path, const char *task, bool test, int *rows,
                          int *twice)
{
    OL_AUTO_ROWS read = {0};

    OL_TRY(test ? ol_rows_read_test(path, task, 0, &read) : ol_rows_read(path, task, 0, &read));
    *rows = read.n;
    return add_keys(keys, &read, twice);
}

static ol_status check_seed(checker *c, const char *named_in, int seed, task_check *t)
{
    char train[PATH_MAX], test[PATH_MAX];
    int rows, shots, twice = 0;

    OL_TRY(ol_task_target_paths(c->spec->root, t->name, named_in, c->spec->prompt.shots, seed,
                                train, test));
    OL_TRY(add_file(&t->keys, test, t->name, true, &rows, &twice));
    if (train[0])
        OL_TRY(add_file(&t->shots, train, t->name, false, &shots, &twice));
    t->rows = rows > t->rows ? rows : t->rows;
    t->twice = twice > t->twice ? twice : t->twice; /* test files of seeds are often one */
    t->seeds++;
    return c->spec->tokenizer ? check_prompts(c, named_in, seed, t) : OL_OK;
}

static ol_status check_target(checker *c, const char *named_in, task_check *t)
{
    OL_AUTO_FREE int *seeds = NULL;
    int n;

    OL_TRY(ol_task_seeds(c->spec->root, t->name, c->spec->prompt.shots > 0 ? "train" : "test",
                         &seeds, &n));
    if (n == 0) { /* says which file it looked for */
        char test[PATH_MAX];

        return ol_task_target_paths(c->spec->root, t->name, named_in, c->spec->prompt.shots, 100,
                                    NULL, test);
    }
    for (int i = 0; i < n; i++)
        OL_TRY(told(c, check_seed(c, named_in, seeds[i], t)));
    row_keys_distinct(&t->keys);
    row_keys_distinct(&t->shots);
    return OL_OK;
}

/* --- settings --------------------------------------------------------------------------------- */

/* What is known of a task in a role; looked at when first asked for. */
static ol_status find_task(checker *c, const char *named_in, const char *name, bool target,
                           int *found)
{
    OL_AUTO(ol_task_config_finish) ol_task_config config = {0};
    task_check *t;

    for (*found = 0; *found < c->n; ++*found)
        if (c->tasks[*found].target == target && strcmp(c->tasks[*found].name, name) == 0)
            return OL_OK;
    OL_TRY(OL_GROW(c->tasks, c->n, "tasks"));
    t = &c->tasks[c->n];
    *t = (task_check){.name = strdup(name), .target = target};
    OL_CHECK(t->name, OL_ENOMEM, "task %s: no memory for it", name);
    c->n++;
    OL_TRY(told(c, ol_task_config_read(c->spec->root, name, &config)));
    return told(c, target ? check_target(c, named_in, t) : check_training(c, named_in, t));
}

static ol_status look_at(checker *c, const ol_setting *setting, setting_check *s)
{
    s->n_train = setting->train.n;
    s->n_test = setting->test.n;
    OL_TRY(OL_ALLOCATE(s->tasks, s->n_train + s->n_test, "tasks"));
    for (int i = 0; i < s->n_train + s->n_test; i++) {
        const bool target = i >= s->n_train;
        const char *name = target ? setting->test.names[i - s->n_train] : setting->train.names[i];

        if (target && ol_names_have(&setting->train, name))
            OL_TRY(ol_text_format(&s->both, "  %s is both trained on and tested on\n", name));
        OL_TRY(find_task(c, setting->path, name, target, &s->tasks[i]));
        if (!target)
            OL_TRY(row_keys_join(&s->keys, &c->tasks[s->tasks[i]].keys));
    }
    row_keys_distinct(&s->keys);
    return OL_OK;
}

static void finish_setting(setting_check *s)
{
    free(s->tasks);
    row_keys_finish(&s->keys);
    ol_text_finish(&s->both);
}

static ol_status check_setting(checker *c, const char *name, bool details, ol_text *out)
{
    OL_AUTO(finish_setting) setting_check s = {.name = name};
    OL_AUTO(ol_setting_finish) ol_setting setting = {0};

    OL_TRY(ol_setting_read(c->spec->root, name, &setting));
    OL_TRY(look_at(c, &setting, &s));
    return check_describe(c, &s, details, out);
}

static ol_status check_all(checker *c, ol_text *out)
{
    OL_AUTO(ol_names_finish) ol_names settings = {0};

    if (c->spec->setting)
        return check_setting(c, c->spec->setting, true, out);
    OL_TRY(ol_settings_list(c->spec->root, &settings));
    OL_CHECK(settings.n > 0, OL_EDATA, "%s/config: has no setting; one is SETTING.json",
             c->spec->root);
    for (int i = 0; i < settings.n; i++)
        OL_TRY(told(c, check_setting(c, settings.names[i], false, out)));
    return OL_OK;
}

static void finish_checker(checker *c)
{
    for (int i = 0; i < c->n; i++) {
        free(c->tasks[i].name);
        free(c->tasks[i].lengths);
        row_keys_finish(&c->tasks[i].keys);
        row_keys_finish(&c->tasks[i].shots);
    }
    free(c->tasks);
    ol_text_finish(&c->said);
}

ol_status ol_data_check(const ol_check_spec *spec, ol_text *out, int *faults)
{
    OL_AUTO(finish_checker) checker c = {.spec = spec};

    OL_TRY(ol_prompt_spec_check(&spec->prompt));
    OL_TRY(check_heading(&c, out));
    OL_TRY(check_all(&c, out));
    *faults = c.faults;
    return c.faults == 0 ? OL_OK
                         : ol_text_format(out, "\n%d fault%s:\n%s", c.faults,
                                          c.faults == 1 ? "" : "s", c.said.data);
}
