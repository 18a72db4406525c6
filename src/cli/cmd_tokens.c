/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/text.h"
#include "outerloop/package/package.h" /* ol_package_tokenizer */
#include "outerloop/text/jsonl.h"

enum { LONGEST_LINE = 16 << 20 };

/* One line in, one line out. @param out  scratch */
static ol_status convert(ol_tokenizer *tokenizer, long number, const char *line, size_t n,
                         ol_text *out)
{
    ol_status status;

    out->size = 0;
    status = ol_jsonl_tokens(tokenizer, line, n, out);
    OL_CHECK(status == OL_OK, status, "standard input, line %ld: %s", number, ol_status_message());
    OL_CHECK(fwrite(out->data, 1, out->size, stdout) == out->size, OL_EIO,
             "standard output, line %ld: %s", number, strerror(errno));
    return OL_OK;
}

/* A line without its end; not there behind the last one. getline would take memory for ever from what
 * has no line ends. */
static ol_status read_line(long number, ol_text *line, bool *there)
{
    int c;

    line->size = 0;
    while ((c = getc_unlocked(stdin)) != EOF && c != '\n') {
        const char byte = (char)c;

        OL_CHECK(line->size < LONGEST_LINE, OL_EDATA,
                 "standard input, line %ld: is longer than %d MiB", number, LONGEST_LINE >> 20);
        OL_TRY(ol_text_append(line, &byte, 1));
    }
    *there = c != EOF || line->size > 0;
    return OL_OK;
}

static ol_status convert_all(ol_tokenizer *tokenizer)
{
    OL_AUTO_TEXT out = {0}, line = {0};

    bool there = true;

    for (long number = 1; there; number++) {
        OL_TRY(read_line(number, &line, &there));
        if (there)
            OL_TRY(convert(tokenizer, number, line.data ? line.data : "", line.size, &out));
    }
    OL_CHECK(!ferror(stdin), OL_EDATA, "standard input: %s", strerror(errno));
    OL_CHECK(fflush(stdout) == 0, OL_EIO, "standard output: %s", strerror(errno));
    return OL_OK;
}

int ol_cmd_tokens(int argc, char **argv)
{
    const char *folder = NULL;
    const ol_cli_option options[] = {OL_CLI_TOKENIZER(&folder), {0}};
    const ol_cli_syntax syntax = {
        .options = options,
        .instead = "; texts come from standard input",
        .doc = "Read JSON lines with a \"text\" from standard input; write a JSON line with its "
               "\"ids\", and with what they decode to, for each.\v"
               "No token for begin or end is added. A line that is not such JSON ends the command "
               "with exit 2 and its number. Example:\n\n"
               "  echo '{\"text\": \"Hello world\"}' | outerloop tokens --tokenizer gpt2",
    };
    ol_tokenizer *tokenizer = NULL;
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = ol_package_tokenizer(folder, &tokenizer);
    if (status == OL_OK)
        status = convert_all(tokenizer);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, status == OL_EIO);
}
