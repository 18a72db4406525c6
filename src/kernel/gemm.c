/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/gemm.h"

#include <cblas.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "direct.h"
#include "outerloop/base/limits.h"
#include "outerloop/kernel/products.h"

#ifdef OL_F64
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

static double flops, narrow; /* in all, and of them in bfloat16 */

/* By bfloat16 products, where they are in use and gain. */
static bool multiplied(bool a_turned, int m, int n, int k, ol_real alpha, ol_mat a, ol_factor b,
                       ol_real beta, ol_mat_out c)
{
#ifdef OL_F64
    (void)a_turned, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)b, (void)beta, (void)c;
    return false;
#else
    return ol_products_used() != OL_PRODUCTS_F32 &&
           ol_products_multiply(m, n, k, alpha,
                                (ol_factor){.reals = a.at, .ld = a.ld, .turned = a_turned}, b, beta,
                                c.at, c.ld);
#endif
}

static ol_factor factor_of(ol_mat b, bool turned)
{
#ifdef OL_F64
    return (ol_factor){.ld = b.ld, .turned = turned};
#else
    return (ol_factor){.reals = b.at, .ld = b.ld, .turned = turned};
#endif
}

static void product(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, ol_real alpha,
                    ol_mat a, ol_mat b, ol_real beta, ol_mat_out c)
{
    flops += 2.0 * m * n * k;
    if (multiplied(ta == CblasTrans, m, n, k, alpha, a, factor_of(b, tb == CblasTrans), beta, c)) {
        narrow += 2.0 * m * n * k;
        return;
    }
    const ol_direct_factors f = {a, b, ta == CblasTrans, tb == CblasTrans};

    if (ol_direct_gains(&f, openblas_get_num_threads(), m, n, k))
        ol_direct_multiply(&f, m, n, k, alpha, beta, c);
    else
        GEMM(CblasRowMajor, ta, tb, m, n, k, alpha, a.at, a.ld, b.at, b.ld, beta, c.at, c.ld);
}

void ol_gemm_nn(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c)
{
    product(CblasNoTrans, CblasNoTrans, m, n, k, alpha, a, b, beta, c);
}

void ol_gemm_nt(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c)
{
    product(CblasNoTrans, CblasTrans, m, n, k, alpha, a, b, beta, c);
}

void ol_gemm_tn(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c)
{
    product(CblasTrans, CblasNoTrans, m, n, k, alpha, a, b, beta, c);
}

bool ol_gemm_with_bf16(bool turned, int m, int n, int k, ol_real alpha, ol_mat a, const uint16_t *b,
                       int ldb, ol_real beta, ol_mat_out c)
{
    if (!multiplied(false, m, n, k, alpha, a, (ol_factor){.bf16 = b, .ld = ldb, .turned = turned},
                    beta, c))
        return false;
    flops += 2.0 * m * n * k;
    narrow += 2.0 * m * n * k;
    return true;
}

double ol_gemm_flops(void)
{
    return flops;
}

double ol_gemm_flops_bf16(void)
{
    return narrow;
}

void ol_gemm_threads(int threads)
{
    openblas_set_num_threads(threads);
    ol_products_threads(threads);
}

enum { BUFFER_BYTES = 128 << 20, ROWS = 256 };

/* Enough work for all threads, so that each takes its buffer. */
static ol_status multiply_once(void)
{
    ol_real *x = calloc((size_t)2 * ROWS * ROWS, sizeof *x);

    OL_CHECK(x, OL_ENOMEM, "no memory for a first product of matrices");
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, ROWS, ROWS, 1, x, ROWS, x, ROWS, 0,
         x + ROWS * ROWS, ROWS);
    free(x);
    return OL_OK;
}

ol_status ol_gemm_reserve(int threads)
{
    const size_t bytes = (size_t)threads * BUFFER_BYTES, group = ol_limits_group();
    void *trial = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char limits[256];

    if (trial != MAP_FAILED)
        munmap(trial, bytes);
    ol_limits_describe(limits);
    OL_CHECK(
        trial != MAP_FAILED && (group == 0 || group >= bytes), OL_ENOMEM,
        "no memory for the buffers of the BLAS library: %zu MiB for %d thread%s; the limits of "
        "this process: %s. Raise them (ulimit, sbatch --mem-per-cpu), or use fewer threads",
        bytes >> 20, threads, threads > 1 ? "s" : "", limits);
    return multiply_once();
}

const char *ol_gemm_library(void)
{
    return openblas_get_config();
}
