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

#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef enum ol_stored { OL_STORED_F32, OL_STORED_F16, OL_STORED_BF16 } ol_stored;

enum { OL_SAFETENSORS_RANK = 8 };

/** One tensor, row-major. Borrowed from the open files. */
typedef struct ol_safetensor {
    const char *name;
    ol_stored type;
    int rank;
    int64_t dims[OL_SAFETENSORS_RANK];
    size_t count;     /**< of values                         */
    const void *data; /**< [count] of `type`; not aligned    */
} ol_safetensor;

typedef struct ol_safetensors ol_safetensors;

/** Open FOLDER/NAME.safetensors or its shards. @param out *owned by the caller* */
ol_status ol_safetensors_open(const char *folder, const char *name, ol_safetensors **out);

/** Unmap and free. Accepts NULL. */
void ol_safetensors_close(ol_safetensors *files);

size_t ol_safetensors_count(const ol_safetensors *files);

/** Tensor i of all, in name order. */
const ol_safetensor *ol_safetensors_at(const ol_safetensors *files, size_t i);

/** The tensor of that name, or NULL. */
const ol_safetensor *ol_safetensors_find(const ol_safetensors *files, const char *name);

/** Its values from number `at` on, n of them, widened (exactly) to float32. */
void ol_safetensor_read(const ol_safetensor *tensor, size_t at, size_t n, float *out);

/** Gives values of tensor i of a list that is written: out [count]. */
typedef void ol_safetensor_source(void *payload, int i, float *out);

/**
 * Write tensors as FOLDER/NAME.safetensors, or in shards of at most `shard_bytes` of data (but at
 * least one tensor) with their index. Data of the descriptors are ignored and asked of the source.
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_safetensors_write(const char *folder, const char *name, int n,
                               const ol_safetensor *tensors, size_t shard_bytes,
                               ol_safetensor_source *source, void *payload);

#endif
