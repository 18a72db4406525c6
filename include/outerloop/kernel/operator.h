/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/operator.h
 * The one face of all operators: what they work on, and what a model has to know of them.
 *
 * An operator turns rows x[0..2] into rows y with weights w[0..1]. It has a forward and a backward
 * function, each with a pass mask (dual.h):
 *
 *   forward   OL_PRIMAL   y = f(x, w)                    backward  OL_PRIMAL   x_bar, w_bar from y_bar
 *             OL_TANGENT  R{y}                                     OL_TANGENT  R{x_bar}, R{w_bar}
 *
 * NULL is zero on the way in and not wanted on the way out, and neither costs a product:
 *
 *   forward, tangent    x.dot, w.dot may be NULL
 *   backward, primal    x_bar.v, w_bar.v may be NULL
 *   backward, tangent   x.dot, w.dot, y_bar.dot, x_bar.dot, w_bar.dot may be NULL
 *
 * Only the matrices of linear maps, embeddings and the head may be bfloat16.
 *
 * Adjoints of weights are added to. x_bar[i] is overwritten, or added to when bit i of `add` is set.
 * y is overwritten, but for operators that say OL_ADDS. Inputs are never written, but for OL_IN_PLACE:
 * there y is x[0] and y_bar is x_bar[0], the same memory.
 *
 * What a model keeps between passes follows from three facts of an operator. It reads x in its
 * derivative passes, and the values of y_bar in its tangent passes, only if OL_BENDS (it is not
 * linear in x) or if one of its weights is trained. And OL_CHEAP says that doing it again costs less
 * than keeping what it makes.
 *
 * Every operator is tested through this face: adjoint identities, differences, NULLs, seeded faults,
 * a plain loop. Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_OPERATOR_H
#define OUTERLOOP_KERNEL_OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/kernel/dual.h"
#include "outerloop/kernel/weight.h" /* ol_weight */

/** The rows of a batch: its tokens one after the other, and those of them that ask (queries). */
typedef struct ol_rows {
    int B;                     /**< sequences                                                 */
    const int *start;          /**< [B+1] first row of each sequence                          */
    const int *position;       /**< [start[B]] in its sequence                                */
    const int32_t *token;      /**< [start[B]]                                                */
    const int *query_start;    /**< [B+1] first query of each sequence                        */
    const int *query_position; /**< [query_start[B]] in its sequence, ascending within it     */
    const ol_real *angle;      /**< [start[B], head_dim] cos, then sin, of rotary angles      */
    bool shared; /**< losses only: sequences share the rows that they begin with alike, and start
                      counts the rows of their own (attention.h)                              */
    int longest; /**< bound on the tokens of a sequence                                       */
} ol_rows;

/** Constants of an operator in a model; each reads what it needs. */
typedef struct ol_op_spec {
    int in, out;  /**< reals of a row of x[0] and of y                                        */
    int heads;    /**< attention: H. norms: pieces of a row that are normalised each by itself  */
    int kv_heads; /**< attention: G, divides H                                                */
    int head_dim; /**< D                                                                      */
    int rank;     /**< of a low-rank product: r                                               */
    double scale; /**< of a low-rank product                                                  */
    double eps;   /**< of norms                                                               */
} ol_op_spec;

enum { OL_OP_INPUTS = 3, OL_OP_WEIGHTS = 2 };

/** One call. Everything is borrowed. */
typedef struct ol_call {
    const ol_op_spec *spec;
    const ol_rows *rows;
    int n;          /**< rows of y                                                            */
    const int *row; /**< [n] which row of x each row of y belongs to; NULL = the same         */
    ol_dual x[OL_OP_INPUTS], y;
    ol_weight w[OL_OP_WEIGHTS];
    ol_dual x_bar[OL_OP_INPUTS], y_bar; /**< of backward */
    ol_dual w_bar[OL_OP_WEIGHTS];       /**< laid out as w: rows w.ld apart                    */
    unsigned add;
    ol_dual state;    /**< [n, state reals] what a forward pass leaves for the passes after it  */
    ol_real *scratch; /**< scratch reals                                                      */
} ol_call;

/** What x_bar[i] is multiplied by before it is written: 0 overwritten, 1 added to. */
static inline ol_real ol_call_keep(const ol_call *call, int i)
{
    return (ol_real)(call->add >> i & 1u);
}

enum {
    OL_BENDS = 1,    /**< not linear in x                                  */
    OL_CHEAP = 2,    /**< elementwise: done again rather than kept         */
    OL_ADDS = 4,     /**< y += rather than y =                             */
    OL_IN_PLACE = 8, /**< y is x[0]; values of x before it are not needed  */
    OL_REDOES = 16,  /**< its tangent of the adjoint has nearly all of the adjoint itself at hand */
};

typedef struct ol_operator {
    const char *name;
    int inputs;     /**< of x that it takes, 0 .. OL_OP_INPUTS  */
    unsigned flags; /**< OL_BENDS ...                           */
    void (*forward)(ol_pass pass, const ol_call *call);
    void (*backward)(ol_pass pass, const ol_call *call);
    int (*state)(const ol_op_spec *spec);                   /**< reals a row of y; NULL = none */
    size_t (*scratch)(const ol_op_spec *spec, int longest); /**< reals; NULL = none */
} ol_operator;

#endif
