/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ol_status ol_conf_mistake(ol_conf_mistakes *mistakes, const char *place, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (mistakes->n++ >= OL_CONF_REPORTED)
        return OL_OK;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* without memory the count stands, and ol_conf_report says so */
    (void)!ol_text_format(&mistakes->text, "\n  %s: %s", place, line);
    return OL_OK;
}

ol_status ol_conf_report(ol_conf_mistakes *mistakes, const char *name)
{
    const int n = mistakes->n;
    const char *text = mistakes->text.data;
    ol_status status = OL_OK;

    if (n > 0 && !text)
        status = ol_fail(OL_ENOMEM, "no memory to list the mistakes in %s", name);
    else if (n == 1)
        status = ol_fail(OL_EUSAGE, "%s", text + strlen("\n  "));
    else if (n > OL_CONF_REPORTED)
        status = ol_fail(OL_EUSAGE, "%s: %d mistakes, the first %d are%s", name, n,
                         OL_CONF_REPORTED, text);
    else if (n > 1)
        status = ol_fail(OL_EUSAGE, "%s: %d mistakes%s", name, n, text);
    ol_text_finish(&mistakes->text);
    *mistakes = (ol_conf_mistakes){0};
    return status;
}
