/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/precision.h
 * The functions that exist twice. In the f64 pass (-DOL_F64) each name here stands for the same
 * name with the suffix _f64, so that both precisions can live in one program. A test compares the
 * symbols of the two builds; a function missing here fails it.
 */
#ifndef OUTERLOOP_BASE_PRECISION_H
#define OUTERLOOP_BASE_PRECISION_H

#ifdef OL_F64
#endif

#endif
