/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/export.h
 * Models and adapters as folders that Hugging Face's libraries load: the other way of import.h.
 *
 * A model: config.json and model.safetensors (in shards with an index past a size), with the names
 * of save_pretrained. An adapter: adapter_config.json and adapter_model.safetensors, as peft saves
 * it. Exporting what was imported gives back the same bits where the stored type is the same.
 *
 * Files are written aside and renamed. Local. Errors: OL_EIO, OL_ENOMEM.
 */
#ifndef OUTERLOOP_MODEL_EXPORT_H
#define OUTERLOOP_MODEL_EXPORT_H

#include "outerloop/model/model.h"
#include "outerloop/store/stored.h" /* ol_stored_type */

/** Where to and how. Borrowed. */
typedef struct ol_export_spec {
    const char *folder;  /**< is there                                               */
    ol_stored_type type; /**< of a model's weights: F32, F16 or BF16; adapters are F32 */
    size_t shard_bytes;  /**< a file holds at most this, but at least one tensor     */
    const char
        *token_ids; /**< text of a config.json whose ids of special tokens go along, or NULL */
} ol_export_spec;

/** Write a model, its adapter (if it has one) merged: W + s B A, summed in float64 and rounded once.
 *  @param theta [P] */
ol_status ol_export_model(const ol_export_spec *spec, const ol_model *model, const ol_real *theta);

/** Write the adapter of a model that trains one. @param trained  what the model was made of
 *  @param base  name of the base model for adapter_config.json, "" if there is none */
ol_status ol_export_adapter(const ol_export_spec *spec, const ol_model *model,
                            const ol_trained_spec *trained, const char *base, const ol_real *theta);

#endif
