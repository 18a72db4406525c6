/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "outerloop/base/file.h" /* PATH_MAX */

static const double no_limit = 1e15; /* version 1 writes "none" as a very large number */

/* The number in a file of the kernel's; no_limit where there is none, or "max". */
static double number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    double value = no_limit;

    if (file && fscanf(file, "%lf", &value) != 1)
        value = no_limit;
    if (file)
        fclose(file);
    return value;
}

/* The least limit from a control group up to the root of its mount. */
static double least_above(const char *mount, const char *group, const char *name)
{
    char path[PATH_MAX], part[PATH_MAX];
    double least = no_limit;

    snprintf(part, sizeof part, "%s", group);
    for (;;) {
        char *slash = strrchr(part, '/');
        double here = no_limit;

        if (snprintf(path, sizeof path, "%s%s/%s", mount, part, name) < (int)sizeof path)
            here = number_in(path);
        least = here < least ? here : least;
        if (!slash)
            return least;
        *slash = '\0';
    }
}

size_t ol_limits_group(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    double least = no_limit;

    while (file && fgets(line, sizeof line, file)) {
        const char *first = strstr(line, ":memory:");
        double here = no_limit;

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            here = least_above("/sys/fs/cgroup", line + 3, "memory.max");
        else if (first)
            here = least_above("/sys/fs/cgroup/memory", first + 8, "memory.limit_in_bytes");
        least = here < least ? here : least;
    }
    if (file)
        fclose(file);
    return least < no_limit ? (size_t)least : 0;
}

/* KiB in use, as a line of /proc/self/status has it; 0 when it has not. */
static size_t in_use(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    size_t kib = 0;

    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line + strlen(name), ": %zu", &kib) != 1)
            kib = 0;
    if (file)
        fclose(file);
    return kib;
}

void ol_limits_describe(char text[256])
{
    static const struct {
        unsigned resource;
        const char *flag, *used;
    } own[] = {{RLIMIT_AS, "-v", "VmSize"}, {RLIMIT_DATA, "-d", "VmData"}};
    const size_t group = ol_limits_group();
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        struct rlimit limit;

        if (getrlimit(own[i].resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
            n += (size_t)snprintf(text + n, 256 - n, "%sulimit %s %zu MiB (%zu in use)",
                                  n > 0 ? ", " : "", own[i].flag, (size_t)limit.rlim_cur >> 20,
                                  in_use(own[i].used) >> 10);
    }
    if (group > 0)
        n += (size_t)snprintf(text + n, 256 - n, "%scontrol group %zu MiB", n > 0 ? ", " : "",
                              group >> 20);
    if (n == 0)
        snprintf(text, 256, "none that is known");
}
