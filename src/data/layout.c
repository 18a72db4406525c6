/* SPDX-License-Identifier: BSD-3-Clause */
#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"

/* A list of strings, whole or NULL. */
static json_t *list_of(const char *const *strings, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        if (json_array_append_new(list, json_string(strings[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

ol_status layout_append_row(ol_text *text, const char *task, const char *input, const char *output,
                            const char *const *options, int n_options)
{
    json_auto_t *row = json_pack("{s:s, s:s, s:s, s:o}", "task", task, "input", input, "output",
                                 output, "options", list_of(options, n_options));
    OL_AUTO_FREE char *dump = row ? json_dumps(row, JSON_PRESERVE_ORDER) : NULL;

    OL_CHECK(dump, OL_ENOMEM, "task %s: no memory for a row", task);
    return ol_text_format(text, "%s\n", dump);
}

ol_status layout_make_folders(const char *root, const char *task)
{
    char path[PATH_MAX];

    OL_TRY(ol_path_format(path, "%s/config/tasks", root));
    OL_TRY(ol_make_folders(path));
    OL_TRY(ol_path_format(path, "%s/data/%s", root, task));
    return ol_make_folders(path);
}

static ol_status write_file(const char *path, const ol_text *text)
{
    FILE *out = fopen(path, "wb");

    OL_CHECK(out, OL_EIO, "%s: cannot write: %s", path, strerror(errno));
    const bool whole = fwrite(text->data, 1, text->size, out) == text->size;
    const bool closed = fclose(out) == 0;
    OL_CHECK(whole && closed, OL_EIO, "%s: cannot write: %s", path, strerror(errno));
    return OL_OK;
}

ol_status layout_write_rows(const char *root, const char *task, int k, int seed, const char *split,
                            const ol_text *text)
{
    char path[PATH_MAX];

    OL_TRY(ol_path_format(path, "%s/data/%s/%s_%d_%d_%s.jsonl", root, task, task, k, seed, split));
    return write_file(path, text);
}

ol_status layout_write_task(const char *root, const char *task, const char *type,
                            const char *const *options, int n_options)
{
    json_t *config = json_pack("{s:s}", "task_type", type);
    char path[PATH_MAX];

    if (n_options > 0)
        json_object_set_new(config, "options", list_of(options, n_options));
    OL_TRY(ol_path_format(path, "%s/config/tasks/%s.json", root, task));
    return layout_write_json(path, config);
}

ol_status layout_write_json(const char *path, json_t *value)
{
    OL_AUTO_FREE char *dump =
        value ? json_dumps(value, JSON_PRESERVE_ORDER | JSON_INDENT(1)) : NULL;
    OL_AUTO_TEXT text = {0};

    json_decref(value);
    OL_CHECK(dump, OL_ENOMEM, "%s: no memory to write it", path);
    OL_TRY(ol_text_format(&text, "%s\n", dump));
    return write_file(path, &text);
}
