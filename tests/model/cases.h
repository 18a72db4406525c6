/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file cases.h
 * Small models of every family times choices of what is trained, and the objective of each in arenas
 * of exactly the bytes that it asks for. What the objective only reads stands in memory that cannot
 * be written.
 */
#ifndef TESTS_MODEL_CASES_H
#define TESTS_MODEL_CASES_H

#include "tiny.h"

typedef struct setting {
    char name[160];
    ol_model *model;
    double scale;   /* of an adapter, by its formula */
    ol_batch batch; /* owned                         */
    ol_real *theta; /* [P] read only                 */
    void *block;    /* read only                     */
} setting;

/* How many cases there are. */
int cases_count(void);

/* Case i. Takes the batch over. Finish with case_finish. */
setting case_make(int i, int context, ol_batch batch);
void case_finish(setting *s);

/* The same of any shape and choice. */
setting setting_make(const char *shape, const ol_model_spec *spec, const ol_trained_spec *trained,
                     ol_batch batch);

/* True for the case of each shape that trains everything and moves everything. */
bool case_is_plain(int i);

/* True for one case of each choice of what is trained, on one shape or another. */
bool case_is_its_choices(int i);

/* n reals that cannot be written, copied from x, which is freed. */
ol_real *fixed_reals(size_t n, ol_real *x);
void fixed_free(void *at);

/* Normals that cannot be written, 0 where the inner loop moves nothing. */
ol_real *case_direction(const setting *s, uint32_t stream);

/* Mean of the losses of the batch at theta. */
double case_loss(const setting *s, const ol_real *theta);

/* The gradient at theta; `loss` may be NULL. What stood in it before was not 0. */
ol_real *case_gradient(const setting *s, const ol_real *theta, ol_wanted wanted, ol_tape *tape,
                       double *loss);

/* H u, added to `start`, which is returned; NULL: to 0. */
ol_real *case_product(const setting *s, const ol_real *u, ol_tape *tape, ol_real *start);

/* A tape for batches within the extent, in an arena of its own. */
typedef struct taped {
    ol_arena memory;
    ol_tape *tape;
} taped;

taped tape_make(const ol_model *model, ol_extent extent);
void tape_finish(taped *t);

/* Fails the test, naming the case, when ‖a-b‖ > tolerance·‖b‖; and when any bit differs. */
void near(const setting *s, const char *what, size_t n, const ol_real *a, const ol_real *b,
          double tolerance);
void same_bits(const setting *s, const char *what, size_t n, const ol_real *a, const ol_real *b);

#endif
