/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/data/make.h"

enum { KEY_TASK = 1, KEY_OUT, KEY_SETTING, KEY_FROM, KEY_TRAIN, KEY_SHOTS, KEY_SEEDS, KEY_TEST };

enum { MOST_SEEDS = 64 };

typedef struct make_options {
    ol_make_spec spec;
    int seeds[MOST_SEEDS];
} make_options;

static const struct argp_option option_table[] = {
    {"task", KEY_TASK, "NAME", 0, "what to call it", 0},
    {"out", KEY_OUT, "ROOT", 0, "task folder to make, or to add to", 0},
    {"setting", KEY_SETTING, "S", 0, "setting to make or to extend (the task's name)", 0},
    {"train-from", KEY_FROM, "S", 0, "a new setting trains on the tasks of this one (none)", 0},
    {"train", KEY_TRAIN, NULL, 0, "make a training task (a target)", 0},
    {"shots", KEY_SHOTS, "K", 0, "rows of a k-shot file (16)", 0},
    {"seeds", KEY_SEEDS, "A,B,...", 0, "one k-shot file each (100,13,21,42,87)", 0},
    {"test", KEY_TEST, "N", 0, "rows of the test file (half of all)", 0},
    {0},
};

static void read_seeds(struct argp_state *state, make_options *o, const char *value)
{
    const char *at = value;

    o->spec.n_seeds = 0;
    for (;;) {
        char *end;
        const long seed = strtol(at, &end, 10);

        if (end == at || *at < '0' || *at > '9' || seed > 1000000000 ||
            o->spec.n_seeds == MOST_SEEDS || (*end != ',' && *end != '\0'))
            argp_error(state,
                       "--seeds is whole numbers with commas, as 100,13, at most %d, not "
                       "\"%s\"",
                       MOST_SEEDS, value);
        o->seeds[o->spec.n_seeds++] = (int)seed;
        if (*end == '\0')
            return;
        at = end + 1;
    }
}

static void end_options(struct argp_state *state, ol_make_spec *spec)
{
    if (!spec->file)
        argp_error(state, "which file? One of rows, .tsv or .jsonl");
    if (!spec->task)
        argp_error(state, "--task is missing");
    if (!spec->root || !*spec->root)
        argp_error(state, "--out is missing");
    if (!spec->setting)
        spec->setting = spec->task;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    make_options *o = state->input;
    ol_make_spec *spec = &o->spec;

    switch (key) {
    case KEY_TASK:
        spec->task = value;
        return 0;
    case KEY_OUT:
        spec->root = value;
        return 0;
    case KEY_SETTING:
        spec->setting = value;
        return 0;
    case KEY_FROM:
        spec->train_from = value;
        return 0;
    case KEY_TRAIN:
        spec->train = true;
        return 0;
    case KEY_SHOTS:
        spec->shots = ol_cli_number(state, "shots", value);
        return 0;
    case KEY_SEEDS:
        read_seeds(state, o, value);
        return 0;
    case KEY_TEST:
        spec->test = ol_cli_number(state, "test", value);
        return 0;
    case ARGP_KEY_ARG:
        if (spec->file)
            argp_error(state, "one file at a time: \"%s\" is the second", value);
        spec->file = value;
        return 0;
    case ARGP_KEY_END:
        end_options(state, spec);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void describe(const ol_make_spec *spec, const ol_made *made)
{
    char kind[64];

    if (made->labels > 0)
        snprintf(kind, sizeof kind, "classification, %d labels", made->labels);
    else
        snprintf(kind, sizeof kind, "multi-choice");
    printf("%s/data/%s: %d rows (%d repeated ones left out), %s\n", spec->root, spec->task,
           made->rows, made->repeats, kind);
    if (spec->train)
        printf("a training task: all rows in one file\n");
    else
        printf("a target: %d rows to test on; %d seeds of %d shots, and as many in dev files\n",
               made->test, spec->n_seeds, spec->shots);
    printf("%s/config/%s.json: %s\n", spec->root, spec->setting,
           made->setting_is_new ? "a new setting" : "extended");
}

int ol_cmd_data_make(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .args_doc = "FILE.tsv|FILE.jsonl",
        .doc =
            "Make a task in MetaICL's layout of your own rows.\v"
            "A .tsv has a row a line: input, output, and a further column for each option where "
            "rows have options of their own; a first line \"input<TAB>output\" is a heading. A "
            ".jsonl has {\"input\": ..., \"output\": ...}, and \"options\": [...] where rows have "
            "their own. Where no row has, the outputs are the labels of a classification. "
            "Nothing is overwritten. Example:\n\n"
            "  outerloop data make mail.tsv --task mail --out tasks --train-from hr_to_lr",
    };
    make_options o = {.spec = {.shots = 16, .n_seeds = 5}, .seeds = {100, 13, 21, 42, 87}};
    ol_made made;
    ol_status status;

    o.spec.seeds = o.seeds;
    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_task_make(&o.spec, &made);
    if (status == OL_OK)
        describe(&o.spec, &made);
    return ol_cli_finish(status, false);
}
