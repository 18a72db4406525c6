/* SPDX-License-Identifier: BSD-3-Clause */
/* The value of a --set: libconfig's syntax, but that words need no quotes. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */

ol_status ol_conf_sets_add(ol_conf_sets *sets, const char *format, ...)
{
    va_list arguments;
    int size;

    OL_TRY(OL_GROW(sets->items, sets->n, "settings of a job"));
    va_start(arguments, format);
    size = vasprintf(&sets->items[sets->n], format, arguments);
    va_end(arguments);
    OL_CHECK(size >= 0, OL_ENOMEM, "no memory for the settings of a job");
    sets->n++;
    return OL_OK;
}

ol_status ol_conf_sets_add_all(ol_conf_sets *sets, size_t n, const char *const *others)
{
    for (size_t i = 0; i < n; i++)
        OL_TRY(ol_conf_sets_add(sets, "%s", others[i]));
    return OL_OK;
}

ol_status ol_conf_sets_add_string(ol_conf_sets *sets, const char *path, const char *string)
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_conf_quote(&text, string));
    return ol_conf_sets_add(sets, "%s=%s", path, text.data);
}

void ol_conf_sets_finish(ol_conf_sets *sets)
{
    for (size_t i = 0; i < sets->n; i++)
        free(sets->items[i]);
    free(sets->items);
    *sets = (ol_conf_sets){0};
}

/* Parse `set = VALUE`; a value with more behind it is none. */
static ol_status parse(config_t *config, const char *value, bool *parsed)
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_text_append(&text, "set = ", 6));
    OL_TRY(ol_conf_widen(&text, value, strlen(value)));
    *parsed = config_read_string(config, text.data) &&
              config_setting_length(config_root_setting(config)) == 1;
    return OL_OK;
}

/* Append a value as it is; one that is not libconfig's, and does not try to be, as a string. */
static ol_status append_value(ol_text *text, const char *value)
{
    OL_AUTO_CONFIG config;
    bool parsed = false;

    config_init(&config);
    OL_TRY(parse(&config, value, &parsed));
    return parsed || strpbrk(value, "\"[](){};\n") ? ol_text_append(text, value, strlen(value))
                                                   : ol_conf_quote(text, value);
}

/* End the item at its comma and take the blanks around it off; *next is what follows the comma,
 * NULL when nothing does. */
static char *cut_item(char *at, char **next)
{
    bool quoted = false;
    char *end;

    at += strspn(at, " \t");
    for (end = at; *end && (quoted || *end != ','); end++) {
        if (quoted && *end == '\\' && end[1])
            end++;
        else if (*end == '"')
            quoted = !quoted;
    }
    *next = *end ? end + 1 : NULL;
    while (end > at && strchr(" \t", end[-1]))
        end--;
    *end = '\0';
    return at;
}

/* Append "[a, b]" as a list of what append_value makes of its items, and an empty one as nothing,
 * which libconfig refuses. Cuts `list` up. */
static ol_status append_list(ol_text *text, char *list)
{
    char *next = list + 1;

    list[strlen(list) - 1] = '\0';
    OL_TRY(ol_text_append(text, "(", 1));
    while (next) {
        const char *item = cut_item(next, &next);

        if (item[0])
            OL_TRY(append_value(text, item));
        if (next)
            OL_TRY(ol_text_append(text, ", ", 2));
    }
    return ol_text_append(text, ")", 1);
}

ol_status ol_conf_parse_set(config_t *config, const char *value, bool *parsed)
{
    const size_t n = strlen(value);
    OL_AUTO_TEXT text = {0};

    OL_TRY(parse(config, value, parsed));
    if (*parsed)
        return OL_OK;
    if (n > 1 && value[0] == '[' && value[n - 1] == ']') {
        OL_AUTO_FREE char *copy = strdup(value);

        OL_CHECK(copy, OL_ENOMEM, "no memory for a --set");
        OL_TRY(append_list(&text, copy));
    } else {
        OL_TRY(append_value(&text, value));
    }
    return parse(config, text.data, parsed);
}
