/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/run/inspect.h"
#include "outerloop/run/report.h"

struct options {
    const char **paths; /* [argc], more than there can be */
    int n;
    ol_inspect_how how;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'c':
        o->how = OL_INSPECT_CHECK;
        return 0;
    case 'b':
        o->how = OL_INSPECT_REBUILD;
        return 0;
    case ARGP_KEY_ARG:
        o->paths[o->n++] = value;
        return 0;
    case ARGP_KEY_END:
        if (o->n == 0)
            argp_error(state, "which path? A run folder, a checkpoint or a metrics file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static ol_status inspect_one(const char *path, ol_inspect_how how)
{
    ol_text text = {0};
    const ol_status status = ol_inspect(path, how, &text);

    if (text.size > 0 && (status == OL_OK || status == OL_ECHECK))
        ol_log_print(text.data, text.size);
    fflush(stdout);
    ol_text_finish(&text);
    return status;
}

static ol_status compare(const struct options *o)
{
    ol_report *report;
    ol_text text = {0};
    ol_status status;

    OL_TRY(ol_report_open(o->paths, o->n, &report));
    status = ol_report_brief(report, ol_log_columns(STDOUT_FILENO), &text);
    if (status == OL_OK)
        ol_log_print(text.data, text.size);
    fflush(stdout);
    ol_text_finish(&text);
    ol_report_close(report);
    return status;
}

/* The first failure decides the exit code; the other paths are looked at all the same. */
static int inspect_each(const struct options *o)
{
    int code = OL_EXIT_DONE;

    for (int i = 0; i < o->n; i++) {
        const int ended = ol_cli_finish(inspect_one(o->paths[i], o->how), false);

        code = code == OL_EXIT_DONE ? ended : code;
    }
    return code;
}

int ol_cmd_inspect(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"check", 'c', 0, 0, "read everything and compare every checksum and digest", 0},
        {"rebuild", 'b', 0, 0,
         "mend metrics.jsonl, whose lost rows metrics.h5 may have, and make metrics.h5 anew; "
         "damaged "
         "files are kept under the name that is told",
         0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PATH\nRUN RUN...",
        .doc =
            "Say what a run folder, a checkpoint or a metrics file holds; of several runs, in "
            "which keys of their jobs they differ, and how their scores do.\v"
            "The runs' paired differences stand above one table of all scores; report tells "
            "more. With --check or --rebuild each path is looked at by itself. A run that is at "
            "work needs no --rebuild: --resume does the same. Exit: 0 all is well, 1 --check "
            "found damage and named it, or --rebuild could not bring all rows back, 2 not a file "
            "of ours.",
    };
    struct options o = {.paths = calloc((size_t)argc, sizeof(char *))};
    int code;

    if (!o.paths)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    ol_cli_parse(&argp, argc, argv, &o);
    if (o.how != OL_INSPECT_LOOK)
        code = inspect_each(&o);
    else
        code = ol_cli_finish(o.n > 1 ? compare(&o) : inspect_one(o.paths[0], o.how), false);
    free(o.paths);
    return code;
}
