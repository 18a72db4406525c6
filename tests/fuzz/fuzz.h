/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fuzz.h
 * What the targets share. A target is one reader of files that come from anywhere, with libFuzzer's
 * entry point: it calls the reader as the program does and uses all that was read. That the reader
 * refuses an input is right; that it crashes, hangs, leaks or reads what is not there is a finding.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Read one input. @return 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Set by a target when its reader took the input for what it should be. */
extern bool fuzz_accepted;

/** Write a file into a folder of this process, which goes with it. @return the folder, static */
const char *fuzz_folder(const char *name, const uint8_t *data, size_t size);

/** End the process, as a finding: something that must hold does not. */
void fuzz_found(const char *what) __attribute__((noreturn));

#endif
