/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/gate.h
 * The elementwise nonlinearities of networks, as dual operators: GELU in its tanh form [Hendrycks and
 * Gimpel 2016] and SwiGLU [Shazeer 2020].
 *
 * ol_gelu, x = x[0] [n,F], with a = √(2/π), c = 0.044715, u = 2a (x + c x³), u' = 2a (1 + 3c x²),
 * u'' = 12 a c x and σ = 1/(1 + e^-u), which is (1 + tanh(u/2))/2:
 *
 *   (1) y = x σ                                 f' = σ + x σ(1-σ) u'
 *                                               f" = σ(1-σ) (2u' + x (u'' + (1-2σ) u'²))
 *   (2) x_bar = y_bar f'     (3) R{y} = f' R{x}     (4) R{x_bar} = R{y_bar} f' + y_bar f" R{x}
 *
 * ol_swiglu, gate g = x[0], up u = x[1], both [n,F], with σ = 1/(1 + e^-g) and
 * f = g σ,  f' = σ (1 + g (1-σ)),  f" = σ(1-σ) (2 + g (1-2σ)):
 *
 *   (5) y = f u            (6) g_bar = y_bar u f';  u_bar = y_bar f
 *   (7) R{y} = f' R{g} u + f R{u}
 *   (8) R{g_bar} = R{y_bar} u f' + y_bar (R{u} f' + u f" R{g});
 *       R{u_bar} = R{y_bar} f + y_bar f' R{g}
 */
#ifndef OUTERLOOP_KERNEL_GATE_H
#define OUTERLOOP_KERNEL_GATE_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_gelu, ol_swiglu;

#endif
