/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *field(const ol_conf_key *key, void *values)
{
    return (char *)values + key->offset;
}

static const void *const_field(const ol_conf_key *key, const void *values)
{
    return (const char *)values + key->offset;
}

ol_status ol_conf_quote(ol_text *text, const char *string)
{
    OL_TRY(ol_text_append(text, "\"", 1));
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c == '"' || *c == '\\')
            OL_TRY(ol_text_format(text, "\\%c", *c));
        else if (*c < 0x20 || *c == 0x7f)
            OL_TRY(ol_text_format(text, "\\x%02x", *c));
        else
            OL_TRY(ol_text_append(text, (const char *)c, 1));
    }
    return ol_text_append(text, "\"", 1);
}

/* With a point or exponent, so that libconfig takes it for a real number. */
static ol_status append_real(ol_text *text, double x)
{
    const size_t from = text->size;

    OL_TRY(ol_text_real(text, x));
    return strpbrk(text->data + from, ".e") ? OL_OK : ol_text_append(text, ".0", 2);
}

static ol_status append_bound(const ol_conf_key *key, double bound, ol_text *text)
{
    if (key->type != OL_CONF_REAL)
        return ol_text_format(text, "%.0f", bound);
    return ol_text_format(text, "%g", bound);
}

/* ", 1 to 2", ", above 0", ", 0 or more", ", 0 to below 1" */
static ol_status describe_range(const ol_conf_key *key, ol_text *text)
{
    const bool above = key->open & OL_CONF_ABOVE, below = key->open & OL_CONF_BELOW;

    OL_TRY(ol_text_format(text, above ? ", above " : ", "));
    OL_TRY(append_bound(key, key->least, text));
    if (isinf(key->most) || key->most >= INT_MAX)
        return above ? OL_OK : ol_text_format(text, " or more");
    OL_TRY(ol_text_format(text, "%s%s", above ? " and " : " to ",
                          below   ? "below "
                          : above ? "at most "
                                  : ""));
    return append_bound(key, key->most, text);
}

ol_status ol_conf_describe(const ol_conf_key *key, ol_text *text)
{
    static const char *const kinds[] = {
        [OL_CONF_INT] = "a whole number",
        [OL_CONF_LONG] = "a whole number",
        [OL_CONF_REAL] = "a number",
        [OL_CONF_BOOL] = "true or false",
        [OL_CONF_STRING] = "a string",
        [OL_CONF_WORD] = "one of",
        [OL_CONF_WORDS] = "one or a list of",
        [OL_CONF_INTS] = "a whole number or a list of whole numbers",
        [OL_CONF_STRINGS] = "a string or a list of strings",
        [OL_CONF_GRID] = "a list of axes, each a list of groups",
    };

    OL_TRY(ol_text_format(text, "%s", kinds[key->type]));
    if (key->words)
        for (size_t i = 0; key->words[i]; i++)
            OL_TRY(ol_text_format(text, "%s \"%s\"", i > 0 ? "," : "", key->words[i]));
    if (key->type == OL_CONF_INT || key->type == OL_CONF_LONG || key->type == OL_CONF_REAL ||
        key->type == OL_CONF_INTS)
        OL_TRY(describe_range(key, text));
    return OL_OK;
}

static long long integer(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_INT ? config_setting_get_int(setting)
                                                           : config_setting_get_int64(setting);
}

ol_status ol_conf_show(const config_setting_t *setting, ol_text *text)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return ol_text_format(text, "%lld", integer(setting));
    case CONFIG_TYPE_FLOAT:
        return append_real(text, config_setting_get_float(setting));
    case CONFIG_TYPE_BOOL:
        return ol_text_format(text, "%s", config_setting_get_bool(setting) ? "true" : "false");
    case CONFIG_TYPE_STRING:
        return ol_conf_quote(text, config_setting_get_string(setting));
    case CONFIG_TYPE_GROUP:
        return ol_text_format(text, "a group");
    default:
        return ol_text_format(text, "a list");
    }
}

static ol_status refuse(const ol_conf_key *key, const config_setting_t *setting, const char *place,
                        ol_conf_mistakes *mistakes)
{
    const char *said = config_setting_type(setting) == CONFIG_TYPE_STRING
                           ? config_setting_get_string(setting)
                           : "";
    OL_AUTO_TEXT found = {0}, wanted = {0};
    char meant[OL_TEXT_MEANT];
    size_t n = 0;

    while (key->words && key->words[n])
        n++;
    OL_TRY(ol_conf_show(setting, &found));
    OL_TRY(ol_conf_describe(key, &wanted));
    return ol_conf_mistake(mistakes, place, "%s cannot be %s; it takes %s%s", key->path, found.data,
                           wanted.data, ol_text_meant(said, key->words, n, meant));
}

static bool in_range(const ol_conf_key *key, double x)
{
    return (key->open & OL_CONF_ABOVE ? x > key->least : x >= key->least) &&
           (key->open & OL_CONF_BELOW ? x < key->most : x <= key->most);
}

/* Each of these: does it fit? Then it is put there. */
static bool whole(const ol_conf_key *key, const config_setting_t *setting, int64_t *out)
{
    const int type = config_setting_type(setting);

    if ((type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) ||
        !in_range(key, (double)integer(setting)))
        return false;
    *out = integer(setting);
    return true;
}

static bool real(const ol_conf_key *key, const config_setting_t *setting, double *out)
{
    const bool is_float = config_setting_type(setting) == CONFIG_TYPE_FLOAT;
    const double x = is_float ? config_setting_get_float(setting) : (double)integer(setting);

    if (!config_setting_is_number(setting) || !isfinite(x) || !in_range(key, x))
        return false;
    *out = x;
    return true;
}

static bool word(const ol_conf_key *key, const config_setting_t *setting, int *index)
{
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return false;
    for (int i = 0; key->words[i]; i++)
        if (strcmp(key->words[i], config_setting_get_string(setting)) == 0) {
            *index = i;
            return true;
        }
    return false;
}

static bool is_list(const config_setting_t *setting)
{
    return config_setting_is_array(setting) || config_setting_is_list(setting);
}

/* What stands alone where a list may stand is a list of one. */
static int items(const config_setting_t *setting)
{
    return is_list(setting) ? config_setting_length(setting) : 1;
}

static const config_setting_t *item(const config_setting_t *setting, int i)
{
    return is_list(setting) ? config_setting_get_elem(setting, (unsigned)i) : setting;
}

static bool too_long(const ol_conf_key *key, const config_setting_t *setting, int most,
                     const char *place, ol_conf_mistakes *mistakes)
{
    if (items(setting) <= most)
        return false;
    ol_conf_mistake(mistakes, place, "%s has %d items; it takes at most %d", key->path,
                    items(setting), most);
    return true;
}

static ol_status assign_words(const ol_conf_key *key, const config_setting_t *setting,
                              const char *place, unsigned *bits, ol_conf_mistakes *mistakes)
{
    unsigned chosen = 0;

    for (int i = 0; i < items(setting); i++) {
        int index;

        if (!word(key, item(setting, i), &index))
            return refuse(key, item(setting, i), place, mistakes);
        if (chosen & 1u << index)
            return ol_conf_mistake(mistakes, place, "%s names \"%s\" twice", key->path,
                                   key->words[index]);
        chosen |= 1u << index;
    }
    *bits = chosen;
    return OL_OK;
}

static ol_status assign_ints(const ol_conf_key *key, const config_setting_t *setting,
                             const char *place, ol_conf_ints *ints, ol_conf_mistakes *mistakes)
{
    ol_conf_ints read = {0};

    if (too_long(key, setting, OL_CONF_LIST, place, mistakes))
        return OL_OK;
    for (; read.n < items(setting); read.n++) {
        int64_t x;

        if (!whole(key, item(setting, read.n), &x))
            return refuse(key, item(setting, read.n), place, mistakes);
        read.items[read.n] = (int)x;
    }
    *ints = read;
    return OL_OK;
}

ol_status ol_conf_string_set(const char *string, char **held)
{
    char *copy = strdup(string);

    OL_CHECK(copy, OL_ENOMEM, "no memory for a string of the job file");
    free(*held);
    *held = copy;
    return OL_OK;
}

/* Copy n strings into one block, pointers first, so that one free() takes it all. */
static ol_status make_strings(int n, const char *const *strings, ol_conf_strings *made)
{
    size_t size = (size_t)n * sizeof made->items[0];
    char *at;

    *made = (ol_conf_strings){0};
    if (n == 0)
        return OL_OK;
    for (int i = 0; i < n; i++)
        size += strlen(strings[i]) + 1;
    made->items = malloc(size);
    OL_CHECK(made->items, OL_ENOMEM, "no memory for %d strings of the job file", n);
    made->n = n;
    at = (char *)(made->items + n);
    for (int i = 0; i < n; i++) {
        made->items[i] = strcpy(at, strings[i]);
        at += strlen(at) + 1;
    }
    return OL_OK;
}

ol_status ol_conf_strings_set(ol_conf_strings *held, int n, const char *const *strings)
{
    ol_conf_strings made;

    OL_TRY(make_strings(n, strings, &made));
    free(held->items);
    *held = made;
    return OL_OK;
}

/* What a job says is told, logged and written into files line by line. */
static ol_status check_line(const ol_conf_key *key, const char *said, const char *place,
                            ol_conf_mistakes *mistakes, bool *good)
{
    *good = ol_text_is_name(said);
    return *good ? OL_OK
                 : ol_conf_mistake(mistakes, place,
                                   "%s holds a line end, a tab or another control character: take "
                                   "it out",
                                   key->path);
}

static ol_status assign_string(const ol_conf_key *key, const char *said, const char *place,
                               char **held, ol_conf_mistakes *mistakes)
{
    bool good;

    OL_TRY(check_line(key, said, place, mistakes, &good));
    return good ? ol_conf_string_set(said, held) : OL_OK;
}

static ol_status assign_strings(const ol_conf_key *key, const config_setting_t *setting,
                                const char *place, ol_conf_strings *held,
                                ol_conf_mistakes *mistakes)
{
    const char *said[OL_CONF_TEXTS];
    bool good = true;

    if (too_long(key, setting, OL_CONF_TEXTS, place, mistakes))
        return OL_OK;
    for (int i = 0; i < items(setting); i++) {
        if (config_setting_type(item(setting, i)) != CONFIG_TYPE_STRING)
            return refuse(key, item(setting, i), place, mistakes);
        said[i] = config_setting_get_string(item(setting, i));
        OL_TRY(check_line(key, said[i], place, mistakes, &good));
        if (!good)
            return OL_OK;
    }
    return ol_conf_strings_set(held, items(setting), said);
}

ol_status ol_conf_assign(const ol_conf_key *key, const config_setting_t *setting, const char *place,
                         void *values, ol_conf_mistakes *mistakes)
{
    void *const at = field(key, values);
    int64_t x = 0;
    bool fits = false;

    switch (key->type) {
    case OL_CONF_INT:
        fits = whole(key, setting, &x);
        if (fits)
            *(int *)at = (int)x;
        break;
    case OL_CONF_LONG:
        fits = whole(key, setting, at);
        break;
    case OL_CONF_REAL:
        fits = real(key, setting, at);
        break;
    case OL_CONF_BOOL:
        fits = config_setting_type(setting) == CONFIG_TYPE_BOOL;
        if (fits)
            *(bool *)at = config_setting_get_bool(setting);
        break;
    case OL_CONF_STRING:
        if (config_setting_type(setting) == CONFIG_TYPE_STRING)
            return assign_string(key, config_setting_get_string(setting), place, at, mistakes);
        break;
    case OL_CONF_WORD:
        fits = word(key, setting, at);
        break;
    case OL_CONF_WORDS:
        return assign_words(key, setting, place, at, mistakes);
    case OL_CONF_INTS:
        return assign_ints(key, setting, place, at, mistakes);
    case OL_CONF_STRINGS:
        return assign_strings(key, setting, place, at, mistakes);
    case OL_CONF_GRID: /* a default: others are taken by ol_conf_take_grid */
        return ol_conf_string_set("()", at);
    }
    return fits ? OL_OK : refuse(key, setting, place, mistakes);
}

static ol_status append_words(const ol_conf_key *key, unsigned bits, ol_text *text)
{
    const char *between = "";

    OL_TRY(ol_text_append(text, "[", 1));
    for (size_t i = 0; key->words[i]; i++)
        if (bits & 1u << i) {
            OL_TRY(ol_text_format(text, "%s\"%s\"", between, key->words[i]));
            between = ", ";
        }
    return ol_text_append(text, "]", 1);
}

static ol_status append_ints(const ol_conf_ints *ints, ol_text *text)
{
    OL_TRY(ol_text_append(text, "[", 1));
    for (int i = 0; i < ints->n; i++)
        OL_TRY(ol_text_format(text, "%s%d", i > 0 ? ", " : "", ints->items[i]));
    return ol_text_append(text, "]", 1);
}

/* One string stands alone, as people write it. */
static ol_status append_strings(const ol_conf_strings *strings, ol_text *text)
{
    if (strings->n == 1)
        return ol_conf_quote(text, strings->items[0]);
    OL_TRY(ol_text_append(text, "[", 1));
    for (int i = 0; i < strings->n; i++) {
        OL_TRY(ol_text_format(text, i > 0 ? ", " : ""));
        OL_TRY(ol_conf_quote(text, strings->items[i]));
    }
    return ol_text_append(text, "]", 1);
}

ol_status ol_conf_value(ol_conf_table table, size_t i, const void *values, ol_text *text)
{
    const ol_conf_key *key = &table.keys[i];
    const void *at = const_field(key, values);

    switch (key->type) {
    case OL_CONF_INT:
        return ol_text_format(text, "%d", *(const int *)at);
    case OL_CONF_LONG: {
        const long long x = *(const int64_t *)at;

        return ol_text_format(text, "%lld%s", x, x > INT_MAX || x < INT_MIN ? "L" : "");
    }
    case OL_CONF_REAL:
        return append_real(text, *(const double *)at);
    case OL_CONF_BOOL:
        return ol_text_format(text, "%s", *(const bool *)at ? "true" : "false");
    case OL_CONF_STRING:
        return ol_conf_quote(text, *(char *const *)at);
    case OL_CONF_WORD:
        return ol_text_format(text, "\"%s\"", key->words[*(const int *)at]);
    case OL_CONF_WORDS:
        return append_words(key, *(const unsigned *)at, text);
    case OL_CONF_INTS:
        return append_ints(at, text);
    case OL_CONF_STRINGS:
        return append_strings(at, text);
    case OL_CONF_GRID:
        return ol_text_format(text, "%s", *(char *const *)at);
    }
    return OL_OK;
}

/* Is its field an owned char *? */
static bool is_text(const ol_conf_key *key)
{
    return key->type == OL_CONF_STRING || key->type == OL_CONF_GRID;
}

void ol_conf_finish(ol_conf_table table, void *values)
{
    for (size_t i = 0; i < table.n; i++) {
        void *const at = field(&table.keys[i], values);

        if (is_text(&table.keys[i])) {
            free(*(char **)at);
            *(char **)at = NULL;
        } else if (table.keys[i].type == OL_CONF_STRINGS) {
            free(((ol_conf_strings *)at)->items);
            *(ol_conf_strings *)at = (ol_conf_strings){0};
        }
    }
}

/* Give a field that memcpy filled strings of its own; on error it holds none. */
static ol_status copy_strings(const ol_conf_key *key, void *at)
{
    if (is_text(key)) {
        char **string = at;
        const char *from = *string;

        *string = NULL;
        return ol_conf_string_set(from, string);
    }
    if (key->type == OL_CONF_STRINGS) {
        const ol_conf_strings from = *(ol_conf_strings *)at;

        return make_strings(from.n, (const char *const *)from.items, at);
    }
    return OL_OK;
}

ol_status ol_conf_copy(ol_conf_table table, const void *from, void *to)
{
    ol_status status = OL_OK;

    memcpy(to, from, table.size);
    for (size_t i = 0; i < table.n; i++) {
        const ol_status copied = copy_strings(&table.keys[i], field(&table.keys[i], to));

        if (status == OL_OK)
            status = copied; /* after a failure, too, no field may keep what is another's */
    }
    if (status != OL_OK)
        ol_conf_finish(table, to);
    return status;
}
