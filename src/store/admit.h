/* SPDX-License-Identifier: BSD-3-Clause */
/* What a file must pass before HDF5 reads it in this process. archive.h tells the whole defence. */
#ifndef STORE_ADMIT_H
#define STORE_ADMIT_H

#include "outerloop/base/status.h"

/* Pass a file, in a child, or refuse it. One that passed and was not written to since passes again
   at once. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_admit(const char *path);

/* Remember that this process itself has just written and closed the file. */
void ol_admit_own(const char *path);

#endif
