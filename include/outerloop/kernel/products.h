/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/products.h
 * In which precision the products of float32 matrices are computed.
 *
 *   f32     (1) c = α a b + β c                                  by BLAS
 *   bf16    (2) c = α bf16(a) bf16(b) + β c                      by oneDNN: products and sums in f32
 *   bf16x3  (3) c = α (a₁ b₁ + a₁ b₂ + a₂ b₁) + β c              a₁ = bf16(a), a₂ = bf16(a - a₁)
 *
 * bf16(·) rounds to the nearest bfloat16, 8 bits of mantissa, ties to even: an operand is off by at
 * most 2⁻⁹ of itself, in (3) by 2⁻¹⁷. Everything else stays as it was: parameters, moments, sums over
 * episodes, norms, softmax and losses are float32, and so are products too small to gain.
 *
 * (2) wants a processor with bfloat16 dot products (AVX512_BF16, AMX: 2 to 4 times the float32 rate on
 * the first, some 10 times on the second); without them it is refused. (3) pays only where AMX is, and
 * is refused elsewhere. The sums of (2) and (3) are made in an order that depends on the instruction
 * set: equal bits are promised on equal instruction sets only.
 *
 * oneDNN (Debian's libdnnl, versions 2 and 3) is optional when the program is built. The setting is
 * the process's; set it before work starts. Local.
 */
#ifndef OUTERLOOP_KERNEL_PRODUCTS_H
#define OUTERLOOP_KERNEL_PRODUCTS_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/kernel/gemm.h" /* ol_mat */

/** The kinds above; auto is bf16 where the processor has bfloat16 dot products, else f32. */
typedef enum ol_products {
    OL_PRODUCTS_F32,
    OL_PRODUCTS_BF16,
    OL_PRODUCTS_BF16X3,
    OL_PRODUCTS_AUTO
} ol_products;

/** Their names in that order, NULL at the end. */
extern const char *const ol_products_names[];

/** Compute products so from now on. Errors: OL_EUSAGE with the reason when this program or this
 *  processor cannot; then nothing changes. */
ol_status ol_products_use(ol_products kind);

/** From now on also products too small to gain: what accuracy is measured with. */
void ol_products_all(bool all);

/** What is in use; never auto. */
ol_products ol_products_used(void);

enum { OL_PRODUCTS_TEXT = 96 }; /**< bytes that hold the words below */

/** That in words for records: "f32", or "bf16 (oneDNN 2.6.3, avx512_core_bf16)". Borrowed. */
const char *ol_products_describe(void);

/** Threads of oneDNN in this process from now on. */
void ol_products_threads(int threads);

/** A factor as it stands in memory: rows of reals, or of bfloat16 (then .reals is NULL). */
typedef struct ol_factor {
    const float *reals;
    const uint16_t *bf16;
    int ld;
    bool turned; /**< stands transposed */
} ol_factor;

/**
 * c [m,n] = α a b + β c by (2) or (3), with a [m,k] of reals and b [k,n], each as it is or turned.
 * @return false when this product is to be made in f32; nothing was done then
 * Cost beside the product: one pass over the operands that are reals, and for a shape not met lately
 * some 0.5 ms to make its code. Memory: ol_products_bytes.
 */
bool ol_products_multiply(int m, int n, int k, float alpha, ol_factor a, ol_factor b, float beta,
                          float *c, int ldc);

/**
 * Bytes that are kept once such a product was made: its operands that are reals as bfloat16, and the
 * code of the products used last, whatever their shapes, for their number is bounded. 0 when it is
 * made in f32. Of several products the most counts.
 */
size_t ol_products_bytes(int m, int n, int k, bool b_is_bf16);

#endif
