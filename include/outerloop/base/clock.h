/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/clock.h
 * Time: a monotonic clock for durations, and the peak memory of the process. Local.
 */
#ifndef OUTERLOOP_BASE_CLOCK_H
#define OUTERLOOP_BASE_CLOCK_H

#include <stddef.h>

/** Seconds on a clock that never steps back; only differences mean anything. */
double ol_clock_seconds(void);

/** The present time as ISO 8601 in UTC, "2026-01-31T12:00:00Z". */
void ol_clock_utc(char text[32]);

/** Write a duration for people: "41 s", "3 min 20 s", "2 h 05 min". */
void ol_clock_duration(double seconds, char text[32]);

/** Largest resident size of this process so far, in bytes. */
size_t ol_clock_peak_bytes(void);

/** Resident size of this process now, in bytes; 0 where the system does not tell. */
size_t ol_clock_resident_bytes(void);

#endif
