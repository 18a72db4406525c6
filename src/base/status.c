/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "outerloop/base/text.h" /* ol_text_plain */

static _Thread_local char message[4096];
static _Thread_local char trace[2048];

ol_status ol_fail(ol_status code, const char *format, ...)
{
    char text[sizeof message]; /* arguments may point into the old message */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ol_text_plain(text, strlen(text));
    memcpy(message, text, sizeof message);
    trace[0] = '\0';
    return code;
}

const char *ol_status_message(void)
{
    return message;
}

void ol_status_frame(const char *file, int line, const char *function)
{
    const size_t used = strlen(trace);

    snprintf(trace + used, sizeof trace - used, "  at %s (%s:%d)\n", function, file, line);
}

const char *ol_status_trace(void)
{
    return trace;
}
