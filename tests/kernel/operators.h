/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file operators.h
 * Every dual operator of the kernel room, in the shapes that matter: as calls, and as the checks of
 * deriv.h see them.
 */
#ifndef TESTS_KERNEL_OPERATORS_H
#define TESTS_KERNEL_OPERATORS_H

#include "deriv.h"
#include "outerloop/kernel/operator.h"
#include "pool.h"

/* An operator and all of a call but its vectors. */
typedef struct shape {
    const char *name;
    const ol_operator *op;
    ol_op_spec spec;
    const ol_rows *rows;
    int n;
    const int *row;
    ol_weight w[OL_OP_WEIGHTS]; /* sizes; and, of frozen weights, bf16 */
    unsigned adds;              /* bits that a call's `add` may have   */
} shape;

extern const shape shapes[];
extern const int n_shapes;

/* cross_entropy.h as an operator: y [n,1] the losses, y_bar their weights, targets the tokens. */
extern const ol_operator cross_entropy;

/* Of the angles in the rows of the rotary shapes. */
extern const double rotary_frequency[];

/* A call with random vectors, the same ones each time, from the pool; nothing in it is NULL. */
ol_call shape_call(const shape *s, pool *p);

/* Reals of x[i] and of w[j]. */
size_t shape_input(const shape *s, int i);
size_t shape_weight(const shape *s, int j);

enum { MOST_OPERATORS = 64 };

/* The shapes, each with every `add` that it may have; returns how many there are. */
int operators_build(flat list[MOST_OPERATORS]);

/* Free what the list holds. */
void operators_finish(int n, flat *list);

#endif
