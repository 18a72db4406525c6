/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/data/make.h"

enum { MOST_SEEDS = 64 };

typedef struct make_options {
    ol_make_spec spec;
    int seeds[MOST_SEEDS];
} make_options;

static void read_seeds(struct argp_state *state, const char *value, void *into)
{
    make_options *o = into;
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

static void describe(const ol_make_spec *spec, const ol_made *made)
{
    char kind[64];

    if (made->labels > 0)
        snprintf(kind, sizeof kind, "classification, %d labels", made->labels);
    else
        snprintf(kind, sizeof kind, "multi-choice");
    ol_cli_say("%s/data/%s: %d rows (%d repeated ones left out), %s\n", spec->root, spec->task,
               made->rows, made->repeats, kind);
    if (spec->train)
        ol_cli_say("a training task: all rows in one file\n");
    else
        ol_cli_say("a target: %d rows to test on; %d seeds of %d shots, and as many in dev files\n",
                   made->test, spec->n_seeds, spec->shots);
    ol_cli_say("%s/config/%s.json: %s\n", spec->root, spec->setting,
               made->setting_is_new ? "a new setting" : "extended");
}

int ol_cmd_data_make(int argc, char **argv)
{
    make_options o = {.spec = {.shots = 16, .n_seeds = 5}, .seeds = {100, 13, 21, 42, 87}};
    ol_make_spec *const spec = &o.spec;
    const ol_cli_option options[] = {
        {"task", 0, "NAME", "what to call it", .text = &spec->task, .needed = true},
        {"out", 0, "ROOT", "task folder to make, or to add to", .text = &spec->root,
         .needed = true},
        {"setting", 0, "S", "setting to make or to extend (the task's name)",
         .text = &spec->setting},
        {"train-from", 0, "S", "a new setting trains on the tasks of this one (none)",
         .text = &spec->train_from},
        {"train", .help = "make a training task (a target)", .flag = &spec->train},
        {"shots", 0, "K", "rows of a k-shot file (16)", .count = &spec->shots},
        {"seeds", 0, "A,B,...", "one k-shot file each (100,13,21,42,87)", .read = read_seeds,
         .at = &o},
        {"test", 0, "N", "rows of the test file (half of all)", .count = &spec->test},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "FILE.tsv|FILE.jsonl",
        .word = &spec->file,
        .thing = "file",
        .which = "One of rows, .tsv or .jsonl",
        .doc =
            "Make a task in MetaICL's layout of your own rows.\v"
            "A .tsv has a row a line: input, output, and a further column for each option where "
            "rows have options of their own; a first line \"input<TAB>output\" is a heading. A "
            ".jsonl has {\"input\": ..., \"output\": ...}, and \"options\": [...] where rows have "
            "their own. Where no row has, the outputs are the labels of a classification. "
            "Nothing is overwritten. Example:\n\n"
            "  outerloop data make mail.tsv --task mail --out tasks --train-from hr_to_lr",
    };
    ol_made made;
    ol_status status;

    spec->seeds = o.seeds;
    ol_cli_read(&syntax, argc, argv);
    if (!spec->setting)
        spec->setting = spec->task;
    status = ol_task_make(spec, &made);
    if (status == OL_OK)
        describe(spec, &made);
    return ol_cli_finish(status, false);
}
