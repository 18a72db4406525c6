/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/clock.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double ol_clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ol_clock_utc(char text[32])
{
    const time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void ol_clock_duration(double seconds, char text[32])
{
    const long whole = seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;

    if (whole < 60)
        snprintf(text, 32, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(text, 32, "%ld h %02ld min", whole / 3600, whole % 3600 / 60);
}

size_t ol_clock_peak_bytes(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (size_t)use.ru_maxrss * 1024;
}

size_t ol_clock_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t all, resident = 0;

    if (file && fscanf(file, "%zu %zu", &all, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}
