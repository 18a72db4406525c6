/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file store/tensor_file.h (private to store)
 * What readers of bytes share: a mapped file, numbers, and a list of tensors that grows, is checked and
 * then looked up by name.
 */
#ifndef STORE_TENSOR_FILE_H
#define STORE_TENSOR_FILE_H

#include "outerloop/base/file.h" /* PATH_MAX */
#include "outerloop/store/stored.h"

/** A file mapped to read. Start from a zero struct. */
typedef struct ol_mapped {
    char path[PATH_MAX];
    const void *base;
    size_t size;
} ol_mapped;

/** Map a regular file of more than `least` bytes. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_map_file(const char *path, size_t least, ol_mapped *out);

/** Accepts a zero struct. */
void ol_unmap_file(ol_mapped *file);

/** Little-endian number of n bytes, 1 to 8. */
uint64_t ol_little_number(const uint8_t *bytes, size_t n);

/** The order of tensors by name, for qsort (stored.c). */
int ol_stored_order(const void *a, const void *b);

/** A list under making. Start from a zero struct; names are owned. */
typedef struct ol_tensor_list {
    ol_stored *items;
    size_t n;
} ol_tensor_list;

/** Append a tensor, its name copied. Errors: OL_ENOMEM. */
ol_status ol_tensor_list_add(ol_tensor_list *list, const ol_stored *tensor);

/**
 * The tensors from `first` on, of one file, must fill its data in the order of their places: none
 * overlaps another, and between them is nothing but padding to a multiple of `alignment` bytes.
 * Errors: OL_EDATA.
 */
ol_status ol_tensor_list_check(ol_tensor_list *list, size_t first, const char *path,
                               const char *data, size_t size, size_t alignment);

/** Put the tensors in name order. @param path  for the message about a name that stands twice
 *  Errors: OL_EDATA. */
ol_status ol_tensor_list_sort(ol_tensor_list *list, const char *path);

/** Accepts a zero list. */
void ol_tensor_list_finish(ol_tensor_list *list);

#endif
