/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/report/inspect.h"
#include "outerloop/report/report.h"

struct options {
    ol_cli_words paths;
    bool check, rebuild;
};

static ol_status inspect_one(const char *path, ol_inspect_how how)
{
    OL_AUTO_TEXT text = {0};
    const ol_status status = ol_inspect(path, how, &text);

    if (text.size > 0 && (status == OL_OK || status == OL_ECHECK))
        ol_log_print(text.data, text.size);
    return status;
}

static ol_status compare(const struct options *o)
{
    OL_AUTO(ol_report_drop) ol_report *report = NULL;
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_report_open(o->paths.items, (int)o->paths.n, &report));
    OL_TRY(ol_report_brief(report, ol_log_columns(STDOUT_FILENO), &text));
    ol_log_print(text.data, text.size);
    return OL_OK;
}

/* The first failure decides the exit code; the other paths are looked at all the same. */
static int inspect_each(const struct options *o)
{
    const ol_inspect_how how = o->rebuild ? OL_INSPECT_REBUILD
                               : o->check ? OL_INSPECT_CHECK
                                          : OL_INSPECT_LOOK;
    int code = OL_EXIT_DONE;

    for (size_t i = 0; i < o->paths.n; i++) {
        const int ended = ol_cli_finish(inspect_one(o->paths.items[i], how), false);

        code = code == OL_EXIT_DONE ? ended : code;
    }
    return code;
}

int ol_cmd_inspect(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        {"check", 'c', .help = "read everything and compare every checksum and digest",
         .flag = &o.check},
        {"rebuild", 'b',
         .help = "mend metrics.jsonl, whose lost rows metrics.h5 may have, and make metrics.h5 "
                 "anew; damaged files are kept under the name that is told",
         .flag = &o.rebuild},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "PATH\nRUN RUN...",
        .words = &o.paths,
        .thing = "path",
        .which = "A run folder, a checkpoint or a metrics file",
        .doc =
            "Say what a run folder, a checkpoint or a metrics file holds; of several runs, in "
            "which keys of their jobs they differ, and how their scores do.\v"
            "The runs' paired differences stand above one table of all scores; report tells "
            "more. With --check or --rebuild each path is looked at by itself. A run that is at "
            "work needs no --rebuild: --resume does the same. Exit: 0 all is well, 1 --check "
            "found damage and named it, or --rebuild could not bring all rows back, 2 not a file "
            "of ours.",
    };
    int code;

    ol_cli_read(&syntax, argc, argv);
    if (o.check || o.rebuild || o.paths.n == 1)
        code = inspect_each(&o);
    else
        code = ol_cli_finish(compare(&o), false);
    free(o.paths.items);
    return code;
}
