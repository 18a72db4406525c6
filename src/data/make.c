/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/make.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "outerloop/base/file.h"
#include "outerloop/base/rng.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "lines.h"

enum { TRAIN_K = 16384, TRAIN_SEED = 100, TEST_STREAM = 0, SHOT_STREAM = 1 };

/* A task on its way from a file to files. */
typedef struct maker {
    const ol_make_spec *spec;
    ol_rows rows;
    const char **labels; /* [n_labels] of a classification, in order of appearance; borrowed */
    int n_labels;
    int *order; /* [rows.n] rows in random order: the test file's, then those of the others */
    int *pool;  /* scratch, [rows.n] */
    int *shots; /* scratch, [rows.n] */
    bool *used; /* scratch, [rows.n] */
    int test;   /* rows of the test file */
} maker;

static ol_status check_name(const char *name, const char *option)
{
    bool usable = isalnum((unsigned char)name[0]) && strlen(name) <= 80;

    for (const char *c = name; *c; c++)
        usable = usable && (isalnum((unsigned char)*c) || strchr("._-", *c));
    OL_CHECK(
        usable, OL_EUSAGE,
        "%s \"%s\" becomes the name of files: letters, digits, \"_\", \"-\" and \".\" will do, "
        "80 at most",
        option, name);
    return OL_OK;
}

static ol_status check_spec(const ol_make_spec *spec)
{
    char path[PATH_MAX];

    OL_TRY(check_name(spec->task, "--task"));
    OL_TRY(check_name(spec->setting, "--setting"));
    OL_CHECK(spec->shots > 0, OL_EUSAGE, "--shots must be 1 or more, not %d", spec->shots);
    OL_CHECK(spec->n_seeds > 0, OL_EUSAGE, "--seeds names no seed");
    for (int i = 0; i < spec->n_seeds; i++)
        for (int j = 0; j < i; j++)
            OL_CHECK(spec->seeds[i] != spec->seeds[j], OL_EUSAGE, "--seeds has %d twice",
                     spec->seeds[i]);
    OL_TRY(ol_path_format(path, "%s/config/tasks/%s.json", spec->root, spec->task));
    OL_CHECK(!ol_path_exists(path), OL_EUSAGE,
             "%s: is there already, and nothing is overwritten; name another --task, or remove it "
             "and its data",
             path);
    OL_TRY(ol_path_format(path, "%s/data/%s", spec->root, spec->task));
    OL_CHECK(!ol_path_exists(path), OL_EUSAGE,
             "%s: is there already, and nothing is overwritten; name another --task, or remove it",
             path);
    return OL_OK;
}

static int label_of(const maker *m, const ol_row *row)
{
    int i = 0;

    while (i < m->n_labels && strcmp(m->labels[i], row->output) != 0)
        i++;
    return i;
}

/* The outputs, where rows have no options of their own: few, or they are no labels. */
static ol_status find_labels(maker *m)
{
    const int n = m->rows.n;

    if (m->rows.rows[0].n_options > 0)
        return OL_OK;
    OL_TRY(OL_ALLOCATE(m->labels, n, "labels"));
    for (int i = 0; i < n; i++) {
        const ol_row *row = &m->rows.rows[i];

        if (label_of(m, row) == m->n_labels)
            m->labels[m->n_labels++] = row->output;
        OL_CHECK(2 * m->n_labels <= n, OL_EDATA,
                 "%s:%d: up to here there are %d different outputs, more than half of the %d rows: "
                 "these are no labels; give each row its options (\"options\" of .jsonl, further "
                 "columns of .tsv)",
                 m->spec->file, row->line, m->n_labels, n);
    }
    OL_CHECK(m->n_labels >= 2, OL_EDATA,
             "%s:%d: all rows have the output \"%.80s\"; choosing needs at least two",
             m->spec->file, m->rows.rows[0].line, m->labels[0]);
    return OL_OK;
}

static ol_status append(const maker *m, int i, ol_text *text)
{
    const ol_row *row = &m->rows.rows[i];

    return layout_append_row(text, m->spec->task, row->input, row->output,
                             m->n_labels > 0 ? m->labels : (const char *const *)row->options,
                             m->n_labels > 0 ? m->n_labels : row->n_options);
}

static ol_status write_file(const maker *m, const int *rows, int n, int k, int seed,
                            const char *split)
{
    OL_AUTO_TEXT text = {0};

    for (int i = 0; i < n; i++)
        OL_TRY(append(m, rows[i], &text));
    return layout_write_rows(m->spec->root, m->spec->task, k, seed, split, &text);
}

/* Take n rows of pool[0..size-1] that are not used, label by label in turn while a label has any.
 * Without labels they come as they are. */
static void take_balanced(maker *m, const int *pool, int size, int n, int *out)
{
    for (int taken = 0, label = 0; taken<n; label = m->n_labels> 0 ? (label + 1) % m->n_labels : 0)
        for (int i = 0; i < size; i++) {
            const int row = pool[i];

            if (m->used[row] || (m->n_labels > 0 && label_of(m, &m->rows.rows[row]) != label))
                continue;
            m->used[row] = true;
            out[taken++] = row;
            break;
        }
}

static ol_status write_seed(maker *m, int seed)
{
    static const char *const splits[] = {"train", "dev"};
    const int k = m->spec->shots, size = m->rows.n - m->test;
    ol_rng rng = ol_rng_stream((uint64_t)seed, OL_RNG_SPLIT, SHOT_STREAM, 0);

    memcpy(m->pool, m->order + m->test, (size_t)size * sizeof *m->pool);
    ol_rng_shuffle(&rng, m->pool, size);
    memset(m->used, 0, (size_t)m->rows.n * sizeof *m->used);
    for (int s = 0; s < 2; s++) {
        take_balanced(m, m->pool, size, k, m->shots);
        ol_rng_shuffle(&rng, m->shots, k);
        OL_TRY(write_file(m, m->shots, k, k, seed, splits[s]));
    }
    return write_file(m, m->order, m->test, k, seed, "test");
}

/* Rows for the test file, and enough others. */
static ol_status plan_target(maker *m)
{
    const ol_make_spec *spec = m->spec;
    const int n = m->rows.n, shots = 2 * spec->shots;

    m->test = spec->test > 0 ? spec->test : n / 2;
    OL_CHECK(m->test > 0 && n - m->test >= shots, OL_EDATA,
             "%s: has %d different rows; %d to test on leave %d, but %d shots take %d (a train and "
             "a dev file): lower --shots%s, or give it more rows",
             spec->file, n, m->test, n - m->test, spec->shots, shots,
             spec->test > 0 ? " or --test" : "");
    return OL_OK;
}

static ol_status shuffle_rows(maker *m)
{
    const int n = m->rows.n;
    ol_rng rng = ol_rng_stream(0, OL_RNG_SPLIT, TEST_STREAM, 0);

    OL_TRY(OL_ALLOCATE(m->order, n, "rows"));
    OL_TRY(OL_ALLOCATE(m->pool, n, "rows"));
    OL_TRY(OL_ALLOCATE(m->shots, n, "rows"));
    OL_TRY(OL_ALLOCATE(m->used, n, "rows"));
    for (int i = 0; i < n; i++)
        m->order[i] = i;
    ol_rng_shuffle(&rng, m->order, n);
    return OL_OK;
}

/* Add a name to a list of a setting. */
static ol_status add_name(json_t *setting, const char *path, const char *key, const char *name)
{
    json_t *list = json_object_get(setting, key);
    size_t i;
    json_t *value;

    OL_CHECK(json_is_array(list), OL_EDATA, "%s: has no list \"%s\" to add %s to", path, key, name);
    json_array_foreach(list, i, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), name) == 0)
            return OL_OK;
    }
    OL_CHECK(json_array_append_new(list, json_string(name)) == 0, OL_ENOMEM,
             "%s: no memory to extend it", path);
    return OL_OK;
}

/* The setting as it will be: what is there, or a new one. */
static ol_status plan_setting(const ol_make_spec *spec, const char *path, ol_made *made,
                              json_t **out)
{
    OL_AUTO(ol_setting_finish) ol_setting lists = {0};
    json_error_t error;

    made->setting_is_new = !ol_path_exists(path);
    if (!made->setting_is_new) {
        *out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
        OL_CHECK(*out, OL_EDATA, "%s:%d: not JSON: %s", path, error.line, error.text);
        return OL_OK;
    }
    *out = json_pack("{s:[], s:[]}", "train", "test");
    OL_CHECK(*out, OL_ENOMEM, "%s: no memory for it", path);
    if (!spec->train_from)
        return OL_OK;
    OL_TRY(ol_setting_read(spec->root, spec->train_from, &lists));
    for (int i = 0; i < lists.train.n; i++)
        json_array_append_new(json_object_get(*out, "train"), json_string(lists.train.names[i]));
    return OL_OK;
}

static ol_status write_task(maker *m)
{
    const ol_make_spec *spec = m->spec;

    OL_TRY(layout_make_folders(spec->root, spec->task));
    if (spec->train)
        OL_TRY(write_file(m, m->order, m->rows.n, TRAIN_K, TRAIN_SEED, "train"));
    for (int i = 0; i < spec->n_seeds && !spec->train; i++)
        OL_TRY(write_seed(m, spec->seeds[i]));
    return layout_write_task(spec->root, spec->task,
                             m->n_labels > 0 ? "classification" : "multi-choice", m->labels,
                             m->n_labels);
}

static void finish(maker *m)
{
    free(m->labels);
    free(m->order);
    free(m->pool);
    free(m->shots);
    free(m->used);
    ol_rows_finish(&m->rows);
}

/* What can be refused is, before anything is written. */
ol_status ol_task_make(const ol_make_spec *spec, ol_made *made)
{
    OL_AUTO(finish) maker m = {.spec = spec};
    char path[PATH_MAX];
    json_auto_t *setting = NULL;

    *made = (ol_made){0};
    OL_TRY(check_spec(spec));
    OL_TRY(source_read(spec->file, &m.rows));
    made->repeats = m.rows.n;
    OL_TRY(ol_rows_drop_repeats(&m.rows));
    made->rows = m.rows.n;
    made->repeats -= m.rows.n;
    OL_TRY(find_labels(&m));
    if (!spec->train)
        OL_TRY(plan_target(&m));
    OL_TRY(shuffle_rows(&m));
    made->labels = m.n_labels;
    made->test = m.test;
    OL_TRY(ol_path_format(path, "%s/config/%s.json", spec->root, spec->setting));
    OL_TRY(plan_setting(spec, path, made, &setting));
    OL_TRY(add_name(setting, path, spec->train ? "train" : "test", spec->task));
    OL_TRY(write_task(&m));
    return layout_write_json(path, json_incref(setting));
}
