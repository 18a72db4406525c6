/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/base/text.h"
#include "outerloop/run/stop.h" /* ol_stop_install */
#include "versions.h"

static const ol_command commands[] = {
    {"run", "the stages of a job: train, eval, adapt", ol_cmd_run},
    {"plan", "what a job would do: memory, time and disk; a batch script for it", ol_cmd_plan},
    {"sweep", "one job many times, with other keys each; an array for SLURM", ol_cmd_sweep},
    {"doctor", "look at the place: MPI, cores, products, memory, disk; fixes", ol_cmd_doctor},
    {"verify", "recompute meta-steps that another program computed, and compare", ol_cmd_verify},
    {"gradcheck", "hold a job's gradients against differences, in float64", ol_cmd_gradcheck},
    {"prompts", "the prompts of a target task, exactly as they are scored", ol_cmd_prompts},
    {"tokens", "texts as JSON lines to token ids, and back", ol_cmd_tokens},
    {"suite", "write the built-in task suite", ol_cmd_suite},
    {"data check", "what a task folder holds, and what is wrong with it", ol_cmd_data_check},
    {"data make", "your own .tsv or .jsonl as a task folder", ol_cmd_data_make},
    {"bench", "time one episode's meta-gradient on this core", ol_cmd_bench},
    {"inspect", "what a run folder, checkpoint or metrics file holds", ol_cmd_inspect},
    {"import", "a Hugging Face folder or GGUF file as a checkpoint of ours", ol_cmd_import},
    {"export", "a checkpoint as a folder that transformers or peft loads", ol_cmd_export},
    {"score", "option losses of a prompts file under a model", ol_cmd_score},
    {"report", "what runs came to: tables, curves, one page, JSON, CSV, LaTeX", ol_cmd_report},
    {"reference", "every key of a job file, with defaults and meanings", ol_cmd_reference},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const char *ol_cli_example(void)
{
    static const char here[] = "jobs/quickstart.cfg", installed[] = OL_DATA "/jobs/quickstart.cfg";

    return access(here, R_OK) != 0 && access(installed, R_OK) == 0 ? installed : here;
}

static void print_help(FILE *out)
{
    fprintf(out, "Usage: outerloop COMMAND [OPTION...]\n"
                 "Meta-training of language models on CPU clusters, with exact second-order "
                 "gradients.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s  %s\n", commands[i].name, commands[i].help);
    fprintf(out,
            "\n"
            "  outerloop COMMAND --help    options of a command\n"
            "  outerloop --version         versions of the program and what it stands on\n\n"
            "Example, two ranks:\n"
            "  mpirun -n 2 outerloop run %s --set train.steps=50\n\n"
            "Exit: 0 done, 1 the check or run failed, 2 usage or configuration,\n"
            "      85 stopped early with everything saved (requeue me).\n",
            ol_cli_example());
}

int ol_cli_exit(ol_status status, bool work_started)
{
    switch (status) {
    case OL_OK:
        return OL_EXIT_DONE;
    case OL_ESTOPPED:
        return OL_EXIT_STOPPED;
    case OL_EUSAGE:
    case OL_EDATA:
    case OL_EIO:
        return work_started ? OL_EXIT_FAILED : OL_EXIT_USAGE;
    case OL_ENOMEM:
    case OL_ENONFINITE:
    case OL_ECHECK:
    case OL_EMPI:
        break;
    }
    return OL_EXIT_FAILED;
}

/* An answer that did not get through is none. */
static ol_status check_answer(void)
{
    const bool lost = fflush(stdout) != 0 || ferror(stdout);

    OL_CHECK(!lost, OL_EIO, "standard output does not take all of the answer: is its disk full?");
    return OL_OK;
}

int ol_cli_finish(ol_status status, bool work_started)
{
    if (status == OL_OK && !work_started) { /* what a run has to tell is in its files too */
        status = check_answer();
        work_started = status != OL_OK; /* too late for a mistake in usage */
    }
    fflush(stdout);
    if (status != OL_OK)
        ol_log_error("%s", ol_status_message());
    if (status != OL_OK && getenv("OUTERLOOP_TRACE"))
        fputs(ol_status_trace(), stderr);
    return ol_cli_exit(status, work_started);
}

void ol_cli_say(const char *format, ...)
{
    OL_AUTO_FREE char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL; /* nothing is said when there is no memory to say it */
    va_end(arguments);
    if (text)
        ol_log_print(text, strlen(text));
}

/* Before MPI is up, only the launcher's environment says which process this is. */
bool ol_cli_is_first(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *rank = getenv(names[i]);

        if (rank)
            return atoi(rank) == 0;
    }
    return true;
}

/* How many words of the command line are the name of that command: 1 or 2, or 0 for none. */
static int words_of(const ol_command *command, int argc, char **argv)
{
    const char *space = strchr(command->name, ' ');
    const size_t first = space ? (size_t)(space - command->name) : strlen(command->name);

    if (strlen(argv[1]) != first || strncmp(argv[1], command->name, first) != 0)
        return 0;
    if (!space)
        return 1;
    return argc > 2 && strcmp(argv[2], space + 1) == 0 ? 2 : 0;
}

/* The first word of names of two. */
static bool is_first_word(const char *word)
{
    const size_t n = strlen(word);

    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ')
            return true;
    return false;
}

static int unknown_command(const char *word)
{
    const char *names[N_COMMANDS], *near;

    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    if (is_first_word(word)) {
        fprintf(stderr, "outerloop: \"%s\" wants a second word:", word);
        for (size_t i = 0; i < N_COMMANDS; i++)
            if (strncmp(names[i], word, strlen(word)) == 0 && names[i][strlen(word)] == ' ')
                fprintf(stderr, " \"outerloop %s\"", names[i]);
        fputc('\n', stderr);
        return OL_EXIT_USAGE;
    }
    near = ol_text_nearest(word, names, N_COMMANDS);
    if (near)
        fprintf(stderr, "outerloop: no command \"%s\"; did you mean \"%s\"?\n", word, near);
    else
        fprintf(stderr, "outerloop: no command \"%s\"; outerloop --help lists them\n", word);
    return OL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    char name[64];

    /* Large blocks go back to the system when they are freed: peak memory is what is in use. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    argp_err_exit_status = OL_EXIT_USAGE;
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a write that fails, and has words */
    if (!word) {
        print_help(stderr);
        return OL_EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return OL_EXIT_DONE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        ol_cli_versions(stdout);
        return OL_EXIT_DONE;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const int words = words_of(&commands[i], argc, argv);

        if (words > 0) {
            if (commands[i].run == ol_cmd_run)
                ol_stop_install(); /* before MPI starts, which takes a second */
            snprintf(name, sizeof name, "outerloop %s", commands[i].name);
            argv[words] = name;
            return commands[i].run(argc - words, argv + words);
        }
    }
    return unknown_command(word);
}
