/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/safetensors.h
 * Tensors of safetensors files, as Hugging Face's libraries write them: FOLDER/NAME.safetensors, or
 * shards of it that FOLDER/NAME.safetensors.index.json lists.
 *
 * A file is an 8-byte length (little-endian), a JSON header of that length with the type, shape and
 * place of every tensor, and the data. Files come from anywhere: lengths, types, shapes and places
 * are checked before a byte of data is looked at; tensors may neither overlap nor leave gaps, and no
 * name may stand twice. Data are mapped, not read: pages come from disk when they are looked at.
 *
 * Local. Errors: OL_EDATA with the file, the tensor and what is wrong; OL_ENOMEM.
 * Source: the format's description in the safetensors project.
 */
#ifndef OUTERLOOP_STORE_SAFETENSORS_H
#define OUTERLOOP_STORE_SAFETENSORS_H

#include "outerloop/base/status.h"  /* ol_status */
#include "outerloop/store/stored.h" /* ol_stored */

typedef struct ol_safetensors ol_safetensors;

/** Open FOLDER/NAME.safetensors or its shards. @param out *owned by the caller* */
ol_status ol_safetensors_open(const char *folder, const char *name, ol_safetensors **out);

/** Unmap and free. Accepts NULL. */
void ol_safetensors_close(ol_safetensors *files);
OL_DROPS(ol_safetensors, ol_safetensors_close)

/** All their tensors. Borrowed from the open files. */
const ol_stored_list *ol_safetensors_list(const ol_safetensors *files);

/** Gives values at .. at+n-1 of tensor i of a list that is written. */
typedef void ol_safetensors_source(void *payload, int i, size_t at, size_t n, double *out);

/**
 * Write tensors as FOLDER/NAME.safetensors, or in shards of at most `shard_bytes` of data (but at
 * least one tensor) with their index. Types are F types. Data of the descriptors are ignored and
 * asked of the source, in pieces that end with rows where these are not long, and rounded once.
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_safetensors_write(const char *folder, const char *name, int n,
                               const ol_stored *tensors, size_t shard_bytes,
                               ol_safetensors_source *source, void *payload);

#endif
