/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/gguf.h
 * GGUF files (versions 2 and 3, little-endian): typed values by key, and tensors by name.
 *
 * A file is a header (counts), the values, the names, shapes, types and places of the tensors, and
 * their data, each aligned to `general.alignment` bytes (32). Files come from anywhere: counts,
 * lengths, types, shapes and places are checked before anything is taken for what it says; tensors
 * may neither overlap nor leave gaps, and no key or name may stand twice. Data are mapped, not read.
 *
 * GGUF gives the fastest dimension first; here, as everywhere, it is the last: a matrix [in, out] in
 * the file is a row-major [out,in].
 *
 * Local. Errors: OL_EDATA with the file, the key or tensor, and what is wrong; OL_ENOMEM.
 * Source: the description of GGUF in the ggml project (docs/gguf.md).
 */
#ifndef OUTERLOOP_STORE_GGUF_H
#define OUTERLOOP_STORE_GGUF_H

#include "outerloop/base/status.h"  /* ol_status */
#include "outerloop/store/stored.h" /* ol_stored_list */

typedef struct ol_gguf ol_gguf;

/** Bytes of a string, not ended by a NUL. Borrowed from the open file. */
typedef struct ol_gguf_text {
    const char *bytes;
    size_t n;
} ol_gguf_text;

/** True for a regular file that begins as GGUF does, whole or not. */
bool ol_gguf_is_one(const char *path);

/** Open and check a file. @param out *owned by the caller* */
ol_status ol_gguf_open(const char *path, ol_gguf **out);

/** Unmap and free. Accepts NULL. */
void ol_gguf_close(ol_gguf *file);
OL_DROPS(ol_gguf, ol_gguf_close)

/** Where it was opened. Borrowed. */
const char *ol_gguf_path(const ol_gguf *file);

/** All its tensors. Borrowed from the open file. */
const ol_stored_list *ol_gguf_tensors(const ol_gguf *file);

bool ol_gguf_has(const ol_gguf *file, const char *key);

/** Read a value: a whole number or a truth value as i64, any number as f64, a string as text.
 *  Errors: OL_EDATA also when there is no such key, or it is of another kind. */
ol_status ol_gguf_get_i64(const ol_gguf *file, const char *key, int64_t *out);
ol_status ol_gguf_get_f64(const ol_gguf *file, const char *key, double *out);
ol_status ol_gguf_get_text(const ol_gguf *file, const char *key, ol_gguf_text *out);

/** Lists of strings and of whole numbers. @param out  *owned by the caller* (free), [n] */
ol_status ol_gguf_get_texts(const ol_gguf *file, const char *key, ol_gguf_text **out, size_t *n);
ol_status ol_gguf_get_i64s(const ol_gguf *file, const char *key, int64_t **out, size_t *n);

#endif
