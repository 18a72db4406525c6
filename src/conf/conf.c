/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/conf/conf.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */

size_t ol_conf_find(ol_conf_table table, const char *path)
{
    size_t i = 0;

    while (i < table.n && strcmp(table.keys[i].path, path) != 0)
        i++;
    return i;
}

/* A comment at the end of a --set says where it comes from. */
static void place_of_set(const char *set, char place[PATH_MAX])
{
    const char *comment = strrchr(set, '#');

    if (comment && comment[1] == ' ' && !strchr(comment, '"'))
        snprintf(place, PATH_MAX, "%s", comment + 2);
    else
        snprintf(place, PATH_MAX, "--set %s", set);
}

void ol_conf_place(const struct reader *reader, const config_setting_t *setting,
                   char place[PATH_MAX])
{
    if (reader->said)
        snprintf(place, PATH_MAX, "%s", reader->said);
    else if (reader->set)
        place_of_set(reader->set, place);
    else
        ol_conf_source_place(reader->source, config_setting_source_line(setting), place);
}

/* True when keys lie below `path`. */
static bool is_group(ol_conf_table table, const char *path)
{
    for (size_t i = 0; i < table.n; i++)
        if (is_below(table.keys[i].path, path))
            return true;
    return false;
}

static ol_status unknown_key(struct reader *reader, const char *path, const char *place)
{
    char near[NEAREST];

    ol_conf_nearest(reader->table, path, near);
    return ol_conf_mistake(reader->mistakes, place, "unknown key %s%s%s%s", path,
                           near[0] ? "; did you mean " : "; outerloop reference lists them all",
                           near, near[0] ? "?" : "");
}

static ol_status remember(ol_conf *conf, size_t key, const char *origin)
{
    char *copy = strdup(origin);

    OL_CHECK(copy, OL_ENOMEM, "no memory to note where %s came from", conf->table.keys[key].path);
    free(conf->origin[key]);
    conf->origin[key] = copy;
    return OL_OK;
}

/* Every member of a group; prefix is "" or ends in a dot. */
static ol_status take_members(struct reader *reader, const char *prefix, config_setting_t *group)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        char path[LONGEST_PATH];

        if (snprintf(path, sizeof path, "%s%s", prefix, config_setting_name(member)) >=
            LONGEST_PATH)
            strcpy(path + LONGEST_PATH - sizeof "...", "..."); /* unknown, then, and named so */
        OL_TRY(ol_conf_take(reader, path, member));
    }
    return OL_OK;
}

/* May a variant say this key? */
static bool may_vary(ol_conf_table table, const char *path)
{
    return is_below(path, table.below) || (table.also && strcmp(path, table.also) == 0);
}

static ol_status take_key(struct reader *reader, size_t key, config_setting_t *setting,
                          const char *place)
{
    const ol_conf_key *it = &reader->table.keys[key];
    const int before = reader->mistakes->n;

    if (reader->own && !may_vary(reader->table, it->path))
        ol_conf_mistake(reader->mistakes, place, "%s is the same for all %s: say it outside",
                        it->path, reader->table.list);
    else if (it->type == OL_CONF_GRID)
        OL_TRY(ol_conf_take_grid(reader, it, setting, place));
    else
        OL_TRY(ol_conf_assign(it, setting, place, reader->values, reader->mistakes));
    reader->conf->own[key] = reader->own;
    return reader->mistakes->n > before ? OL_OK : remember(reader->conf, key, place);
}

ol_status ol_conf_take(struct reader *reader, const char *path, config_setting_t *setting)
{
    const size_t key = ol_conf_find(reader->table, path);
    char place[PATH_MAX], prefix[LONGEST_PATH + 1];

    ol_conf_place(reader, setting, place);
    if (key < reader->table.n)
        return take_key(reader, key, setting, place);
    if (is_group(reader->table, path)) {
        if (!config_setting_is_group(setting))
            return ol_conf_mistake(reader->mistakes, place, "%s is a group: write %s = { ... }",
                                   path, path);
        snprintf(prefix, sizeof prefix, "%s.", path);
        return take_members(reader, prefix, setting);
    }
    if (reader->own || !reader->table.list || strcmp(path, reader->table.list) != 0)
        return unknown_key(reader, path, place);
    if (!config_setting_is_list(setting))
        return ol_conf_mistake(
            reader->mistakes, place,
            "%s is a list of groups: write %s = ( { name = \"...\"; ... }, ... )", path, path);
    reader->list = setting;
    reader->list_in = reader->source;
    reader->list_set = reader->set;
    return OL_OK;
}

/* Why libconfig refused a text, in words, with the line. */
static ol_status syntax_mistake(struct reader *reader, const config_t *config)
{
    char place[PATH_MAX];
    const unsigned line = (unsigned)config_error_line(config);
    const char *text = config_error_text(config);
    const char *why = strstr(text, "duplicate") ? "this group has that key already"
                      : strstr(text, "mismatched")
                          ? "the items of a list in [ ] must be of one kind"
                          : "not libconfig's syntax (key = value; strings in quotes; "
                            "groups in { })";
    int n;
    const char *said = ol_conf_source_line(reader->source, line, &n);
    const char *dot = memchr(said, '.', strcspn(said, "=:\" \t\r\n"));

    if (dot && isalpha((unsigned char)said[0]))
        why = "dotted keys are for --set; in a file write group = { key = value; }";
    if (strncmp(said, "@include", strlen("@include")) == 0)
        why = "@include \"FILE\" stands by itself on a line";
    ol_conf_source_place(reader->source, line, place);
    return ol_conf_mistake(reader->mistakes, place, "%s, near: %.*s", why, n, said);
}

static ol_status take_source(struct reader *reader, config_t *config, const struct source *source)
{
    reader->source = source;
    if (reader->mistakes->n > 0)
        return OL_OK; /* an include is missing: what it would say cannot be judged */
    return config_read_string(config, source->text.data)
               ? take_members(reader, "", config_root_setting(config))
               : syntax_mistake(reader, config);
}

/* What follows "list." in a --set for one variant; NULL for any other. */
static const char *below_list(const struct reader *reader, const char *set)
{
    const char *list = reader->table.list;

    return list && is_below(set, list) ? set + strlen(list) + 1 : NULL;
}

/* One --set; that of a variant is only parsed, as the variants are not there yet. */
static ol_status take_set(struct reader *reader, config_t *config, const char *set)
{
    const char *equals = strchr(set, '=');
    char path[LONGEST_PATH];
    bool parsed = false;

    reader->source = NULL;
    reader->set = set;
    if (!equals || equals == set || equals - set >= LONGEST_PATH)
        return ol_conf_mistake(reader->mistakes, "--set", "\"%s\" is not of the form path=value",
                               set);
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    OL_TRY(ol_conf_parse_set(config, equals + 1, &parsed));
    if (!parsed)
        return ol_conf_mistake(reader->mistakes, "--set",
                               equals[1] == '['
                                   ? "%s: the value is not libconfig's syntax; a list is "
                                     "written --set '%s=[\"a\", \"b\"]' or [1, 2]"
                                   : "%s: the value is not libconfig's syntax",
                               set, path);
    if (below_list(reader, set))
        return OL_OK;
    return ol_conf_take(reader, path, config_setting_get_elem(config_root_setting(config), 0));
}

static ol_status set_defaults(struct reader *reader)
{
    assert(reader->table.n <= OL_CONF_KEYS);
    for (size_t i = 0; i < reader->table.n; i++) {
        const ol_conf_key *key = &reader->table.keys[i];
        OL_AUTO_CONFIG config;
        bool parsed = false;

        config_init(&config);
        OL_TRY(ol_conf_parse_set(&config, key->preset, &parsed));
        assert(parsed);
        OL_TRY(ol_conf_assign(key, config_setting_get_elem(config_root_setting(&config), 0),
                              "default", reader->values, reader->mistakes));
    }
    assert(reader->mistakes->n == 0);
    return OL_OK;
}

static ol_status new_conf(ol_conf_table table, ol_conf **conf)
{
    *conf = calloc(1, sizeof **conf);
    OL_CHECK(*conf, OL_ENOMEM, "no memory for a job");
    (*conf)->table = table;
    return OL_OK;
}

ol_status ol_conf_fork(const ol_conf *conf, const void *values, void *copy, ol_conf **fork)
{
    OL_AUTO(ol_conf_drop) ol_conf *made = NULL;

    *fork = NULL;
    memset(copy, 0, conf->table.size);
    OL_TRY(new_conf(conf->table, &made));
    memcpy(made->own, conf->own, sizeof conf->own);
    for (size_t i = 0; i < conf->table.n; i++)
        if (conf->origin[i])
            OL_TRY(remember(made, i, conf->origin[i]));
    OL_TRY(ol_conf_copy(conf->table, values, copy));
    return OL_GIVE(fork, made);
}

ol_status ol_conf_lay_over(const struct reader *reader, struct variant *variant,
                           struct reader *inner)
{
    variant->values = calloc(1, reader->table.size);
    OL_CHECK(variant->values, OL_ENOMEM, "no memory for a job");
    OL_TRY(ol_conf_fork(reader->conf, reader->values, variant->values, &variant->conf));
    *inner = *reader;
    inner->values = variant->values;
    inner->conf = variant->conf;
    inner->own = true;
    return OL_OK;
}

/* Is that a group with keys that a variant may say? */
static bool is_variable(ol_conf_table table, const char *group)
{
    return strcmp(group, table.below) == 0 || (table.also && is_below(table.also, group));
}

/* One group of the list: its name, and its keys over a copy of the values read so far. */
static ol_status take_variant(struct reader *reader, config_setting_t *group,
                              struct variant *variant)
{
    struct reader inner;
    const char *name = NULL;
    char place[PATH_MAX];

    ol_conf_place(reader, group, place);
    if (!config_setting_is_group(group) || !config_setting_lookup_string(group, "name", &name))
        return ol_conf_mistake(reader->mistakes, place,
                               "each item of %s is a group with a name: "
                               "{ name = \"...\"; %s = { ... }; }",
                               reader->table.list, reader->table.below);
    variant->name = strdup(name);
    variant->place = strdup(place);
    OL_CHECK(variant->name && variant->place, OL_ENOMEM, "no memory for %s", reader->table.list);
    OL_TRY(ol_conf_lay_over(reader, variant, &inner));
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *member = config_setting_get_elem(group, (unsigned)i);

        if (is_variable(reader->table, config_setting_name(member))) {
            OL_TRY(ol_conf_take(&inner, config_setting_name(member), member));
        } else if (strcmp(config_setting_name(member), "name") != 0) {
            ol_conf_place(reader, member, place);
            ol_conf_mistake(reader->mistakes, place, "%s of %s \"%s\": only name and %s stand here",
                            config_setting_name(member), reader->table.list, name,
                            reader->table.below);
        }
    }
    return OL_OK;
}

static ol_status take_variants(struct reader *reader)
{
    ol_conf *conf = reader->conf;
    const size_t n = reader->list ? (size_t)config_setting_length(reader->list) : 0;

    if (n == 0)
        return OL_OK;
    reader->source = reader->list_in;
    reader->set = reader->list_set;
    conf->variants = calloc(n, sizeof *conf->variants);
    OL_CHECK(conf->variants, OL_ENOMEM, "no memory for %s", reader->table.list);
    for (size_t i = 0; i < n; i++) {
        conf->n_variants = i + 1;
        OL_TRY(take_variant(reader, config_setting_get_elem(reader->list, (unsigned)i),
                            &conf->variants[i]));
    }
    return OL_OK;
}

/* The variant that `rest` ("NAME.below.key=value") speaks of, or NULL; *path is then what follows.
 * All have names: this is asked where the file has no mistakes. */
static struct variant *find_variant(ol_conf *conf, const char *rest, const char **path)
{
    for (size_t i = 0; i < conf->n_variants; i++)
        if (is_below(rest, conf->variants[i].name)) {
            *path = rest + strlen(conf->variants[i].name) + 1;
            return &conf->variants[i];
        }
    return NULL;
}

/* A mistake: find_variant does not know what `rest` speaks of. Told is the nearest name, or all. */
static ol_status unknown_variant(const struct reader *reader, const char *place, const char *rest)
{
    const ol_conf *conf = reader->conf;
    OL_AUTO_FREE const char **names = NULL;
    OL_AUTO_TEXT known = {0};
    char end[LONGEST_PATH], name[LONGEST_PATH];
    const char *near, *below;

    snprintf(end, sizeof end, ".%s", reader->table.below);
    below = strstr(rest, end);
    snprintf(name, sizeof name, "%.*s", (int)(below ? (size_t)(below - rest) : strcspn(rest, ".=")),
             rest);
    OL_TRY(OL_ALLOCATE(names, conf->n_variants, reader->table.list));
    for (size_t i = 0; i < conf->n_variants; i++) {
        names[i] = conf->variants[i].name;
        OL_TRY(ol_text_format(&known, "%s%s", i > 0 ? ", " : "; there: ", names[i]));
    }
    near = ol_text_nearest(name, names, conf->n_variants);
    return ol_conf_mistake(reader->mistakes, place, "%s has nothing of that name%s%s%s%s",
                           reader->table.list, near ? "; did you mean \"" : "", near ? near : "",
                           near ? "\"?" : "", near || !known.data ? "" : known.data);
}

/* --set list.NAME.below.key=value */
static ol_status take_variant_set(struct reader *reader, config_t *config, const char *set)
{
    const char *path;
    struct variant *variant = find_variant(reader->conf, below_list(reader, set), &path);
    struct reader inner = *reader;
    char place[PATH_MAX], key[LONGEST_PATH], group[LONGEST_PATH];

    inner.source = NULL;
    inner.set = set;
    ol_conf_place(&inner, NULL, place);
    if (!variant)
        return unknown_variant(reader, place, below_list(reader, set));
    snprintf(group, sizeof group, "%.*s", (int)strcspn(path, ".="), path);
    if (!is_variable(reader->table, group))
        return ol_conf_mistake(reader->mistakes, place, "of %s \"%s\" only %s can be set",
                               reader->table.list, variant->name, reader->table.below);
    snprintf(key, sizeof key, "%.*s", (int)strcspn(path, "="), path);
    inner.values = variant->values;
    inner.conf = variant->conf;
    inner.own = true;
    return ol_conf_take(&inner, key, config_setting_get_elem(config_root_setting(config), 0));
}

/* The file's text, then each --set. All parsed texts live until the variants are taken, which may
 * stand in any of them. */
static ol_status take_all(struct reader *reader, config_t *configs, const struct source *source,
                          const char *const *sets, size_t n_sets)
{
    OL_TRY(take_source(reader, &configs[0], source));
    for (size_t i = 0; i < n_sets; i++)
        OL_TRY(take_set(reader, &configs[i + 1], sets[i]));
    OL_TRY(take_variants(reader));
    for (size_t i = 0; i < n_sets && reader->mistakes->n == 0; i++)
        if (below_list(reader, sets[i]))
            OL_TRY(take_variant_set(reader, &configs[i + 1], sets[i]));
    return OL_OK;
}

ol_status ol_conf_read_text(ol_conf_table table, const char *name, const char *text, size_t size,
                            const char *const *sets, size_t n_sets, void *values, ol_conf **conf)
{
    ol_conf_mistakes mistakes = {0};
    struct reader reader = {.table = table, .values = values, .mistakes = &mistakes};
    OL_AUTO(ol_conf_source_finish) struct source source = {0};
    OL_AUTO_FREE config_t *configs = calloc(n_sets + 1, sizeof *configs);
    ol_status status, reported;

    OL_CHECK(configs, OL_ENOMEM, "no memory to read %s", name);
    for (size_t i = 0; i <= n_sets; i++)
        config_init(&configs[i]);
    memset(values, 0, table.size);
    status = new_conf(table, &reader.conf);
    if (status == OL_OK)
        status = set_defaults(&reader);
    if (status == OL_OK)
        status = ol_conf_source_read(&source, name, text, size, &mistakes);
    if (status == OL_OK)
        status = take_all(&reader, configs, &source, sets, n_sets);
    for (size_t i = 0; i <= n_sets; i++)
        config_destroy(&configs[i]);
    reported = ol_conf_report(&mistakes, name);
    if (status == OL_OK)
        status = reported;
    if (status != OL_OK) {
        ol_conf_finish(table, values);
        ol_conf_destroy(reader.conf);
        reader.conf = NULL;
    }
    *conf = reader.conf;
    return status;
}

ol_status ol_conf_read(ol_conf_table table, const char *path, const char *const *sets,
                       size_t n_sets, void *values, ol_conf **conf)
{
    OL_AUTO_FREE char *text = NULL;
    size_t size = 0;
    ol_status status;

    if (!path)
        return ol_conf_read_text(table, "--set", "", 0, sets, n_sets, values, conf);
    *conf = NULL;
    status = ol_path_is_folder(path) ? ol_fail(OL_EUSAGE, "%s: is a folder, not a job file", path)
                                     : ol_read_file_within(path, OL_SETTINGS_BYTES, &text, &size);
    if (status == OL_EDATA) /* for whoever typed the name, it is the command line that is wrong */
        return ol_fail(OL_EUSAGE, "%s", ol_status_message());
    OL_TRY(status);
    return ol_conf_read_text(table, path, text, size, sets, n_sets, values, conf);
}

void ol_conf_variant_finish(struct variant *variant)
{
    if (variant->conf)
        ol_conf_finish(variant->conf->table, variant->values);
    free(variant->values);
    free(variant->name);
    free(variant->place);
    ol_conf_destroy(variant->conf);
}

void ol_conf_destroy(ol_conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < conf->n_variants; i++)
        ol_conf_variant_finish(&conf->variants[i]);
    free(conf->variants);
    for (size_t i = 0; i < conf->table.n; i++)
        free(conf->origin[i]);
    free(conf);
}

const char *ol_conf_origin(const ol_conf *conf, size_t key)
{
    return conf->origin[key] ? conf->origin[key] : "default";
}

ol_status ol_conf_derived(ol_conf *conf, const char *path)
{
    const size_t key = ol_conf_find(conf->table, path);

    assert(key < conf->table.n);
    return remember(conf, key, "derived");
}

size_t ol_conf_variants(const ol_conf *conf)
{
    return conf->n_variants;
}

const char *ol_conf_variant_name(const ol_conf *conf, size_t i)
{
    assert(i < conf->n_variants);
    return conf->variants[i].name;
}

const char *ol_conf_variant_origin(const ol_conf *conf, size_t i)
{
    assert(i < conf->n_variants);
    return conf->variants[i].place;
}

ol_status ol_conf_variant(const ol_conf *conf, size_t i, void *values, ol_conf **variant)
{
    assert(i < conf->n_variants);
    return ol_conf_fork(conf->variants[i].conf, conf->variants[i].values, values, variant);
}

bool ol_conf_own(const ol_conf *variant, size_t key)
{
    assert(key < variant->table.n);
    return variant->own[key];
}
