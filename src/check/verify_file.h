/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file verify_file.h (private to check)
 * The content of a verification file, read and checked before any work.
 */
#ifndef CHECK_VERIFY_FILE_H
#define CHECK_VERIFY_FILE_H

#include "outerloop/meta/outer.h"
#include "outerloop/store/archive.h"

typedef struct ol_verify_case {
    ol_archive *archive; /* open; expectations are read when they are compared */
    double float32_error;
    ol_model *model;
    ol_learner_spec learner;
    ol_outer_spec outer;
    void *frozen;   /* the model's frozen tensors, owned */
    ol_arena arena; /* of state */
    ol_state state;
    int N;
    ol_episode *episodes; /* [N] */
} ol_verify_case;

/* Read a file. On error the case is safe to finish. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_verify_case_read(const char *path, ol_verify_case *out);

/* Accepts a zero case. */
void ol_verify_case_finish(ol_verify_case *c);

/* Read the batch <group>/{tokens,offsets,loss_mask} and check it against the sizes of a model. */
ol_status ol_verify_read_batch(const ol_archive *archive, const char *group, int vocab, int context,
                               ol_batch *out);

/* Read a set of tensors below `group`, "<group>/<name>", into a flat vector [P]. */
ol_status ol_verify_read_flat(const ol_archive *archive, const char *group, const ol_model *model,
                              ol_real *out);

#endif
