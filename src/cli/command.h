/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a subcommand is. Adding one adds a file cmd_NAME.c that defines ol_cmd_NAME, a line in the
 * table of main.c, and a word in meson.build. A name of two words has a _ between them there.
 */
#ifndef OL_CLI_COMMAND_H
#define OL_CLI_COMMAND_H

#include <stdbool.h>

#include "options.h"
#include "outerloop/base/status.h"
#include "outerloop/comm/comm.h" /* ol_comm */

enum {
    OL_EXIT_DONE = 0,
    OL_EXIT_FAILED = 1,   /* a check did not hold, or work that had started failed     */
    OL_EXIT_USAGE = 2,    /* command line, configuration or input, before work started */
    OL_EXIT_STOPPED = 85, /* stopped early with everything saved: requeue me           */
};

typedef struct ol_command {
    const char *name; /* one word, or two: "data check" */
    const char *help; /* one line */
    /* argv[0] is "outerloop NAME"; returns the exit code. */
    int (*run)(int argc, char **argv);
} ol_command;

/* The exit code of a status. work_started: results of this run existed before it failed. */
int ol_cli_exit(ol_status status, bool work_started);

/* The same, and a failure is told to the person: for commands of one process. */
int ol_cli_finish(ol_status status, bool work_started);

/* printf to the person, as a terminal may have it (ol_log_print): names and texts come from anywhere. */
void ol_cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a command does on all ranks, every failure being everyone's in the end. *work_started is set
   once results exist. */
typedef ol_status (*ol_cli_work)(ol_comm *comm, void *payload, bool *work_started);

/* Start MPI, do it, let rank 0 speak for all, and end; ranks that stand still are ended (comm.h).
   Returns the exit code. */
int ol_cli_on_ranks(ol_cli_work work, void *payload);

/* Is this the first process of a launcher, or the only one? Before MPI is up. */
bool ol_cli_is_first(void);

int ol_cmd_bench(int argc, char **argv);
int ol_cmd_data_check(int argc, char **argv);
int ol_cmd_data_make(int argc, char **argv);
int ol_cmd_doctor(int argc, char **argv);
int ol_cmd_export(int argc, char **argv);
int ol_cmd_gradcheck(int argc, char **argv);
int ol_cmd_import(int argc, char **argv);
int ol_cmd_inspect(int argc, char **argv);
int ol_cmd_plan(int argc, char **argv);
int ol_cmd_prompts(int argc, char **argv);
int ol_cmd_reference(int argc, char **argv);
int ol_cmd_report(int argc, char **argv);
int ol_cmd_run(int argc, char **argv);
int ol_cmd_score(int argc, char **argv);
int ol_cmd_tokens(int argc, char **argv);
int ol_cmd_suite(int argc, char **argv);
int ol_cmd_sweep(int argc, char **argv);
int ol_cmd_verify(int argc, char **argv);

/* A job file to try: jobs/quickstart.cfg where it is seen from here, else the installed one. Static
   text. */
const char *ol_cli_example(void);

#endif
