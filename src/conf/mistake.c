/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ol_conf_mistake(ol_conf_mistakes *mistakes, const char *place, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (mistakes->n++ >= OL_CONF_REPORTED)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (ol_text_format(&mistakes->text, "\n  %s: %s", place, line) != OL_OK)
        return; /* the count stands, and ol_conf_report says lack of memory */
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

void ol_conf_nearest(ol_conf_table table, const char *path, char nearest[2 * LONGEST_PATH])
{
    const char *names[OL_CONF_KEYS + 1], *near;
    char parts[OL_CONF_KEYS][LONGEST_PATH];
    const char *dot = strrchr(path, '.');
    const size_t prefix = dot ? (size_t)(dot + 1 - path) : 0;
    size_t n = 0;

    for (size_t i = 0; i < table.n; i++) {
        const char *key = table.keys[i].path;

        if (strncmp(key, path, prefix) != 0)
            continue;
        snprintf(parts[n], LONGEST_PATH, "%.*s", (int)strcspn(key + prefix, "."), key + prefix);
        names[n] = parts[n];
        n++;
    }
    if (prefix == 0 && table.list)
        names[n++] = table.list;
    near = ol_text_nearest(path + prefix, names, n);
    if (near) {
        snprintf(nearest, 2 * LONGEST_PATH, "%.*s%s", (int)prefix, path, near);
        return;
    }
    for (size_t i = 0; i < table.n; i++) {
        const char *leaf = strrchr(table.keys[i].path, '.');

        names[i] = table.keys[i].path;
        if (leaf && strcmp(leaf + 1, path + prefix) == 0 && !near)
            near = names[i];
    }
    if (!near)
        near = ol_text_nearest(path, names, table.n);
    snprintf(nearest, 2 * LONGEST_PATH, "%s", near ? near : "");
}
