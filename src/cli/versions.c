/* SPDX-License-Identifier: BSD-3-Clause */
#include "versions.h"

#include "outerloop/comm/comm.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/run/run.h"
#include "outerloop/store/archive.h"

void ol_cli_versions(FILE *out)
{
    fprintf(out, "outerloop %s, commit %s\n", OL_VERSION, ol_run_commit());
    fprintf(out, "%s\n", ol_gemm_library());
    fprintf(out, "%s\n", ol_comm_library());
    fprintf(out, "%s\n", ol_store_library());
}
