/* SPDX-License-Identifier: BSD-3-Clause */
/* Seals of columns whose values have variable length. HDF5 keeps checksums of chunks, but these
   values stand outside of chunks, where a changed byte is not noticed.

   The attribute `seal` of such a column holds its rows and the last link of a chain over them,

     (1) d_0 = 32 zeros,  d_i = XXH3-128(d_i-1 as text, bytes of value i)

   so that rows can be added without reading those before. A value is a text without its NUL, or
   doubles as they are in memory. */
#ifndef STORE_CHAIN_H
#define STORE_CHAIN_H

#include "h5.h"
#include "outerloop/store/table.h" /* ol_column */

/* Seal rows at .. at+n-1 as well, which were just written; what was sealed beyond `at` is not any
   more. @param values  [n] char * of texts, hvl_t of lists; as H5Dwrite took them */
ol_status ol_chain_extend(ol_archive *archive, const char *name, hid_t set, int64_t at, size_t n,
                          const void *values);

/* Seal the first `rows` rows as the file has them: after rows were cut off. */
ol_status ol_chain_cut(ol_archive *archive, const char *name, hid_t set, int64_t rows);

/* Errors: OL_EDATA when the rows that were sealed are not as they were. A dataset without a seal
   passes. */
ol_status ol_chain_check(const ol_archive *archive, const char *name, hid_t set);

#endif
