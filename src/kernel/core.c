/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Vectors that products are made with; float32 numbers a cycle of each, in proportion; and the kinds
 * of core that do, as OpenBLAS calls them, first the one to ask for. */
static const struct {
    const char *name;
    int rate;
    const char *kinds[20];
} sets[] = {
    {"SSE",
     1,
     {"Nehalem", "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Atom", "Core2",
      "Penryn", "Dunnington", "Athlon", "Opteron", "Opteron_SSE3", "Opteron(SSE3)", "Barcelona",
      "Bobcat", "Nano", "Generic"}},
    {"AVX", 2, {"Sandybridge", "Bulldozer", "Piledriver", "Steamroller", "Excavator"}},
    {"AVX2", 4, {"Haswell", "Zen"}},
    {"AVX-512", 8, {"SkylakeX", "Cooperlake", "SapphireRapids"}},
};

enum { SSE, AVX, AVX2, AVX512, SETS };

/* The widest of this processor; -1 where that is not known. */
static int set_of_processor(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return AVX2;
    return __builtin_cpu_supports("avx") ? AVX : SSE;
#else
    return -1;
#endif
}

/* The set of the kind that `n` bytes name; -1 for none that is known. */
static int set_of_kind(const char *name, size_t n)
{
    for (int s = 0; s < SETS; s++)
        for (const char *const *kind = sets[s].kinds; *kind; kind++)
            if (strlen(*kind) == n && strncasecmp(*kind, name, n) == 0)
                return s;
    return -1;
}

/* What the library uses, by a word of its description; -1 where none is known. */
static int set_of_library(const char *library, char kind[OL_CORE_TEXT])
{
    int set = -1;

    for (size_t n; set < 0 && *library; library += n + strspn(library + n, " ")) {
        n = strcspn(library, " ");
        set = set_of_kind(library, n);
        snprintf(kind, OL_CORE_TEXT, "%.*s", (int)n, library);
    }
    return set;
}

int ol_core_slowed(const char *library, char words[OL_CORE_TEXT])
{
    const char *asked = getenv("OPENBLAS_CORETYPE");
    char kind[OL_CORE_TEXT];
    const int uses = set_of_library(library, kind), has = set_of_processor();

    words[0] = '\0';
    if (uses < 0 || has <= uses)
        return 1;
    const int times = sets[has].rate / sets[uses].rate;

    if (asked)
        snprintf(words, OL_CORE_TEXT,
                 "OPENBLAS_CORETYPE=%.40s makes products with %s on a processor with %s, at about "
                 "1/%d of the rate: unset OPENBLAS_CORETYPE",
                 asked, sets[uses].name, sets[has].name, times);
    else
        snprintf(words, OL_CORE_TEXT,
                 "OpenBLAS takes this processor for %.40s and makes products with %s, though it "
                 "has %s, at about 1/%d of the rate: take a newer OpenBLAS, or export "
                 "OPENBLAS_CORETYPE=%s on all hosts",
                 kind, sets[uses].name, sets[has].name, times, sets[has].kinds[0]);
    return times;
}
