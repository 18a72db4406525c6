/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h" /* ol_commit_file, ol_write_file */
#include "outerloop/store/safetensors.h"

enum {
    HEADER_STEP = 8, /* the header's length is a multiple of it, so that data are aligned */
    PIECE = 1 << 16  /* values asked for at a time, where rows are not longer             */
};

/* What is written, and how it is cut into files. */
typedef struct writer {
    const char *folder, *name;
    const ol_stored *tensors;
    int n;
    ol_safetensors_source *source;
    void *payload;
    int files;
} writer;

static size_t bytes_of(const ol_stored *t)
{
    size_t bytes = 0;

    ol_stored_bytes(t->type, t->count, &bytes); /* they are in memory, or could be */
    return bytes;
}

/* The file number `file` of all, counted from 1. */
static void name_file(const writer *w, int file, char name[128])
{
    if (w->files == 1)
        snprintf(name, 128, "%.80s.safetensors", w->name);
    else
        snprintf(name, 128, "%.80s-%05d-of-%05d.safetensors", w->name, file, w->files);
}

static json_t *entry_of(const ol_stored *t, size_t at)
{
    json_t *shape = json_array();

    for (int d = 0; d < t->rank; d++)
        json_array_append_new(shape, json_integer(t->dims[d]));
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", ol_stored_word(t->type), "shape", shape,
                     "data_offsets", (json_int_t)at, (json_int_t)(at + bytes_of(t)));
}

static ol_status write_header(const writer *w, int from, int to, FILE *file)
{
    json_auto_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    OL_AUTO_FREE char *text = NULL;
    unsigned char length[8];
    size_t at = 0, n, padded;

    for (int i = from; root && i < to; i++, at += bytes_of(&w->tensors[i - 1]))
        json_object_set_new(root, w->tensors[i].name, entry_of(&w->tensors[i], at));
    text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    OL_CHECK(text, OL_ENOMEM, "%s: no memory for a header", w->name);
    n = strlen(text);
    padded = (n + HEADER_STEP - 1) / HEADER_STEP * HEADER_STEP;
    for (int b = 0; b < 8; b++)
        length[b] = (unsigned char)(padded >> (8 * b));
    fwrite(length, 1, sizeof length, file);
    fwrite(text, 1, n, file);
    for (; n < padded; n++)
        fputc(' ', file);
    return OL_OK;
}

/* Whole rows of about PIECE values. */
static size_t piece_of(const ol_stored *t)
{
    const size_t row = t->rank > 1 ? (size_t)t->dims[t->rank - 1] : 1;

    return row < PIECE ? PIECE / row * row : row;
}

static ol_status write_data(const writer *w, int i, FILE *file)
{
    const ol_stored *t = &w->tensors[i];
    const size_t piece = piece_of(t);
    OL_AUTO_FREE double *values = malloc(piece * sizeof *values);
    size_t bytes = 0;

    OL_CHECK(values, OL_ENOMEM, "no memory for rows of %s", t->name);
    for (size_t at = 0; at < t->count; at += piece) {
        const size_t n = t->count - at < piece ? t->count - at : piece;

        w->source(w->payload, i, at, n, values);
        ol_stored_write(t->type, n, values, values);
        ol_stored_bytes(t->type, n, &bytes);
        fwrite(values, 1, bytes, file);
    }
    return OL_OK;
}

static ol_status fill_file(const writer *w, int from, int to, const char *path)
{
    FILE *file = fopen(path, "wb");
    ol_status status;
    bool whole;

    OL_CHECK(file, OL_EIO, "%s: cannot create: %s", path, strerror(errno));
    status = write_header(w, from, to, file);
    for (int i = from; i < to && status == OL_OK; i++)
        status = write_data(w, i, file);
    whole = !ferror(file);
    whole = fclose(file) == 0 && whole;
    OL_TRY(status);
    OL_CHECK(whole, OL_EIO, "%s: cannot write: %s", path, strerror(errno));
    return OL_OK;
}

static ol_status write_file(const writer *w, int file, int from, int to)
{
    char name[128], path[PATH_MAX], aside[PATH_MAX];

    name_file(w, file, name);
    OL_TRY(ol_path_format(path, "%s/%s", w->folder, name));
    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    return ol_commit_aside(fill_file(w, from, to, aside), aside, path);
}

/* The tensor after the last one of the file that begins with `from`. */
static int end_of_file(const writer *w, int from, size_t most)
{
    size_t bytes = 0;
    int i = from;

    while (i < w->n && (i == from || bytes + bytes_of(&w->tensors[i]) <= most))
        bytes += bytes_of(&w->tensors[i++]);
    return i;
}

static ol_status write_index(const writer *w, size_t most)
{
    json_t *map = json_object();
    json_auto_t *root = NULL;
    OL_AUTO_FREE char *text = NULL;
    size_t total = 0;
    char name[128], path[PATH_MAX];

    for (int from = 0, file = 1; from < w->n; from = end_of_file(w, from, most), file++) {
        name_file(w, file, name);
        for (int i = from; i < end_of_file(w, from, most); i++) {
            json_object_set_new(map, w->tensors[i].name, json_string(name));
            total += bytes_of(&w->tensors[i]);
        }
    }
    root =
        json_pack("{s:{s:I},s:o}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
    text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    OL_CHECK(text, OL_ENOMEM, "%s: no memory for an index", w->name);
    OL_TRY(ol_path_format(path, "%s/%s.safetensors.index.json", w->folder, w->name));
    return ol_write_file(path, text, strlen(text));
}

ol_status ol_safetensors_write(const char *folder, const char *name, int n,
                               const ol_stored *tensors, size_t shard_bytes,
                               ol_safetensors_source *source, void *payload)
{
    writer w = {folder, name, tensors, n, source, payload, 0};

    for (int from = 0; from < n; from = end_of_file(&w, from, shard_bytes))
        w.files++;
    for (int from = 0, file = 1; from < n; from = end_of_file(&w, from, shard_bytes), file++)
        OL_TRY(write_file(&w, file, from, end_of_file(&w, from, shard_bytes)));
    return w.files > 1 ? write_index(&w, shard_bytes) : OL_OK;
}
