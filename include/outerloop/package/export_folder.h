/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/package/export_folder.h
 * A checkpoint as a folder that transformers' or peft's from_pretrained loads, complete: weights,
 * settings, tokenizer, and a card that says where they come from.
 *
 * | file                                     | of a model | of an adapter |
 * |------------------------------------------|------------|---------------|
 * | config.json, model.safetensors (shards)  | x          |               |
 * | generation_config.json                   | where the model that the run began with has one |
 * | tokenizer.json, or vocab.json, merges.txt, and their settings | x |   |
 * | adapter_config.json, adapter_model.safetensors |      | x             |
 * | README.md: learner, job and its digest, the table of results | x | x  |
 *
 * Local.
 */
#ifndef OUTERLOOP_PACKAGE_EXPORT_FOLDER_H
#define OUTERLOOP_PACKAGE_EXPORT_FOLDER_H

#include "outerloop/model/export.h" /* ol_export_spec */

/** What to write, and where to. Borrowed. */
typedef struct ol_export_order {
    const char *checkpoint; /**< or a folder of them, or of a run                       */
    const char *tokenizer;  /**< whose files to write; NULL: those of the run's model   */
    bool merge;             /**< an adapter into its base, rather than by itself        */
    ol_export_spec files;   /**< its folder is made when it is not there                */
} ol_export_order;

/** What was written. */
typedef struct ol_export_report {
    bool adapter;
    const char *family; /**< static */
} ol_export_report;

/** Write it. Errors: OL_EUSAGE (nothing to merge), OL_EDATA (the checkpoint), OL_EIO, OL_ENOMEM. */
ol_status ol_export_folder(const ol_export_order *order, ol_export_report *report);

#endif
