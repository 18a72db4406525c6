/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources of this room share. */
#ifndef OL_CONF_INTERNAL_H
#define OL_CONF_INTERNAL_H

#include <libconfig.h>
#include <limits.h>
#include <string.h>

#include "outerloop/base/file.h"
#include "outerloop/conf/conf.h"

enum { LONGEST_PATH = 128, NEAREST = 2 * LONGEST_PATH };

#define OL_AUTO_CONFIG OL_AUTO(config_destroy) config_t

/* Where line i+1 of an expanded text stood. */
struct origin_line {
    const char *file; /* borrowed from source.files */
    int line;
};

/* The text of a file with its includes in place. libconfig's own @include is not used: it looks in
 * one folder only, and loses the including line when a file is missing. */
struct source {
    ol_text text;
    struct origin_line *lines;
    size_t n_lines;
    char *files[64];
    size_t n_files;
};

/* Does `path` go on below `group`, after a dot? */
static inline bool is_below(const char *path, const char *group)
{
    const size_t n = strlen(group);

    return n > 0 && strncmp(path, group, n) == 0 && path[n] == '.';
}

/* Expand `text` (of the file `name`) with its includes. Mistakes go to `mistakes`; the status is
 * for lack of memory. */
ol_status ol_conf_source_read(struct source *source, const char *name, const char *text,
                              size_t size, ol_conf_mistakes *mistakes);

void ol_conf_source_finish(struct source *source);

/* "file:line" of a line of the expanded text. */
void ol_conf_source_place(const struct source *source, unsigned line, char place[PATH_MAX]);

/* That line itself, without leading blanks: for messages. Length in *n. */
const char *ol_conf_source_line(const struct source *source, unsigned line, int *n);

/* Copy text, giving whole numbers past 32 bits the suffix that libconfig 1.5 needs to keep them. */
ol_status ol_conf_widen(ol_text *out, const char *text, size_t size);

/* Parse the value of a --set (or a default of the table) as the one member of `config`. *parsed is
 * false when it is no value. */
ol_status ol_conf_parse_set(config_t *config, const char *value, bool *parsed);

/* Put the value of a setting into the field of `key`; a mistake when it does not fit. The field
 * then keeps what it had. */
ol_status ol_conf_assign(const ol_conf_key *key, const config_setting_t *setting, const char *place,
                         void *values, ol_conf_mistakes *mistakes);

/* "a whole number, 1 to 2": what a key takes. */
ol_status ol_conf_describe(const ol_conf_key *key, ol_text *text);

/* Append a string in libconfig's quotes. */
ol_status ol_conf_quote(ol_text *text, const char *string);

/* Append what a setting holds; "a group" or "a list" for several. */
ol_status ol_conf_show(const config_setting_t *setting, ol_text *text);

/* The known key, group or list that was probably meant: letters off or swapped in any part, groups
 * forgotten or others. Empty when none is near. */
void ol_conf_nearest(ol_conf_table table, const char *path, char nearest[NEAREST]);

/* Values that other keys are laid over, and where they come from. */
struct variant {
    char *name;
    char *place;  /* where it stands */
    void *values; /* table.size bytes */
    ol_conf *conf;
};

/* One reading: the table, what it fills, and the text it is at. */
struct reader {
    ol_conf_table table;
    void *values;
    ol_conf *conf;
    const struct source *source; /* NULL in a --set */
    const char *set;             /* the --set, NULL in a file */
    const char *said;            /* where all of it was said, in the place of both; else NULL */
    bool own;                    /* in a variant */
    ol_conf_mistakes *mistakes;
    config_setting_t *list;       /* the list of variants, the last one said */
    const struct source *list_in; /* its source and set */
    const char *list_set;
};

/* Take a setting and all that is in it: a key, a group of keys, or the list. */
ol_status ol_conf_take(struct reader *reader, const char *path, config_setting_t *setting);

/* "file:line" of a setting, or its --set. */
void ol_conf_place(const struct reader *reader, const config_setting_t *setting,
                   char place[PATH_MAX]);

/* A copy of values and of where they come from, to have other keys laid over. */
ol_status ol_conf_fork(const ol_conf *conf, const void *values, void *copy, ol_conf **fork);

/* The same of what the reader has read so far, with a reader that lays keys over it.
   @param variant  ol_conf_variant_finish frees it, also after an error */
ol_status ol_conf_lay_over(const struct reader *reader, struct variant *variant,
                           struct reader *inner);
void ol_conf_variant_finish(struct variant *variant);

/* Take the value of a grid. */
ol_status ol_conf_take_grid(struct reader *reader, const ol_conf_key *key,
                            config_setting_t *setting, const char *place);

/* Append the keys that are own, in one line. */
ol_status ol_conf_write_own(const void *values, const ol_conf *conf, ol_text *text);

/* Make an owned string a copy of another. */
ol_status ol_conf_string_set(const char *string, char **held);

struct ol_conf {
    ol_conf_table table;
    char *origin[OL_CONF_KEYS]; /* NULL = default */
    bool own[OL_CONF_KEYS];     /* in a variant: said by the variant itself */
    size_t n_variants;
    struct variant *variants;
};

#endif
