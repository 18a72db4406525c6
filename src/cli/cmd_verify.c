/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/products.h"
#include "outerloop/run/verify.h"

/* The f64 build of the same function; precision.h names it. */
ol_status ol_verify_file_f64(ol_comm *comm, const char *path);

struct options {
    const char **files; /* [argc], more than there can be */
    int n_files;
    bool f64, bf16;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'p':
        o->f64 = strcmp(value, "f64") == 0;
        o->bf16 = strcmp(value, "bf16") == 0;
        if (!o->f64 && !o->bf16 && strcmp(value, "f32") != 0)
            argp_error(state, "--precision is f32 or f64, or another that --help has, not \"%s\"",
                       value);
        return 0;
    case ARGP_KEY_ARG:
        o->files[o->n_files++] = value;
        return 0;
    case ARGP_KEY_END:
        if (o->n_files == 0)
            argp_error(state, "which verification file? At least one FILE.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Verify all files; the first failure is the result, but a check that does not hold does not keep
 * the other files from being verified. */
static int verify_all(ol_comm *comm, const struct options *o)
{
    int code = OL_EXIT_DONE;

    for (int i = 0; i < o->n_files && (code == OL_EXIT_DONE || code == OL_EXIT_FAILED); i++) {
        const ol_status status =
            o->f64 ? ol_verify_file_f64(comm, o->files[i]) : ol_verify_file(comm, o->files[i]);

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
    static const struct argp_option options[] = {
        {"precision", 'p', "f32|f64|bf16", 0,
         "of the computation; bf16: f32 with all products in bfloat16 (f32)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE.h5...",
        .doc = "Recompute the meta-step of each verification file and compare: one line per "
               "quantity with its relative error. Alone, or under mpirun.\v"
               "Tolerance: f64 1e-9; f32 ten times the file's float32_error, at least 1e-5; bf16 "
               "0.3, for "
               "it is there to measure. "
               "Exit 1 when a quantity is past it.",
    };
    struct options o = {.files = calloc((size_t)argc, sizeof(char *))};
    ol_comm *comm = NULL;
    ol_status status;
    int code;

    if (!o.files)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_products_use(o.bf16 ? OL_PRODUCTS_BF16 : OL_PRODUCTS_F32);
    ol_products_all(o.bf16);
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
    free(o.files);
    return code;
}
