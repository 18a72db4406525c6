/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/text.h"
#include "outerloop/package/package.h" /* ol_package_tokenizer */
#include "outerloop/text/jsonl.h"

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

static ol_status convert_all(ol_tokenizer *tokenizer)
{
    OL_AUTO_TEXT out = {0};
    OL_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t n;

    for (long number = 1; (n = getline(&line, &capacity, stdin)) > 0; number++)
        OL_TRY(convert(tokenizer, number, line, (size_t)(line[n - 1] == '\n' ? n - 1 : n), &out));
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
