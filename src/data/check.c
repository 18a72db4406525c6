/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"

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
    int32_t *grown;

    if (t->n_lengths == t->room) {
        grown = realloc(t->lengths, (2 * t->room + 256) * sizeof *grown);
        OL_CHECK(grown, OL_ENOMEM, "task %s: no memory for its lengths", t->name);
        t->lengths = grown;
        t->room = 2 * t->room + 256;
    }
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
    size_t *kept = calloc((size_t)rows->n, sizeof *kept);
    ol_tokens pool = {0};
    ol_status status = OL_OK;
    int n = 0;

    OL_CHECK(kept, OL_ENOMEM, "%s: no memory for its rows", rows->path);
    for (int i = 0; i < rows->n && status == OL_OK; i++) {
        size_t whole = 0;

        status = measure_row(c, rows, &rows->rows[i], &pool, &whole, &kept[n]);
        if (status == OL_OK) {
            ol_cut_example(&t->cut, whole, kept[n++]);
            status = add_length(t, (int64_t)whole);
        } else {
            status = told(c, status);
        }
    }
    if (n > 0)
        count_windows(c, t, kept, n);
    ol_tokens_finish(&pool);
    free(kept);
    return status;
}

/* Rows of a file into `keys`. @return how many it has twice, added to *twice */
static ol_status add_keys(row_keys *keys, const ol_rows *rows, int *twice)
{
    row_keys mine = {0};
    ol_status status = row_keys_add(&mine, rows, 0);

    if (status == OL_OK) {
        row_keys_distinct(&mine);
        *twice += rows->n - (int)mine.n;
        status = row_keys_join(keys, &mine);
    }
    row_keys_finish(&mine);
    return status;
}

static ol_status check_training(checker *c, const char *named_in, task_check *t)
{
    char path[PATH_MAX];
    ol_rows rows;
    int k;
    ol_status status;

    OL_TRY(ol_task_train_path(c->spec->root, t->name, named_in, path, &k));
    OL_TRY(ol_rows_read(path, t->name, 0, &rows));
    t->rows = rows.n;
    status = add_keys(&t->keys, &rows, &t->twice);
    if (status == OL_OK && c->spec->tokenizer)
        status = measure_rows(c, t, &rows);
    ol_rows_finish(&rows);
    return status;
}

/* --- targets ---------------------------------------------------------------------------------- */

/* Every prompt, exactly as it would be scored. The first row at fault stands for all of its file. */
static ol_status measure_target(checker *c, task_check *t, ol_target *target)
{
    ol_batch batch = {0};
    ol_status status = OL_OK;

    for (int row = 0; row < ol_target_rows(target) && status == OL_OK; row++) {
        const int64_t before = ol_target_cut(target)->tokens;

        ol_batch_clear(&batch);
        status = ol_target_row_prompts(target, row, &batch);
        if (status == OL_OK)
            status = add_length(t, ol_target_cut(target)->tokens - before);
    }
    ol_cut_add(&t->cut, ol_target_cut(target));
    ol_batch_finish(&batch);
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
    const char *first;
    ol_target *target;
    ol_status status;

    OL_TRY(ol_target_create(&spec, c->spec->tokenizer, &target));
    const int skipped = ol_target_skipped(target, &first), rows = ol_target_rows(target);

    status = skipped > 0 ? add_fault(c, "  %s (%d of %d rows cannot be scored)\n", first, skipped,
                                     skipped + rows)
                         : OL_OK;
    if (status == OL_OK)
        status = measure_target(c, t, target);
    ol_target_destroy(target);
    return status;
}

static ol_status add_file(row_keys *keys, const char *path, const char *task, bool test, int *rows,
                          int *twice)
{
    ol_rows read;
    ol_status status;

    OL_TRY(test ? ol_rows_read_test(path, task, 0, &read) : ol_rows_read(path, task, 0, &read));
    *rows = read.n;
    status = add_keys(keys, &read, twice);
    ol_rows_finish(&read);
    return status;
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
    int *seeds, n;
    ol_status status;

    OL_TRY(ol_task_seeds(c->spec->root, t->name, c->spec->prompt.shots > 0 ? "train" : "test",
                         &seeds, &n));
    if (n == 0) { /* says which file it looked for */
        char test[PATH_MAX];

        free(seeds);
        return ol_task_target_paths(c->spec->root, t->name, named_in, c->spec->prompt.shots, 100,
                                    NULL, test);
    }
    status = OL_OK;
    for (int i = 0; i < n && status == OL_OK; i++)
        status = told(c, check_seed(c, named_in, seeds[i], t));
    row_keys_distinct(&t->keys);
    row_keys_distinct(&t->shots);
    free(seeds);
    return status;
}

/* --- settings --------------------------------------------------------------------------------- */

/* What is known of a task in a role; looked at when first asked for. */
static ol_status find_task(checker *c, const char *named_in, const char *name, bool target,
                           int *found)
{
    task_check *grown;
    ol_task_config config;
    ol_status status;

    for (*found = 0; *found < c->n; ++*found)
        if (c->tasks[*found].target == target && strcmp(c->tasks[*found].name, name) == 0)
            return OL_OK;
    grown = realloc(c->tasks, (size_t)(c->n + 1) * sizeof *grown);
    OL_CHECK(grown, OL_ENOMEM, "task %s: no memory for it", name);
    c->tasks = grown;
    grown[c->n] = (task_check){.name = strdup(name), .target = target};
    OL_CHECK(grown[c->n].name, OL_ENOMEM, "task %s: no memory for it", name);
    c->n++;
    status = told(c, ol_task_config_read(c->spec->root, name, &config));
    ol_task_config_finish(&config);
    OL_TRY(status);
    return told(c, target ? check_target(c, named_in, &grown[c->n - 1])
                          : check_training(c, named_in, &grown[c->n - 1]));
}

static ol_status look_at(checker *c, const ol_setting *setting, setting_check *s)
{
    s->n_train = setting->train.n;
    s->n_test = setting->test.n;
    s->tasks = calloc((size_t)(s->n_train + s->n_test) + 1, sizeof *s->tasks);
    OL_CHECK(s->tasks, OL_ENOMEM, "%s: no memory for its tasks", setting->path);
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

static ol_status check_setting(checker *c, const char *name, bool details, ol_text *out)
{
    setting_check s = {.name = name};
    ol_setting setting;
    ol_status status;

    OL_TRY(ol_setting_read(c->spec->root, name, &setting));
    status = look_at(c, &setting, &s);
    if (status == OL_OK)
        status = check_describe(c, &s, details, out);
    free(s.tasks);
    row_keys_finish(&s.keys);
    ol_text_finish(&s.both);
    ol_setting_finish(&setting);
    return status;
}

static ol_status check_all(checker *c, ol_text *out)
{
    ol_names settings;
    ol_status status;

    if (c->spec->setting)
        return check_setting(c, c->spec->setting, true, out);
    OL_TRY(ol_settings_list(c->spec->root, &settings));
    status = settings.n > 0 ? OL_OK
                            : ol_fail(OL_EDATA, "%s/config: has no setting; one is SETTING.json",
                                      c->spec->root);
    for (int i = 0; i < settings.n && status == OL_OK; i++)
        status = told(c, check_setting(c, settings.names[i], false, out));
    ol_names_finish(&settings);
    return status;
}

ol_status ol_data_check(const ol_check_spec *spec, ol_text *out, int *faults)
{
    checker c = {.spec = spec};
    ol_status status = ol_prompt_spec_check(&spec->prompt);

    if (status == OL_OK)
        status = check_heading(&c, out);
    if (status == OL_OK)
        status = check_all(&c, out);
    if (status == OL_OK && c.faults > 0)
        status = ol_text_format(out, "\n%d fault%s:\n%s", c.faults, c.faults == 1 ? "" : "s",
                                c.said.data);
    *faults = c.faults;
    for (int i = 0; i < c.n; i++) {
        free(c.tasks[i].name);
        free(c.tasks[i].lengths);
        row_keys_finish(&c.tasks[i].keys);
        row_keys_finish(&c.tasks[i].shots);
    }
    free(c.tasks);
    ol_text_finish(&c.said);
    return status;
}
