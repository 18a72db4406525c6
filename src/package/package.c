/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/package/package.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"    /* ol_read_file     */
#include "outerloop/job/start.h"    /* ol_start_find */
#include "outerloop/model/import.h" /* ol_import_is_model */
#include "tokenizer_texts.h"

enum { PACKAGE_BYTES = 256 << 20 /* of a file beside a model */ };

static const char *const names[OL_PACKAGE_FILES] = {"config.json",
                                                    "generation_config.json",
                                                    "tokenizer.json",
                                                    "vocab.json",
                                                    "merges.txt",
                                                    "tokenizer_config.json",
                                                    "special_tokens_map.json",
                                                    "added_tokens.json",
                                                    "chat_template.jinja",
                                                    "LICENSE"};

void ol_package_finish(ol_package *package)
{
    for (int i = 0; package && i < package->n; i++)
        free((char *)(uintptr_t)package->files[i].data);
    if (package)
        *package = (ol_package){0};
}

const ol_checkpoint_file *ol_package_find(const ol_package *package, const char *name)
{
    for (int i = 0; i < package->n; i++)
        if (strcmp(package->files[i].name, name) == 0)
            return &package->files[i];
    return NULL;
}

static void add(ol_package *out, const char *name, char *data, size_t size)
{
    out->files[out->n++] = (ol_checkpoint_file){.name = name, .data = data, .size = size};
}

static ol_status read_folder(const char *folder, ol_package *out)
{
    for (size_t i = 0; i < OL_PACKAGE_FILES; i++) {
        char path[PATH_MAX], *text = NULL;
        size_t size = 0;

        OL_TRY(ol_path_format(path, "%s/%s", folder, names[i]));
        if (!ol_path_exists(path))
            continue;
        OL_TRY(ol_read_file_within(path, PACKAGE_BYTES, &text, &size));
        add(out, names[i], text, size);
    }
    return OL_OK;
}

static ol_status add_made(ol_package *out, const char *name, const ol_gguf *file,
                          ol_status (*make)(const ol_gguf *, ol_text *))
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(make(file, &text));
    add(out, name, text.data, text.size);
    text = (ol_text){0};
    return OL_OK;
}

static ol_status read_gguf(const char *path, ol_package *out)
{
    OL_AUTO(ol_gguf_drop) ol_gguf *file = NULL;

    OL_TRY(ol_gguf_open(path, &file));
    OL_TRY(add_made(out, "tokenizer.json", file, ol_gguf_tokenizer_json));
    OL_TRY(add_made(out, "tokenizer_config.json", file, ol_gguf_tokenizer_config));
    return add_made(out, "config.json", file, ol_gguf_token_ids);
}

static ol_status read_checkpoint(const char *path, ol_package *out)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_checkpoint_open(path, &file));
    for (size_t i = 0; i < OL_PACKAGE_FILES; i++) {
        char *data = NULL;
        size_t size = 0;

        if (!ol_checkpoint_has_file(file, names[i]))
            continue;
        OL_TRY(ol_checkpoint_read_file(file, names[i], &data, &size));
        add(out, names[i], data, size);
    }
    return OL_OK;
}

static bool has_tokenizer_files(const char *folder)
{
    char path[PATH_MAX];

    return (ol_path_format(path, "%s/tokenizer.json", folder) == OL_OK && ol_path_exists(path)) ||
           (ol_path_format(path, "%s/vocab.json", folder) == OL_OK && ol_path_exists(path));
}

ol_status ol_package_complete(ol_package *package)
{
    const ol_checkpoint_file *vocab = ol_package_find(package, "vocab.json");
    const ol_checkpoint_file *merges = ol_package_find(package, "merges.txt");
    ol_text text = {0};

    if (!vocab || !merges || ol_package_find(package, "tokenizer.json"))
        return OL_OK;
    OL_TRY(ol_pair_tokenizer_json(vocab->data, merges->data, &text));
    add(package, "tokenizer.json", text.data, text.size);
    if (ol_package_find(package, "tokenizer_config.json"))
        return OL_OK;
    text = (ol_text){0};
    OL_TRY(ol_pair_tokenizer_config(&text));
    add(package, "tokenizer_config.json", text.data, text.size);
    return OL_OK;
}

static ol_status place_of(const char *path, int depth, char place[PATH_MAX]);

/* The tokenizer that a job uses. */
static ol_status place_of_job(const ol_job *job, int depth, char place[PATH_MAX])
{
    if (job->data.tokenizer[0])
        return ol_path_format(place, "%s", job->data.tokenizer);
    if (job->model.init == OL_INIT_IMPORT)
        return ol_path_format(place, "%s", job->model.path);
    if (job->model.init == OL_INIT_CHECKPOINT)
        return place_of(job->model.path, depth + 1, place);
    if (job->data.root[0])
        OL_TRY(ol_path_format(place, "%s/tokenizer", job->data.root));
    return OL_OK;
}

/* That of a run on the built-in suite, two or three folders above its checkpoints. */
static ol_status place_of_suite(const char *checkpoint, char place[PATH_MAX])
{
    static const char *const up[] = {"..", "../.."};
    char folder[PATH_MAX];

    OL_TRY(ol_path_folder(checkpoint, folder));
    for (size_t i = 0; i < sizeof up / sizeof *up; i++) {
        OL_TRY(ol_path_format(place, "%s/%s/suite/tokenizer", folder, up[i]));
        if (has_tokenizer_files(place))
            return OL_OK;
    }
    place[0] = '\0';
    return OL_OK;
}

static ol_status place_of_checkpoint(const char *path, int depth, char place[PATH_MAX])
{
    OL_AUTO_CHECKPOINT *file = NULL;
    OL_AUTO_JOB *job = NULL;

    OL_TRY(ol_checkpoint_open(path, &file));
    if (ol_archive_is_group(ol_checkpoint_archive(file), "files"))
        return ol_path_format(place, "%s", path);
    OL_TRY(ol_start_job(file, path, &job));
    OL_TRY(place_of_job(job, depth, place));
    return place[0] ? OL_OK : place_of_suite(path, place);
}

/* Where the texts of a model are: a folder with tokenizer files, a GGUF file or a checkpoint that
 * holds them; "" when there are none. */
static ol_status place_of(const char *path, int depth, char place[PATH_MAX])
{
    char found[PATH_MAX];

    place[0] = '\0';
    OL_CHECK(depth < OL_MOST_STARTS, OL_EDATA, "%s: it stands on more than %d other checkpoints",
             path, OL_MOST_STARTS);
    if (ol_import_is_model(path) || (ol_path_is_folder(path) && has_tokenizer_files(path)))
        return ol_path_format(place, "%s", path);
    OL_TRY(ol_start_find(path, found));
    return found[0] ? place_of_checkpoint(found, depth, place) : OL_OK;
}

ol_status ol_package_read(const char *path, ol_package *out)
{
    char place[PATH_MAX];

    *out = (ol_package){0};
    OL_TRY(place_of(path, 0, place));
    if (!place[0])
        return OL_OK;
    if (ol_path_is_folder(place) || !ol_path_exists(place))
        return read_folder(place, out);
    return ol_gguf_is_one(place) ? read_gguf(place, out) : read_checkpoint(place, out);
}

ol_status ol_package_of_job(const ol_job *job, const char *root, char path[PATH_MAX])
{
    path[0] = '\0';
    if (job->data.tokenizer[0] || job->model.init == OL_INIT_IMPORT)
        return place_of_job(job, 0, path);
    if (job->model.init == OL_INIT_CHECKPOINT)
        OL_TRY(place_of(job->model.path, 0, path));
    return ol_path_exists(path) ? OL_OK : ol_path_format(path, "%s/tokenizer", root);
}

ol_status ol_package_tokenizer(const char *path, ol_tokenizer **out)
{
    const ol_checkpoint_file *json, *vocab, *merges;
    OL_AUTO(ol_package_finish) ol_package package = {0};
    char place[PATH_MAX] = "";

    *out = NULL;
    if (ol_path_is_folder(path) || ol_gguf_is_one(path) || ol_checkpoint_is_one(path))
        OL_TRY(place_of(path, 0, place));
    if (!place[0] || ol_path_is_folder(place))
        return ol_tokenizer_load(place[0] ? place : path, out); /* which says what is not there */
    OL_TRY(ol_package_read(place, &package));
    json = ol_package_find(&package, "tokenizer.json");
    vocab = ol_package_find(&package, "vocab.json");
    merges = ol_package_find(&package, "merges.txt");
    if (json)
        return ol_tokenizer_parse(place, json->data, json->size, out);
    OL_CHECK(vocab && merges, OL_EDATA, "%s: holds no tokenizer", place);
    return ol_tokenizer_parse_pair(place, vocab->data, vocab->size, merges->data, merges->size,
                                   out);
}
