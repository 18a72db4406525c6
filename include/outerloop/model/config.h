/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/config.h
 * Shapes and adapters as Hugging Face's libraries write them: config.json and adapter_config.json.
 *
 * What a model's config asks for and this program does not do (another activation, biases where the
 * family has none, sliding windows, other rotary scalings) is refused by name. Keys that change
 * nothing of the mathematics are ignored. Rotary settings are read where transformers 5 puts them
 * (rope_parameters) and where older ones did (rope_theta, rope_scaling).
 *
 * Local. Errors: OL_EDATA, the message naming the file and the key; OL_ENOMEM.
 */
#ifndef OUTERLOOP_MODEL_CONFIG_H
#define OUTERLOOP_MODEL_CONFIG_H

#include "outerloop/model/model.h"

/** Read the text of a config.json. @param name  of the file, for messages */
ol_status ol_config_read_model(const char *name, const char *text, ol_model_spec *out);

/** An adapter's settings. */
typedef struct ol_adapter_config {
    int rank;
    double alpha;
    bool rslora;
    int n_targets;
    char **targets; /**< [n_targets] owned */
} ol_adapter_config;

/** Read the text of an adapter_config.json. @param out  ol_adapter_config_finish frees it */
ol_status ol_config_read_adapter(const char *name, const char *text, ol_adapter_config *out);

/** Accepts a zero struct. */
void ol_adapter_config_finish(ol_adapter_config *config);

/** The choice that trains such an adapter. Borrows from the config. */
ol_trained_spec ol_adapter_trained(const ol_adapter_config *config);

#endif
