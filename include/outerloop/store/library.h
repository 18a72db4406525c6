/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/library.h
 * Which HDF5 this program runs with. Local.
 */
#ifndef OUTERLOOP_STORE_LIBRARY_H
#define OUTERLOOP_STORE_LIBRARY_H

/** "HDF5 1.10.8": the library loaded, which may be newer than the headers. Borrowed. */
const char *ol_store_library(void);

#endif
