/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/check/verify.h"
#include "outerloop/comm/comm.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/products.h"

/* The f64 build of the same function; precision.h names it. */
ol_status ol_verify_file_f64(ol_comm *comm, const char *path);

enum { F32, F64, BF16 };

struct options {
    ol_cli_words files;
    unsigned precision; /* F32, F64, BF16 */
};

/* Verify all files; the first failure is the result, but a check that does not hold does not keep
 * the other files from being verified. */
static int verify_all(ol_comm *comm, const struct options *o)
{
    int code = OL_EXIT_DONE;

    for (size_t i = 0; i < o->files.n && (code == OL_EXIT_DONE || code == OL_EXIT_FAILED); i++) {
        const ol_status status = o->precision == F64 ? ol_verify_file_f64(comm, o->files.items[i])
                                                     : ol_verify_file(comm, o->files.items[i]);

        if (status == OL_OK)
            continue;
        fflush(stdout);
        if (ol_comm_rank(comm) == 0)
            ol_log_error("%s", ol_status_message());
        code = ol_cli_exit(status, false);
    }
    return code;
}

int ol_cmd_verify(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        {"precision", 'p', "f32|f64|bf16",
         "of the computation; bf16: f32 with all products in bfloat16 (f32)",
         .choice = &o.precision},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "FILE.h5...",
        .words = &o.files,
        .thing = "verification file",
        .which = "At least one FILE.h5",
        .doc = "Recompute the meta-step of each verification file and compare: one line per "
               "quantity with its relative error. Alone, or under mpirun.\v"
               "Tolerance: f64 1e-9; f32 ten times the file's float32_error, at least 1e-5; bf16 "
               "0.3, for "
               "it is there to measure. "
               "Exit 1 when a quantity is past it.",
    };
    ol_comm *comm = NULL;
    ol_status status;
    int code;

    ol_cli_read(&syntax, argc, argv);
    status = ol_products_use(o.precision == BF16 ? OL_PRODUCTS_BF16 : OL_PRODUCTS_F32);
    ol_products_all(o.precision == BF16);
    if (status == OL_OK)
        status = ol_comm_init(&comm);
    if (status == OL_OK) {
        ol_log_identify(ol_comm_rank(comm));
        ol_gemm_threads(1);
        code = verify_all(comm, &o);
    } else {
        code = ol_cli_finish(status, false);
    }
    ol_comm_destroy(comm);
    free(o.files.items);
    return code;
}
