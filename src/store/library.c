/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/library.h"

#include <hdf5.h>
#include <stdio.h>

const char *ol_store_library(void)
{
    static char text[48];
    unsigned major, minor, release;

    if (H5get_libversion(&major, &minor, &release) < 0)
        return "HDF5 of unknown version";
    snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    return text;
}
