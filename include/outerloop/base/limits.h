/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/limits.h
 * How much memory this process may have, by the kernel's own limits. Local, cannot fail.
 */
#ifndef OUTERLOOP_BASE_LIMITS_H
#define OUTERLOOP_BASE_LIMITS_H

#include <stddef.h>

/** Bytes in memory that the control groups of this process allow all of their processes together
 *  (memory.max, or memory.limit_in_bytes of version 1); 0: no limit. */
size_t ol_limits_group(void);

/** Say what limits there are: "ulimit -v 2048 MiB (300 in use), control group 4096 MiB"; "none
 *  that is known" where there is none. */
void ol_limits_describe(char text[256]);

#endif
