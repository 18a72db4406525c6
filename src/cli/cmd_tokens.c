/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/text.h"
#include "outerloop/run/package.h" /* ol_package_tokenizer */
#include "outerloop/text/jsonl.h"

enum { KEY_TOKENIZER = 1 };

static const struct argp_option option_table[] = {
    {"tokenizer", KEY_TOKENIZER, "DIR|FILE", 0,
     "folder with tokenizer.json, or with vocab.json and merges.txt; a GGUF file; a checkpoint", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    const char **tokenizer = state->input;

    switch (key) {
    case KEY_TOKENIZER:
        *tokenizer = value;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected \"%s\"; texts come from standard input", value);
        return EINVAL;
    case ARGP_KEY_END:
        if (!*tokenizer)
            argp_error(state, "--tokenizer is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One line in, one line out. @param out  scratch */
static ol_status convert(ol_tokenizer *tokenizer, long number, const char *line, size_t n,
                         ol_text *out)
{
    char reason[512];
    ol_status status;

    out->size = 0;
    status = ol_jsonl_tokens(tokenizer, line, n, out);
    if (status != OL_OK) {
        snprintf(reason, sizeof reason, "%s", ol_status_message());
        return ol_fail(status, "standard input, line %ld: %s", number, reason);
    }
    OL_CHECK(fwrite(out->data, 1, out->size, stdout) == out->size, OL_EIO,
             "standard output, line %ld: %s", number, strerror(errno));
    return OL_OK;
}

static ol_status convert_all(ol_tokenizer *tokenizer)
{
    ol_status status = OL_OK;
    ol_text out = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;

    for (long number = 1; status == OL_OK && (n = getline(&line, &capacity, stdin)) > 0; number++) {
        if (line[n - 1] == '\n')
            n--;
        status = convert(tokenizer, number, line, (size_t)n, &out);
    }
    if (status == OL_OK && ferror(stdin))
        status = ol_fail(OL_EDATA, "standard input: %s", strerror(errno));
    if (fflush(stdout) != 0 && status == OL_OK)
        status = ol_fail(OL_EIO, "standard output: %s", strerror(errno));
    free(line);
    ol_text_finish(&out);
    return status;
}

int ol_cmd_tokens(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Read JSON lines with a \"text\" from standard input; write a JSON line with its "
               "\"ids\", and with what they decode to, for each.\v"
               "No token for begin or end is added. A line that is not such JSON ends the command "
               "with exit 2 and its number. Example:\n\n"
               "  echo '{\"text\": \"Hello world\"}' | outerloop tokens --tokenizer gpt2",
    };
    const char *folder = NULL;
    ol_tokenizer *tokenizer = NULL;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &folder);
    status = ol_package_tokenizer(folder, &tokenizer);
    if (status == OL_OK)
        status = convert_all(tokenizer);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, status == OL_EIO);
}
