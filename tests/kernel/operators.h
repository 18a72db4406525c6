/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file operators.h
 * Every dual operator of the kernel room, in the shapes that matter, as the checks of deriv.h see
 * them.
 */
#ifndef TESTS_KERNEL_OPERATORS_H
#define TESTS_KERNEL_OPERATORS_H

#include "deriv.h"

enum { MOST_OPERATORS = 16 };

/* Build the list; returns how many there are. */
int operators_build(operator list[MOST_OPERATORS]);

/* Free what the list holds. */
void operators_finish(int n, operator* list);

#endif
