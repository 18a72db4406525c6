/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file source.h (private to model)
 * Where a model's tensors come from: safetensors files of a folder, or a GGUF file.
 */
#ifndef OUTERLOOP_MODEL_SOURCE_H
#define OUTERLOOP_MODEL_SOURCE_H

#include "gguf.h"
#include "outerloop/store/safetensors.h"

/* Start from a zero struct. */
typedef struct ol_source {
    const char *path; /* of the folder or file, borrowed */
    ol_safetensors *files;
    ol_gguf *gguf;
    const ol_stored_list *list;
} ol_source;

/* Open FOLDER/NAME.safetensors, or the GGUF file where `path` is one. Close it also after an error. */
ol_status ol_source_open(const char *path, const char *name, ol_source *out);

/* Accepts a zero struct. */
void ol_source_close(ol_source *source);

/* The tensor that holds a tensor of ours, or NULL. It may stand with or without the prefix of a base
 * model. @param lie  how its values lie there */
const ol_stored *ol_source_find(const ol_source *source, int family, const ol_param *param,
                                ol_lie *lie);

/* Is a tensor there to be passed over? */
bool ol_source_passes_over(const ol_source *source, const ol_model_spec *spec, const char *name);

/* Read all values of a tensor of ours, in our order, in pieces. Errors: OL_ENOMEM. */
typedef void ol_source_sink(void *payload, const ol_param *param, size_t at, size_t n,
                            const float *values);
ol_status ol_source_read(const ol_stored *tensor, ol_lie lie, const ol_model_spec *spec,
                         const ol_param *param, ol_source_sink *sink, void *payload);

#endif
