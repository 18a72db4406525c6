/* SPDX-License-Identifier: BSD-3-Clause */
#include "versions.h"

void ol_cli_versions(FILE *out)
{
    fprintf(out, "outerloop %s\n", OL_VERSION);
}
