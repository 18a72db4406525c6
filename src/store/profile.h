/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file store/profile.h (private to store)
 * The narrow profile of HDF5 that is read, checked byte by byte before the library sees a file.
 *
 * The checks follow every address that the library would follow, in mapped memory and with every
 * place held against the file's end:
 *
 *   superblock   version 0 (what HDF5 writes unless asked for newer formats), at byte 0 or 512
 *   groups       of the first kind, members in strict order of their names, and of the second, in
 *                the header or in a heap of links; depth <= 16
 *   links        hard ones alone; each object is reached once
 *   types        standard integers and floats, texts, h5py's boolean; in attributes also object
 *                references and records of them, as dimension scales have; lists of float64
 *   spaces       scalar or simple, rank <= 8, product of extents checked
 *   layouts      contiguous or chunked; every chunk is there once and has its length, also after
 *                inflating; never compact, virtual or in other files
 *   filters      shuffle, deflate, Fletcher-32
 *   values       of variable length: each leads to an object of its collection that has its length
 *
 * Allocated bytes of all datasets, and all values of variable length, are together at most as many
 * as the file has; inflated ones at most 32 times as many and 64 MiB.
 *
 * Source: HDF5 File Format Specification, version 3.0, the parts for superblock version 0.
 */
#ifndef STORE_PROFILE_H
#define STORE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h"
#include "tensor_file.h" /* ol_little_number */

/**
 * Check a whole file. Local; touches nothing but its bytes.
 * @param path   for messages
 * @param bytes  [size]
 * Errors: OL_EDATA with the object and what is wrong with it; OL_ENOMEM.
 * Cost: its metadata is read once; chunks that are deflated are inflated.
 */
ol_status ol_profile_check(const char *path, const uint8_t *bytes, uint64_t size);

/* The rest is shared by the files that do it. */

enum { OL_PROFILE_RANK = 8, OL_PROFILE_FILTERS = 3, OL_PROFILE_NAME = 255 };

#define OL_PROFILE_NOWHERE UINT64_MAX /* the address of what is not there */

/* A file under check. */
typedef struct ol_profile {
    const char *path;
    const char *object;   /* which one it is about: for messages */
    const uint8_t *bytes; /* [size], from the superblock on      */
    uint64_t size;
    unsigned leaf, internal;             /* half of the entries of a group's nodes  */
    uint64_t stored, variable, inflated; /* bytes that may still come               */
    uint64_t headers;                    /* bytes of object headers, likewise       */
    size_t objects;                      /* reached so far                          */
    void *seen;                          /* their addresses, a tree of tsearch      */
    void *heaps;                         /* collections read so far, likewise       */
} ol_profile;

/* What an element is. */
typedef struct ol_profile_type {
    enum { OL_PLAIN, OL_REFERENCE, OL_RECORD, OL_VARIABLE } kind;
    bool whole;    /* an integer                              */
    uint64_t size; /* bytes in the file                       */
    uint64_t item; /* of one item, where the length varies    */
    bool lists;    /* of float64                              */
    size_t used;   /* bytes of the message that it took       */
} ol_profile_type;

typedef struct ol_profile_space {
    int rank;
    uint64_t dims[OL_PROFILE_RANK], count;
} ol_profile_space;

typedef struct ol_profile_pipeline {
    int n, id[OL_PROFILE_FILTERS];
    uint32_t shuffled; /* bytes of an element, as the shuffle filter has it */
} ol_profile_pipeline;

/* A message of an object header. */
typedef struct ol_profile_bytes {
    const uint8_t *at;
    size_t n;
} ol_profile_bytes;

/* Little-endian number of 1 to 8 bytes. */
#define NUMBER(at, bytes) ol_little_number((at), (size_t)(bytes))

/* n bytes at an address of the file, or NULL when they are not all in it. */
const uint8_t *ol_profile_at(const ol_profile *p, uint64_t address, uint64_t n);

/* OL_EDATA with the path, the object and what is wrong. */
ol_status ol_profile_refuse(const ol_profile *p, const char *what);

/* @param attribute  references and records are fine */
ol_status ol_profile_read_type(const ol_profile *p, ol_profile_bytes m, bool attribute,
                               ol_profile_type *out);
ol_status ol_profile_read_space(const ol_profile *p, ol_profile_bytes m, ol_profile_space *out);
ol_status ol_profile_read_pipeline(const ol_profile *p, ol_profile_bytes m,
                                   ol_profile_pipeline *out);

/* Values in one piece: `n` elements of a type that varies must each lead to what they say. */
ol_status ol_profile_check_values(ol_profile *p, const ol_profile_type *type, const uint8_t *at,
                                  uint64_t n);

/* The values of a dataset, by its layout message. */
ol_status ol_profile_check_layout(ol_profile *p, ol_profile_bytes m, const ol_profile_type *type,
                                  const ol_profile_space *space,
                                  const ol_profile_pipeline *pipeline);

/* Follow a link message. @param depth  of the group */
ol_status ol_profile_walk_link(ol_profile *p, ol_profile_bytes m, int depth);

/* Follow the links of a group that keeps them in a fractal heap, by its tree of names. */
ol_status ol_profile_walk_links(ol_profile *p, uint64_t heap, uint64_t tree, int depth);

/* Free the collections. */
void ol_profile_drop_heaps(ol_profile *p);

#endif
