/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/conf/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The file at hand. */
struct file {
    const char *path;
    struct source source;
    config_t config;
    const config_setting_t *set, *grid, *list, *seeds; /* NULL where absent */
    ol_conf_sweep *out;
};

/* A mistake at a setting. */
static ol_status refuse(const struct file *f, const config_setting_t *at, const char *what)
{
    char place[PATH_MAX];

    ol_conf_source_place(&f->source, config_setting_source_line(at), place);
    return ol_fail(OL_EUSAGE, "%s: %s", place, what);
}

/* A value in libconfig's syntax. */
static ol_status append_value(const config_setting_t *s, ol_text *text)
{
    const char *brackets = config_setting_is_group(s)   ? "{}"
                           : config_setting_is_array(s) ? "[]"
                                                        : "()";

    if (!config_setting_is_aggregate(s)) {
        OL_TRY(ol_conf_show(s, text));
        return ol_text_format(text, config_setting_type(s) == CONFIG_TYPE_INT64 ? "L" : "");
    }
    OL_TRY(ol_text_append(text, brackets, 1));
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);

        if (config_setting_is_group(s))
            OL_TRY(ol_text_format(text, "%s = ", config_setting_name(member)));
        else
            OL_TRY(ol_text_format(text, i > 0 ? ", " : ""));
        OL_TRY(append_value(member, text));
        OL_TRY(ol_text_format(text, config_setting_is_group(s) ? "; " : ""));
    }
    return ol_text_append(text, brackets + 1, 1);
}

/* All keys below a group, as "path=value". */
static ol_status add_keys(const struct file *f, const config_setting_t *s, const char *path,
                          ol_conf_sets *e)
{
    OL_AUTO_TEXT text = {0};

    if (config_setting_is_group(s)) {
        for (int i = 0; i < config_setting_length(s); i++) {
            const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
            char below[LONGEST_PATH];

            snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "",
                     config_setting_name(member));
            OL_TRY(add_keys(f, member, below, e));
        }
        return OL_OK;
    }
    if (strcmp(path, "output") == 0)
        return refuse(f, s,
                      "output: an element has none of its own: `output`, with %a in it, "
                      "stands beside `job` and gives each its folder");
    OL_TRY(append_value(s, &text));
    return ol_conf_sets_add(e, "%s=%s", path, text.data);
}

static ol_status check_groups(const struct file *f, const config_setting_t *list, const char *what)
{
    bool good = config_setting_is_list(list) && config_setting_length(list) > 0;

    for (int i = 0; good && i < config_setting_length(list); i++)
        good = config_setting_is_group(config_setting_get_elem(list, (unsigned)i));
    return good ? OL_OK : refuse(f, list, what);
}

/* Groups of all axes, whose product is the number of elements but for seeds. */
static ol_status count(const struct file *f, size_t *n)
{
    static const char grid[] = "grid is a list of axes, each a list of one or more groups: "
                               "( ( { learner = { ... }; }, ... ), ... )";

    *n = 1;
    if (f->grid && f->list)
        return refuse(f, f->list, "a sweep has a grid or a list, not both");
    if (f->list) {
        OL_TRY(check_groups(f, f->list, "list is a list of one or more groups: ( { ... }, ... )"));
        *n = (size_t)config_setting_length(f->list);
    }
    if (f->grid && (!config_setting_is_list(f->grid) || config_setting_length(f->grid) == 0))
        return refuse(f, f->grid, grid);
    for (int i = 0; f->grid && i < config_setting_length(f->grid); i++) {
        const config_setting_t *axis = config_setting_get_elem(f->grid, (unsigned)i);

        OL_TRY(check_groups(f, axis, grid));
        *n *= (size_t)config_setting_length(axis);
        if (*n > OL_CONF_ELEMENTS)
            break;
    }
    if (f->seeds && (!config_setting_is_array(f->seeds) || config_setting_length(f->seeds) == 0 ||
                     config_setting_type(config_setting_get_elem(f->seeds, 0)) != CONFIG_TYPE_INT))
        return refuse(f, f->seeds, "seeds is a list of whole numbers: [1, 2, 3]");
    if (f->seeds)
        *n *= (size_t)config_setting_length(f->seeds);
    OL_CHECK(*n <= OL_CONF_ELEMENTS, OL_EUSAGE, "%s: more than %d elements", f->path,
             OL_CONF_ELEMENTS);
    return OL_OK;
}

/* "output=...", every %a replaced. */
static ol_status add_output(const struct file *f, size_t number, ol_conf_sets *e)
{
    OL_AUTO_TEXT path = {0};

    for (const char *at = f->out->output; *at; at++)
        if (strncmp(at, "%a", 2) == 0) {
            OL_TRY(ol_text_format(&path, "%zu", number));
            at++;
        } else {
            OL_TRY(ol_text_append(&path, at, 1));
        }
    return ol_conf_sets_add_string(e, "output", path.data);
}

static ol_status fill(const struct file *f, size_t i, size_t n)
{
    ol_conf_sets *e = &f->out->elements[i];
    const size_t seeds = f->seeds ? (size_t)config_setting_length(f->seeds) : 1, cell = i / seeds;
    size_t left = n / seeds;

    if (f->set)
        OL_TRY(add_keys(f, f->set, "", e));
    if (f->list)
        OL_TRY(add_keys(f, config_setting_get_elem(f->list, (unsigned)cell), "", e));
    for (int a = 0; f->grid && a < config_setting_length(f->grid); a++) {
        const config_setting_t *axis = config_setting_get_elem(f->grid, (unsigned)a);
        const size_t groups = (size_t)config_setting_length(axis);

        left /= groups;
        OL_TRY(add_keys(f, config_setting_get_elem(axis, (unsigned)(cell / left % groups)), "", e));
    }
    if (f->seeds)
        OL_TRY(ol_conf_sets_add(e, "seed=%d",
                                config_setting_get_int_elem(f->seeds, (int)(i % seeds))));
    return add_output(f, i + 1, e);
}

/* Two elements must never share a folder. */
static ol_status check_output(const struct file *f)
{
    const char *number = f->out->output ? strstr(f->out->output, "%a") : NULL;

    OL_CHECK(f->out->output, OL_EUSAGE,
             "%s: output is missing: name a folder with %%a in it, as output = \"runs/sweep/%%a\"; "
             "%%a becomes the number of an element",
             f->path);
    OL_CHECK(number, OL_EUSAGE,
             "%s: output = \"%s\" has no %%a, so that all elements would share that folder: say "
             "\"%s/%%a\"",
             f->path, f->out->output, f->out->output);
    OL_CHECK(!strstr(number, ".."), OL_EUSAGE,
             "%s: output = \"%s\": what follows %%a must not lead out of the element's folder",
             f->path, f->out->output);
    return OL_OK;
}

static ol_status take_string(const struct file *f, const config_setting_t *s, char **out)
{
    char what[LONGEST_PATH];

    snprintf(what, sizeof what, "%s is a string", config_setting_name(s));
    if (config_setting_type(s) != CONFIG_TYPE_STRING || !config_setting_get_string(s)[0])
        return refuse(f, s, what);
    *out = strdup(config_setting_get_string(s));
    OL_CHECK(*out, OL_ENOMEM, "no memory for a sweep");
    return OL_OK;
}

static ol_status take_members(struct file *f)
{
    const config_setting_t *root = config_root_setting(&f->config);
    const struct {
        const char *name;
        const config_setting_t **at;
    } parts[] = {{"set", &f->set}, {"grid", &f->grid}, {"list", &f->list}, {"seeds", &f->seeds}};

    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(s);
        bool known = false;

        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            if (strcmp(name, parts[p].name) == 0) {
                *parts[p].at = s;
                known = true;
            }
        if (strcmp(name, "job") == 0)
            OL_TRY(take_string(f, s, &f->out->job));
        else if (strcmp(name, "output") == 0)
            OL_TRY(take_string(f, s, &f->out->output));
        else if (!known)
            return refuse(f, s,
                          "a sweep has job, output, set, grid or list, and seeds; keys of the job "
                          "stand in set, grid or list");
    }
    if (f->set && !config_setting_is_group(f->set))
        return refuse(f, f->set, "set is a group of keys: set = { train = { steps = 200; }; }");
    OL_CHECK(f->out->job, OL_EUSAGE, "%s: job is missing: name the job file that is swept",
             f->path);
    return check_output(f);
}

static ol_status parse(struct file *f, const char *text, size_t size)
{
    ol_conf_mistakes mistakes = {0};
    size_t n;

    OL_TRY(ol_conf_source_read(&f->source, f->path, text, size, &mistakes));
    OL_TRY(ol_conf_report(&mistakes, f->path));
    if (!config_read_string(&f->config, f->source.text.data ? f->source.text.data : "")) {
        char place[PATH_MAX];

        ol_conf_source_place(&f->source, (unsigned)config_error_line(&f->config), place);
        return ol_fail(OL_EUSAGE, "%s: %s", place, config_error_text(&f->config));
    }
    OL_TRY(take_members(f));
    OL_TRY(count(f, &n));
    f->out->elements = calloc(n, sizeof *f->out->elements);
    OL_CHECK(f->out->elements, OL_ENOMEM, "no memory for a sweep");
    f->out->n = (int)n;
    for (size_t i = 0; i < n; i++)
        OL_TRY(fill(f, i, n));
    return OL_OK;
}

ol_status ol_conf_sweep_read(const char *path, ol_conf_sweep *out)
{
    struct file f = {.path = path, .out = out};
    OL_AUTO_FREE char *text = NULL;
    size_t size;
    ol_status status;

    *out = (ol_conf_sweep){0};
    OL_TRY(ol_read_file_within(path, OL_SETTINGS_BYTES, &text, &size));
    config_init(&f.config);
    status = parse(&f, text, size);
    config_destroy(&f.config);
    ol_conf_source_finish(&f.source);
    if (status != OL_OK)
        ol_conf_sweep_finish(out);
    return status;
}

void ol_conf_sweep_finish(ol_conf_sweep *sweep)
{
    for (int i = 0; i < sweep->n; i++)
        ol_conf_sets_finish(&sweep->elements[i]);
    free(sweep->elements);
    free(sweep->job);
    free(sweep->output);
    *sweep = (ol_conf_sweep){0};
}
