/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/log.h
 * What people are told: lines on standard error and, once a run has a folder, in its log.txt.
 *
 * Rank 0 speaks; the others are silent, except through ol_log_error.
 * Results that a command was asked for go to standard output with printf, or ol_log_print.
 * Local.
 */
#ifndef OUTERLOOP_BASE_LOG_H
#define OUTERLOOP_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** Say who is speaking. Before it, this process counts as rank 0. */
void ol_log_identify(int rank);

/** Also append every line to that file, with its time (UTC). NULL closes it. Only rank 0 writes.
 *  Errors: OL_EIO. */
ol_status ol_log_open(const char *path);

/** What happened. */
void ol_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** What a person may want to change; begins with "warning: ". */
void ol_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Why the program stops; spoken on any rank. Whose failure it is, the message says itself where it
 *  is not everyone's (ol_comm_agree). */
void ol_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Put a result on standard output: where it holds what files say, all of it goes through here, and
 *  control characters in it do not reach the terminal (ol_text_plain, in place). */
void ol_log_print(char *text, size_t size);

/** What a run ends in, between empty lines: on standard output as ol_log_print does it, and in log.txt
 *  as it is to be kept. */
void ol_log_result(char *text, size_t size, const char *kept);

/** The one live line of a terminal: replaces the previous one; any other line clears it first. It
 *  is cut to the width of the terminal, so that it stays one line: behind a part, where it has parts
 *  with two blanks between them.
 *  Does nothing where standard error is not a terminal. "" clears. */
void ol_log_live(const char *line);

/** True when standard error is a terminal that a live line can be drawn on, also through mpirun. */
bool ol_log_is_live(void);

/** Columns of the terminal that a descriptor leads to, also through mpirun; else what COLUMNS in the
 *  environment says; 0 when nobody knows. */
int ol_log_columns(int fd);

#endif
