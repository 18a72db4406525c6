/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/file.h" /* ol_check_output */
#include "outerloop/base/text.h" /* ol_text */

enum { MOST = 32 /* options of a command */, LONG = 256 /* keys of those without a letter */ };

/* What is being read. */
typedef struct reading {
    const ol_cli_syntax *syntax;
    bool given[MOST];
    ol_text names[MOST]; /* "a|b|c" of options that have names */
} reading;

static int key_of(const ol_cli_option *options, int i)
{
    return options[i].letter ? options[i].letter : LONG + i;
}

/* --- values ----------------------------------------------------------------------------------- */

static int whole_number(struct argp_state *state, const ol_cli_option *o, const char *value)
{
    char *end;
    const long n = strtol(value, &end, 10);

    if (end == value || *end != '\0' || n < o->least || n > 1000000000)
        argp_error(state, "--%s is a whole number of %s%d%s, not \"%s\"", o->name,
                   o->least > 0 ? "at least " : "", o->least, o->least > 0 ? "" : " or more",
                   value);
    return (int)n;
}

/* "--option is a, b or c", of "a|b|c". */
static void refuse(struct argp_state *state, const char *name, const char *names, const char *value)
{
    OL_AUTO_TEXT words = {0};

    for (const char *at = names; *at; at++) {
        const char *comma = strchr(at + 1, '|') ? ", " : " or ";

        (void)!(*at == '|' ? ol_text_format(&words, "%s", comma) : ol_text_append(&words, at, 1));
    }
    argp_error(state, "--%s is %s, not \"%s\"", name, words.data, value);
}

/* The number of the word in "a|b|c". */
static unsigned choice_of(struct argp_state *state, const char *name, const char *names,
                          const char *value)
{
    const size_t n = strlen(value);
    const char *at = names;

    for (unsigned i = 0;; i++) {
        const size_t length = strcspn(at, "|");

        if (length == n && strncmp(at, value, n) == 0)
            return i;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    refuse(state, name, names, value);
    return 0;
}

static void add_word(struct argp_state *state, ol_cli_words *words, const char *word)
{
    if (!words->items)
        words->items = calloc((size_t)state->argc, sizeof *words->items); /* more than can be */
    if (!words->items)
        argp_failure(state, OL_EXIT_FAILED, 0, "no memory for the command line");
    words->items[words->n++] = word;
}

/* What --help calls the value of an option. */
static const char *value_of(const reading *r, int i)
{
    return r->syntax->options[i].names ? r->names[i].data : r->syntax->options[i].value;
}

static void take_value(struct argp_state *state, const reading *r, int i, const char *value)
{
    const ol_cli_option *o = &r->syntax->options[i];

    if (o->writes && ol_check_output(value) != OL_OK)
        argp_error(state, "--%s: %s", o->name, ol_status_message());
    if (o->flag)
        *o->flag = true;
    else if (o->text)
        *o->text = value;
    else if (o->count)
        *o->count = whole_number(state, o, value);
    else if (o->choice)
        *o->choice = choice_of(state, o->name, value_of(r, i), value);
    else if (o->words)
        add_word(state, o->words, value);
    else
        o->read(state, value, o->at);
}

/* --- the line --------------------------------------------------------------------------------- */

static void take_word(struct argp_state *state, const ol_cli_syntax *s, const char *word)
{
    if (s->words)
        add_word(state, s->words, word);
    else if (!s->word)
        argp_error(state, "unexpected \"%s\"%s", word, s->instead ? s->instead : "");
    else if (*s->word)
        argp_error(state, "one %s at a time: \"%s\" is the second", s->thing, word);
    else
        *s->word = word;
}

static void check_end(struct argp_state *state, const reading *r)
{
    const ol_cli_syntax *s = r->syntax;
    const ol_cli_option *o = s->options;

    if ((s->word && !*s->word) || (s->words && s->words->n == 0))
        argp_error(state, "which %s? %s%s", s->thing, s->which ? "" : "For example ",
                   s->which ? s->which : ol_cli_example());
    for (int i = 0; o[i].name; i++)
        if (o[i].needed && (!r->given[i] || (o[i].text && !**o[i].text)))
            argp_error(state, "--%s is missing", o[i].name);
    if (s->check)
        s->check(state, s->at);
}

static error_t take(int key, char *value, struct argp_state *state)
{
    reading *r = state->input;
    const ol_cli_option *o = r->syntax->options;

    if (key == ARGP_KEY_ARG)
        take_word(state, r->syntax, value);
    else if (key == ARGP_KEY_END)
        check_end(state, r);
    for (int i = 0; o[i].name; i++)
        if (key == key_of(o, i)) {
            take_value(state, r, i, value);
            r->given[i] = true;
            return 0;
        }
    return key == ARGP_KEY_ARG || key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

/* --- one voice -------------------------------------------------------------------------------- */

static bool parsing;

/* mpirun ends all when one leaves: the others give the first one time to say why. */
static void let_the_first_speak(void)
{
    if (parsing)
        usleep(300 * 1000);
}

/* argp_parse; under a launcher only the first process speaks, so that a mistake is told once. */
static void parse_as_one(const struct argp *argp, int argc, char **argv, void *input)
{
    const int out = ol_cli_is_first() ? -1 : dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    const int nowhere = open("/dev/null", O_WRONLY);

    if (out >= 0 && nowhere >= 0) {
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        parsing = atexit(let_the_first_speak) == 0;
    }
    argp_parse(argp, argc, argv, 0, NULL, input); /* leaves the program on a mistake */
    parsing = false;
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        close(out);
    }
    close(err);
    close(nowhere);
}

void ol_cli_read(const ol_cli_syntax *syntax, int argc, char **argv)
{
    struct argp_option table[MOST + 1] = {{0}};
    reading r = {.syntax = syntax};

    for (int i = 0; syntax->options[i].name; i++) {
        const ol_cli_option *o = &syntax->options[i];

        assert(i < MOST);
        for (int k = 0; o->names && o->names[k]; k++)
            (void)!ol_text_format(&r.names[i], "%s%s", k ? "|" : "", o->names[k]);
        table[i] = (struct argp_option){.name = o->name,
                                        .key = key_of(syntax->options, i),
                                        .arg = value_of(&r, i),
                                        .doc = o->help};
    }
    parse_as_one(
        &(struct argp){
            .options = table, .parser = take, .args_doc = syntax->args, .doc = syntax->doc},
        argc, argv, &r);
    for (int i = 0; i < MOST; i++)
        ol_text_finish(&r.names[i]);
}
