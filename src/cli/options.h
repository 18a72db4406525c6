/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of a subcommand as one table: what --help tells of an option, and where its value
 * goes. argp reads it; mistakes end the program, told once even under a launcher.
 */
#ifndef OL_CLI_OPTIONS_H
#define OL_CLI_OPTIONS_H

#include <argp.h>
#include <stdbool.h>

/* Words of the command line, in their order; free(items) when done with them. */
typedef struct ol_cli_words {
    const char **items;
    size_t n;
} ol_cli_words;

/* An option, whose value goes to the one of these places that is not NULL. */
typedef struct ol_cli_option {
    const char *name;
    int letter;        /* of its short form; 0 for none           */
    const char *value; /* what --help calls it; NULL of a flag, and where there are names */
    const char *help;
    bool *flag;
    const char **text;
    int *count;               /* a whole number of `least` or more       */
    unsigned *choice;         /* 0, 1, ... of the words of `value`, "a|b", or of: */
    const char *const *names; /* [up to a NULL]                     */
    ol_cli_words *words;      /* of an option that can be repeated       */
    void (*read)(struct argp_state *state, const char *value, void *at);
    void *at;    /* of `read`                                       */
    int least;   /* of a count                                      */
    bool needed; /* "--name is missing"                             */
    bool writes; /* of a text: a file to be written                 */
} ol_cli_option;

/* What a command line is made of. */
typedef struct ol_cli_syntax {
    const ol_cli_option *options; /* up to one without a name                          */
    const char *args;             /* what --help calls the words that are no options   */
    const char *doc;
    const char **word;         /* the one there is to be, which is `thing` in words  */
    ol_cli_words *words;       /* or any number, but at least one                    */
    const char *thing, *which; /* "which thing? ..." where there is none; NULL: an example job */
    const char *instead;       /* said of a word where there is to be none; or NULL  */
    void (*check)(struct argp_state *state, void *at); /* in the end; or NULL  */
    void *at;                                          /* of `check`           */
} ol_cli_syntax;

/* Read the command line, or leave the program. */
void ol_cli_read(const ol_cli_syntax *syntax, int argc, char **argv);

/* The job file of a command, and what is said over it. */
typedef struct ol_cli_job {
    const char *path;
    ol_cli_words sets;
} ol_cli_job;

/* What it is read from. */
#define OL_CLI_SOURCE(job) ((ol_job_source){(job).path, (job).sets.items, (job).sets.n})

/* Members of a syntax, and the row of --set. */
#define OL_CLI_JOB(job) .args = "JOB.cfg", .word = &(job)->path, .thing = "job file"
#define OL_CLI_SET(job)                                                                            \
    {                                                                                              \
        "set", 0, "PATH=VALUE",                                                                    \
            "override a key, as in --set learner.inner.lr=0.01; can be repeated",                  \
            .words = &(job)->sets                                                                  \
    }

/* The row of --tokenizer. */
#define OL_CLI_TOKENIZER(path)                                                                     \
    {                                                                                              \
        "tokenizer", 0, "DIR|FILE",                                                                \
            "folder with tokenizer.json, or with vocab.json and merges.txt; a GGUF file; a "       \
            "checkpoint",                                                                          \
            .text = (path), .needed = true                                                         \
    }

/* A job file to try: jobs/quickstart.cfg where it is seen from here, else the installed one. Static
   text. */
const char *ol_cli_example(void);

#endif
