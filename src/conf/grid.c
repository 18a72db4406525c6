/* SPDX-License-Identifier: BSD-3-Clause */
/* Grids: lists of axes, whose groups change keys below one path. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool is_list(const config_setting_t *setting)
{
    return config_setting_is_list(setting) ||
           (config_setting_is_array(setting) && config_setting_length(setting) == 0);
}

/* Lay the keys of one group of an axis over the reader's values. */
static ol_status take_group(struct reader *reader, config_setting_t *group)
{
    const char *below = reader->table.below;

    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        char place[PATH_MAX];

        if (strcmp(config_setting_name(member), below) == 0) {
            OL_TRY(ol_conf_take(reader, below, member));
            continue;
        }
        ol_conf_place(reader, member, place);
        ol_conf_mistake(reader->mistakes, place, "%s of a grid: only %s stands here",
                        config_setting_name(member), below);
    }
    return OL_OK;
}

/* Check a group by laying it over a copy, and append it as it will be read again. */
static ol_status append_group(const struct reader *reader, config_setting_t *group, ol_text *text)
{
    OL_AUTO(ol_conf_variant_finish) struct variant copy = {0};
    struct reader inner;

    OL_TRY(ol_conf_lay_over(reader, &copy, &inner));
    memset(copy.conf->own, 0, sizeof copy.conf->own);
    OL_TRY(take_group(&inner, group));
    OL_TRY(ol_text_format(text, "{ "));
    OL_TRY(ol_conf_write_own(copy.values, copy.conf, text));
    return ol_text_format(text, "}");
}

static ol_status append_axis(struct reader *reader, const ol_conf_key *key, config_setting_t *axis,
                             ol_text *text)
{
    char place[PATH_MAX];
    const int n = config_setting_is_list(axis) ? config_setting_length(axis) : 0;
    bool groups = n > 0;

    for (int i = 0; i < n; i++)
        groups = groups && config_setting_is_group(config_setting_get_elem(axis, (unsigned)i));
    if (!groups) {
        ol_conf_place(reader, axis, place);
        return ol_conf_mistake(reader->mistakes, place,
                               "%s is a list of axes, each a list of one or more groups: "
                               "( ( { %s = { ... }; }, ... ), ... )",
                               key->path, reader->table.below);
    }
    OL_TRY(ol_text_format(text, "("));
    for (int i = 0; i < n; i++) {
        OL_TRY(ol_text_format(text, i > 0 ? ", " : ""));
        OL_TRY(append_group(reader, config_setting_get_elem(axis, (unsigned)i), text));
    }
    return ol_text_format(text, ")");
}

/* The product of the axes' lengths; past OL_CONF_CELLS it no longer grows. */
static size_t count_cells(const config_setting_t *grid)
{
    const int n = config_setting_length(grid);
    size_t cells = n > 0;

    for (int i = 0; i < n && cells <= OL_CONF_CELLS; i++)
        cells *= (size_t)config_setting_length(config_setting_get_elem(grid, (unsigned)i));
    return cells;
}

ol_status ol_conf_take_grid(struct reader *reader, const ol_conf_key *key,
                            config_setting_t *setting, const char *place)
{
    const int before = reader->mistakes->n;
    OL_AUTO_TEXT text = {0};

    if (!is_list(setting))
        return ol_conf_mistake(reader->mistakes, place, "%s is a list of axes: %s = ( (...), ... )",
                               key->path, key->path);
    OL_TRY(ol_text_format(&text, "("));
    for (int i = 0; i < config_setting_length(setting); i++) {
        OL_TRY(ol_text_format(&text, i > 0 ? ", " : ""));
        OL_TRY(append_axis(reader, key, config_setting_get_elem(setting, (unsigned)i), &text));
    }
    OL_TRY(ol_text_format(&text, ")"));
    if (reader->mistakes->n > before)
        return OL_OK;
    if (count_cells(setting) > OL_CONF_CELLS)
        return ol_conf_mistake(reader->mistakes, place, "%s has more than %d cells", key->path,
                               OL_CONF_CELLS);
    return ol_conf_string_set(text.data, (char **)((char *)reader->values + key->offset));
}

/* Parse the text of a grid, which was written here; *grid is its list. */
static ol_status parse(config_t *config, const char *text, config_setting_t **grid)
{
    bool parsed = false;

    OL_TRY(ol_conf_parse_set(config, text, &parsed));
    OL_CHECK(parsed, OL_ENOMEM, "no memory for a grid");
    *grid = config_setting_get_elem(config_root_setting(config), 0);
    return OL_OK;
}

size_t ol_conf_cells(const char *grid)
{
    OL_AUTO_CONFIG config;
    config_setting_t *list = NULL;

    config_init(&config);
    return parse(&config, grid, &list) == OL_OK ? count_cells(list) : 0;
}

/* The groups of a cell, in the order of the axes. */
static ol_status take_cell(struct reader *reader, const config_setting_t *grid, size_t cell)
{
    size_t cells = count_cells(grid);

    assert(cell < cells);
    for (int i = 0; i < config_setting_length(grid); i++) {
        config_setting_t *axis = config_setting_get_elem(grid, (unsigned)i);
        const size_t n = (size_t)config_setting_length(axis);

        cells /= n;
        OL_TRY(take_group(reader, config_setting_get_elem(axis, (unsigned)(cell / cells % n))));
    }
    return OL_OK;
}

ol_status ol_conf_cell(const ol_conf *conf, const void *values, size_t key, const char *grid,
                       size_t cell, void *out, ol_conf **made)
{
    ol_conf_mistakes mistakes = {0};
    struct reader reader = {.table = conf->table,
                            .values = out,
                            .said = ol_conf_origin(conf, key),
                            .own = true,
                            .mistakes = &mistakes};
    OL_AUTO_CONFIG config;
    config_setting_t *list = NULL;
    ol_status status;

    config_init(&config);
    OL_TRY(parse(&config, grid, &list));
    OL_TRY(ol_conf_fork(conf, values, out, made));
    reader.conf = *made;
    status = take_cell(&reader, list, cell);
    assert(status != OL_OK || mistakes.n == 0); /* they were reported when the grid was read */
    ol_text_finish(&mistakes.text);
    if (status != OL_OK) {
        ol_conf_finish(conf->table, out);
        ol_conf_destroy(*made);
        *made = NULL;
    }
    return status;
}
