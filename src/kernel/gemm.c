/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/gemm.h"

#include <cblas.h>

#ifdef OL_F64
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

static double flops;

static void product(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, ol_real alpha,
                    ol_mat a, ol_mat b, ol_real beta, ol_mat_out c)
{
    flops += 2.0 * m * n * k;
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

double ol_gemm_flops(void)
{
    return flops;
}

void ol_gemm_threads(int threads)
{
    openblas_set_num_threads(threads);
}

const char *ol_gemm_library(void)
{
    return openblas_get_config();
}
