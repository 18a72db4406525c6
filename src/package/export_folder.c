/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/package/export_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"  /* ol_make_folders */
#include "outerloop/eval/table.h" /* OL_TABLE_WIDTH */
#include "outerloop/job/start.h"  /* ol_start_find */
#include "outerloop/package/package.h"
#include "outerloop/record/score_book.h"
#include "outerloop/record/snapshot.h" /* ol_snapshot_load */

/* What is exported. */
typedef struct source {
    const ol_export_order *order;
    char path[PATH_MAX]; /* the checkpoint */
    int64_t step;
    char digest[OL_DIGEST_TEXT];
    char *origin; /* of an imported one, or NULL */
    ol_job *job;
    ol_model *model;
    float *theta;
    bool adapter;
    ol_package texts;     /* beside the model that it began with */
    ol_package tokenizer; /* of the run                          */
} source;

static void finish(source *s)
{
    ol_package_finish(&s->texts);
    ol_package_finish(&s->tokenizer);
    if (s->model)
        free((void *)(uintptr_t)s->model->block);
    free(s->theta);
    free(s->origin);
    ol_model_destroy(s->model);
    ol_job_destroy(s->job);
}

/* Where it comes from, by its own word. */
static ol_status read_origin(source *s)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_start_find(s->order->checkpoint, s->path));
    OL_CHECK(s->path[0], OL_EDATA, "%s: no checkpoint is there", s->order->checkpoint);
    OL_TRY(ol_checkpoint_open(s->path, &file));
    s->step = ol_checkpoint_head(file)->step;
    snprintf(s->digest, sizeof s->digest, "%s", ol_checkpoint_head(file)->digest);
    return ol_archive_has_attribute(ol_checkpoint_archive(file), "/", "origin")
               ? ol_archive_get_text(ol_checkpoint_archive(file), "/", "origin", &s->origin)
               : OL_OK;
}

static ol_status read_source(source *s)
{
    const ol_export_order *order = s->order;

    OL_TRY(read_origin(s));
    OL_TRY(ol_snapshot_load(s->path, &s->job, &s->model, &s->theta));
    OL_CHECK(s->model->lora || !order->merge, OL_EUSAGE, "--merge: %s trains no adapter", s->path);
    s->adapter = s->model->lora && !order->merge;
    if (s->job->model.init != OL_INIT_RANDOM)
        OL_TRY(ol_package_read(s->job->model.path, &s->texts));
    OL_TRY(ol_package_read(order->tokenizer ? order->tokenizer : s->path, &s->tokenizer));
    return ol_package_complete(&s->tokenizer);
}

static ol_status write_text(const source *s, const char *name, const char *text, size_t size)
{
    char path[PATH_MAX];

    OL_TRY(ol_path_format(path, "%s/%s", s->order->files.folder, name));
    return ol_write_file(path, text, size);
}

/* Texts go along as they are, but for config.json, which is written anew; those of the tokenizer
 * before those of the model. */
static ol_status write_texts(const source *s)
{
    const ol_package *const both[] = {&s->tokenizer, &s->texts};

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < both[k]->n; i++) {
            const ol_checkpoint_file *file = &both[k]->files[i];

            if (strcmp(file->name, "config.json") == 0 ||
                (k == 1 && ol_package_find(both[0], file->name)) ||
                (k == 1 && both[0]->n > 0 && strcmp(file->name, "generation_config.json") != 0))
                continue;
            OL_TRY(write_text(s, file->name, file->data, file->size));
        }
    return OL_OK;
}

/* The scores that a metrics file beside the checkpoint tells; those that cannot be read are left
 * out. `up` leads from the checkpoint's folder to the file's. */
static void add_scores(const source *s, const char *up, ol_score_book *book)
{
    OL_AUTO_ARCHIVE *metrics = NULL;
    char folder[PATH_MAX], path[PATH_MAX];

    if (ol_path_folder(s->path, folder) == OL_OK &&
        ol_path_format(path, "%s/%s/metrics.h5", folder, up) == OL_OK && ol_path_exists(path) &&
        ol_archive_open(path, &metrics) == OL_OK)
        ol_score_book_add(book, metrics);
}

/* The table of the run that made it. */
static ol_status put_results(const source *s, ol_text *card)
{
    static const char *const places[] = {"../untrained", "../../untrained", ".."};
    OL_AUTO(ol_score_book_finish) ol_score_book book = {0};
    OL_AUTO_TEXT table = {0};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        add_scores(s, places[i], &book);
    OL_TRY(ol_score_book_table(&book, OL_TABLE_WIDTH, &table));
    return table.size > 0 ? ol_text_format(card, "\n## Results\n\n```\n%s```\n", table.data)
                          : OL_OK;
}

static ol_status put_job(const source *s, ol_text *card)
{
    char digest[OL_DIGEST_TEXT];

    OL_TRY(ol_job_digest(s->job, digest));
    OL_TRY(ol_text_format(card, "\n## Job\n\nDigest %s:\n\n```\n", digest));
    OL_TRY(ol_job_text(s->job, card));
    return ol_text_format(card, "```\n");
}

static ol_status put_card(const source *s, ol_text *card)
{
    const char *family = ol_model_families[s->model->spec.family];

    OL_TRY(ol_text_format(card, "---\nlibrary_name: %s\n---\n# %s\n\n",
                          s->adapter ? "peft" : "transformers", s->job->name));
    if (s->origin)
        return ol_text_format(card,
                              "A model of family %s, imported by outerloop from %s and written as "
                              "it is (checkpoint digest %s).\n",
                              family, s->origin, s->digest);
    OL_TRY(ol_text_format(card,
                          "%s meta-trained with outerloop: learner %s, %lld meta-steps, family %s, "
                          "%zu parameters trained (checkpoint digest %s).\n",
                          s->adapter ? "An adapter" : "A model", s->job->learner.algorithm,
                          (long long)s->step, family, s->model->P, s->digest));
    OL_TRY(put_results(s, card));
    return put_job(s, card);
}

static ol_status write_card(const source *s)
{
    OL_AUTO_TEXT card = {0};

    OL_TRY(put_card(s, &card));
    return write_text(s, "README.md", card.data, card.size);
}

/* The base that an adapter goes with, for peft. */
static const char *base_of(const source *s)
{
    return s->job->model.init == OL_INIT_IMPORT ? s->job->model.path : "";
}

static ol_status write_folder(const source *s)
{
    const ol_checkpoint_file *config = ol_package_find(&s->texts, "config.json");
    const ol_trained_spec trained = ol_job_trained(s->job);
    ol_export_spec files = s->order->files;

    if (!config)
        config = ol_package_find(&s->tokenizer, "config.json");
    files.token_ids = config ? config->data : NULL;
    OL_TRY(ol_make_folders(files.folder));
    if (s->adapter)
        OL_TRY(ol_export_adapter(&files, s->model, &trained, base_of(s), s->theta));
    else
        OL_TRY(ol_export_model(&files, s->model, s->theta));
    if (!s->adapter)
        OL_TRY(write_texts(s));
    return write_card(s);
}

ol_status ol_export_folder(const ol_export_order *order, ol_export_report *report)
{
    OL_AUTO(finish) source s = {.order = order};

    OL_TRY(read_source(&s));
    OL_TRY(write_folder(&s));
    *report =
        (ol_export_report){.adapter = s.adapter, .family = ol_model_families[s.model->spec.family]};
    return OL_OK;
}
