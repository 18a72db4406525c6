/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/sanitize.h
 * Whether this is a build with AddressSanitizer: __SANITIZE_ADDRESS__, which gcc defines, is defined
 * by clang's way of saying it too.
 */
#ifndef OUTERLOOP_BASE_SANITIZE_H
#define OUTERLOOP_BASE_SANITIZE_H

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#endif
