/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <string.h>

enum { INDENT = 4, COMMENT_COLUMN = 48 };

/* The writer's place in the tree of groups: it opens and closes braces as paths change. */
struct writer {
    ol_text *text;
    const char *open; /* path whose groups are open: its first `depth` parts */
    int depth;
    int indent; /* of the whole block, in levels */
    bool flat;  /* all in one line */
};

static const char *end_of_line(const struct writer *writer)
{
    return writer->flat ? " " : "\n";
}

static ol_status blanks(struct writer *writer)
{
    return writer->flat
               ? OL_OK
               : ol_text_format(writer->text, "%*s", INDENT * (writer->indent + writer->depth), "");
}

/* Groups that two paths share: the number of equal parts before the last. */
static int shared(const char *a, const char *b)
{
    int n = 0;

    for (const char *at = a; *at && *at == b[at - a]; at++)
        n += *at == '.';
    return n;
}

static ol_status close_groups(struct writer *writer, int depth)
{
    while (writer->depth > depth) {
        writer->depth--;
        OL_TRY(blanks(writer));
        OL_TRY(ol_text_format(writer->text, "};%s", end_of_line(writer)));
    }
    return OL_OK;
}

/* Bring the open groups to those of `path`; *leaf is then its last part. */
static ol_status go_to(struct writer *writer, const char *path, const char **leaf)
{
    const char *dot;
    int part = 0;

    OL_TRY(close_groups(writer, writer->open ? shared(writer->open, path) : 0));
    for (*leaf = path; (dot = strchr(*leaf, '.')); *leaf = dot + 1, part++) {
        if (part < writer->depth)
            continue;
        OL_TRY(blanks(writer));
        OL_TRY(ol_text_format(writer->text, "%.*s = {%s", (int)(dot - *leaf), *leaf,
                              end_of_line(writer)));
        writer->depth++;
    }
    writer->open = path;
    return OL_OK;
}

/* `key = value;`, and in a comment, lined up where it can be, where the value came from. */
static ol_status write_key(struct writer *writer, ol_conf_table table, size_t key,
                           const void *values, const ol_conf *conf)
{
    const char *leaf;
    size_t start;

    OL_TRY(go_to(writer, table.keys[key].path, &leaf));
    start = writer->text->size;
    OL_TRY(blanks(writer));
    OL_TRY(ol_text_format(writer->text, "%s = ", leaf));
    OL_TRY(ol_conf_value(table, key, values, writer->text));
    OL_TRY(ol_text_append(writer->text, ";", 1));
    if (conf) {
        const size_t width = writer->text->size - start;
        const char *origin = ol_conf_origin(conf, key);

        OL_TRY(ol_text_format(writer->text, "%*s # %.*s",
                              width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 0, "",
                              (int)strcspn(origin, "\r\n"), origin));
    }
    return ol_text_append(writer->text, end_of_line(writer), 1);
}

ol_status ol_conf_write_variant(const char *name, const void *values, const ol_conf *variant,
                                ol_text *text)
{
    const ol_conf_table table = variant->table;
    struct writer writer = {.text = text, .indent = 2};

    OL_TRY(ol_text_format(text, "\n    {\n        name = "));
    OL_TRY(ol_conf_quote(text, name));
    OL_TRY(ol_text_append(text, ";\n", 2));
    for (size_t key = 0; key < table.n; key++)
        if (variant->own[key])
            OL_TRY(write_key(&writer, table, key, values, variant));
    OL_TRY(close_groups(&writer, 0));
    return ol_text_format(text, "    }");
}

ol_status ol_conf_write_own(const void *values, const ol_conf *conf, ol_text *text)
{
    struct writer writer = {.text = text, .flat = true};

    for (size_t key = 0; key < conf->table.n; key++)
        if (conf->own[key])
            OL_TRY(write_key(&writer, conf->table, key, values, NULL));
    return close_groups(&writer, 0);
}

/* `list = ( { name = "..."; below = { own keys } }, ... );` */
static ol_status write_variants(ol_conf_table table, const ol_conf *conf, ol_text *text)
{
    OL_TRY(ol_text_format(text, "%s = (", table.list));
    for (size_t i = 0; i < conf->n_variants; i++) {
        const struct variant *variant = &conf->variants[i];

        OL_TRY(ol_text_format(text, i > 0 ? "," : ""));
        OL_TRY(ol_conf_write_variant(variant->name, variant->values, variant->conf, text));
    }
    return ol_text_format(text, "\n);\n");
}

ol_status ol_conf_write(ol_conf_table table, const void *values, const ol_conf *conf, ol_text *text)
{
    struct writer writer = {.text = text};

    for (size_t key = 0; key < table.n; key++)
        OL_TRY(write_key(&writer, table, key, values, conf));
    OL_TRY(close_groups(&writer, 0));
    return conf && conf->n_variants > 0 ? write_variants(table, conf, text) : OL_OK;
}

/* The lines above a key: what it means, its unit, what it takes. */
static ol_status write_help(struct writer *writer, const ol_conf_key *key)
{
    OL_TRY(blanks(writer));
    OL_TRY(ol_text_format(writer->text, "# %s\n", key->help));
    OL_TRY(blanks(writer));
    OL_TRY(ol_text_format(writer->text, "# "));
    OL_TRY(ol_conf_describe(key, writer->text));
    return ol_text_format(writer->text, "%s%s\n", key->unit[0] ? "; unit: " : "", key->unit);
}

ol_status ol_conf_reference(ol_conf_table table, ol_text *text)
{
    struct writer writer = {.text = text};
    const char *leaf;

    for (size_t i = 0; i < table.n; i++) {
        const ol_conf_key *key = &table.keys[i];

        OL_TRY(close_groups(&writer, i > 0 ? shared(table.keys[i - 1].path, key->path) : 0));
        if (i > 0)
            OL_TRY(ol_text_append(text, "\n", 1));
        OL_TRY(go_to(&writer, key->path, &leaf));
        OL_TRY(write_help(&writer, key));
        OL_TRY(blanks(&writer));
        OL_TRY(ol_text_format(text, "%s = %s;\n", leaf, key->preset));
    }
    OL_TRY(close_groups(&writer, 0));
    if (table.list)
        OL_TRY(ol_text_format(text, "\n# %s\n%s = ();\n", table.help, table.list));
    return OL_OK;
}
