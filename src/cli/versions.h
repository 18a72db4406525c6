/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef OL_CLI_VERSIONS_H
#define OL_CLI_VERSIONS_H

#include <stdio.h>

/* Version of the program and of the libraries it is linked with. */
void ol_cli_versions(FILE *out);

#endif
