/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/import.h
 * Models and adapters from folders as Hugging Face's libraries write them, and from GGUF files.
 *
 * A model's folder holds config.json and model.safetensors (or shards of it); an adapter's,
 * adapter_config.json and adapter_model.safetensors. Names may stand with or without the prefix of the
 * base model ("transformer.", "model."); GPT-2's old mask buffers and a head that is tied anyway are
 * passed over. Of GGUF, the values of quantised types are what their blocks stand for. Any other
 * tensor that is missing, too many or of another shape is an error that names it.
 *
 * Local. Errors: OL_EDATA with file and reason; OL_ENOMEM.
 */
#ifndef OUTERLOOP_MODEL_IMPORT_H
#define OUTERLOOP_MODEL_IMPORT_H

#include "outerloop/model/config.h"

/** True for a folder with a config.json, and for a GGUF file. */
bool ol_import_is_model(const char *path);

/** The shape of the model in a folder or GGUF file. */
ol_status ol_import_spec(const char *path, ol_model_spec *out);

/**
 * Read all tensors of the family's model; adapters (of lora) are left alone.
 * @param theta  [P]; NULL: trained ones are not wanted
 * @param block  [model->frozen_bytes]; NULL: frozen ones are not wanted. Without both it only looks
 *               whether all are there and fit
 */
ol_status ol_import_weights(const char *path, const ol_model *model, ol_real *theta, void *block);

/** The settings of the adapter in a folder. @param out  ol_adapter_config_finish frees it */
ol_status ol_import_adapter_config(const char *folder, ol_adapter_config *out);

/** Read an adapter into θ of a model that trains one. @param theta [P] overwritten; NULL: only look whether
 *  it fits */
ol_status ol_import_adapter(const char *folder, const ol_model *model, ol_real *theta);

#endif
