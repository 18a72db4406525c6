/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader on a table of its own: every kind of value, of place and of mistake. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/conf/conf.h"

struct values {
    int size;
    int64_t seed;
    double rate, share;
    bool quick;
    char *title;
    int shape;
    unsigned parts;
    ol_conf_ints list;
    int depth;
};

static const char *const shapes[] = {"round", "square", NULL};
static const char *const parts[] = {"head", "body", "tail", NULL};

#define AT(member) offsetof(struct values, member)
static const ol_conf_key keys[] = {
    {"size", OL_CONF_INT, AT(size), "3", 1, 10, 0, NULL, "m", "how large"},
    {"seed", OL_CONF_LONG, AT(seed), "1", 0, 9007199254740991.0, 0, NULL, "", "random"},
    {"rate", OL_CONF_REAL, AT(rate), "0.1", 0, INFINITY, OL_CONF_ABOVE, NULL, "", "speed"},
    {"share", OL_CONF_REAL, AT(share), "0.5", 0, 1, OL_CONF_BELOW, NULL, "", "part"},
    {"quick", OL_CONF_BOOL, AT(quick), "true", 0, 0, 0, NULL, "", "or slow"},
    {"title", OL_CONF_STRING, AT(title), "\"none\"", 0, 0, 0, NULL, "", "text"},
    {"form.shape", OL_CONF_WORD, AT(shape), "\"round\"", 0, 0, 0, shapes, "", "outline"},
    {"form.parts", OL_CONF_WORDS, AT(parts), "[\"head\"]", 0, 0, 0, parts, "", "what it has"},
    {"form.list", OL_CONF_INTS, AT(list), "[1, 2]", 0, 99, 0, NULL, "", "numbers"},
    {"form.deep.depth", OL_CONF_INT, AT(depth), "7", INT_MIN, INT_MAX, 0, NULL, "", "depth"},
};
static const ol_conf_table table = {.keys = keys,
                                    .n = sizeof keys / sizeof keys[0],
                                    .size = sizeof(struct values),
                                    .list = "kinds",
                                    .below = "form",
                                    .help = "variants"};

static char folder[] = "/tmp/outerloop-conf-XXXXXX";

static ol_status read_text(const char *text, struct values *values, ol_conf **conf)
{
    return ol_conf_read_text(table, "a.cfg", text, strlen(text), NULL, 0, values, conf);
}

static ol_status read_set(const char *set, struct values *values, ol_conf **conf)
{
    return ol_conf_read(table, NULL, &set, 1, values, conf);
}

static void finish(struct values *values, ol_conf *conf)
{
    ol_conf_finish(table, values);
    ol_conf_destroy(conf);
}

/* The message must contain each of the words. */
static void assert_said(const char *const *words)
{
    for (; *words; words++)
        if (!strstr(ol_status_message(), *words))
            fail_msg("no \"%s\" in: %s", *words, ol_status_message());
}

#define SAID(...) assert_said((const char *const[]){__VA_ARGS__, NULL})

static void refused(const char *text)
{
    struct values values;
    ol_conf *conf;

    assert_int_equal(read_text(text, &values, &conf), OL_EUSAGE);
    assert_null(conf);
    assert_null(values.title);
}

static void set_refused(const char *set)
{
    struct values values;
    ol_conf *conf;

    assert_int_equal(read_set(set, &values, &conf), OL_EUSAGE);
    SAID("--set", set);
}

static void test_defaults(void **state)
{
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_text("", &v, &conf), OL_OK);
    assert_int_equal(v.size, 3);
    assert_true(v.seed == 1 && v.rate == 0.1 && v.share == 0.5 && v.quick);
    assert_string_equal(v.title, "none");
    assert_int_equal(v.shape, 0);
    assert_int_equal(v.parts, 1);
    assert_int_equal(v.list.n, 2);
    assert_int_equal(v.depth, 7);
    assert_string_equal(ol_conf_origin(conf, 0), "default");
    finish(&v, conf);
}

static void test_every_type(void **state)
{
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_text("size = 4; seed = 5000000000;\nrate = 2; share = 1e-3;\n"
                               "quick = false; title = \"a\\\"b\";\n"
                               "form : { shape = \"square\"; parts = (\"tail\", \"body\");\n"
                               " list = []; deep = { depth = -0x10; } }",
                               &v, &conf),
                     OL_EUSAGE); /* libconfig has no negative hexadecimal */
    assert_int_equal(read_text("size = 4; seed = 5000000000;\nrate = 2; share = 1e-3;\n"
                               "quick = false; title = \"a\\\"b\";\n"
                               "form : { shape = \"square\"; parts = (\"tail\", \"body\");\n"
                               " list = []; deep = { depth = 0x10; } }",
                               &v, &conf),
                     OL_OK);
    assert_int_equal(v.size, 4);
    assert_true(v.seed == 5000000000 && v.rate == 2.0 && v.share == 1e-3 && !v.quick);
    assert_string_equal(v.title, "a\"b");
    assert_int_equal(v.shape, 1);
    assert_int_equal(v.parts, 6);
    assert_int_equal(v.list.n, 0);
    assert_int_equal(v.depth, 16);
    assert_string_equal(ol_conf_origin(conf, ol_conf_find(table, "form.list")), "a.cfg:5");
    finish(&v, conf);
}

static void test_ill_typed(void **state)
{
    (void)state;
    refused("\nsize = 2.0;");
    SAID("a.cfg:2", "size", "2.0", "whole number", "1 to 10");
    refused("size = \"3\";");
    refused("rate = true;");
    refused("quick = 1;");
    SAID("true or false");
    refused("title = 5;");
    refused("title = [\"x\"];");
    refused("form = { shape = 1; };");
    refused("form = { parts = \"head\"; };");
    refused("form = { parts = [1]; };");
    refused("form = { list = 3; };");
    refused("form = { list = [1.5]; };");
    refused("form = 3;");
    SAID("form is a group");
    refused("size = { a = 1; };");
    refused("kinds = 3;");
    SAID("kinds is a list of groups");
}

static void test_out_of_range(void **state)
{
    (void)state;
    refused("size = 0;");
    refused("size = 11;");
    refused("size = 4294967299;"); /* 3 when cut to 32 bits */
    refused("seed = -1;");
    refused("seed = 99999999999999999999;");
    refused("rate = 0;");
    SAID("above 0");
    refused("rate = 1e999;");
    refused("share = 1.0;");
    SAID("below 1");
    refused("share = -0.1;");
    refused("form = { list = [1, 100]; };");
    refused("form = { parts = [\"head\", \"head\"]; };");
    SAID("twice");
    refused(
        "form = { list = [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]; };");
    SAID("33 items", "at most 32");
}

static void test_unknown(void **state)
{
    (void)state;
    refused("\n\nsiez = 3;");
    SAID("a.cfg:3", "unknown key siez", "did you mean size?");
    refused("form = { shap = \"round\"; };");
    SAID("unknown key form.shap", "did you mean form.shape?");
    refused("depth = 3;");
    SAID("did you mean form.deep.depth?");
    refused("from = { shape = \"round\"; };");
    SAID("unknown key from", "did you mean form?");
    refused("kindz = ();");
    SAID("did you mean kinds?");
    refused("xyzzyxyzzy = 1;");
    SAID("cfg/reference.cfg");
    refused("form = { shape = \"sqare\"; };");
    SAID("\"square\"", "did you mean");
}

/* Letters swapped or missing in any part, groups left out, of another name or too many. */
static void test_nearest(void **state)
{
    static const struct {
        const char *said, *meant;
    } cases[] = {
        {"from.shape", "form.shape"},
        {"form.shpae", "form.shape"},
        {"fomr.shpae", "form.shape"},
        {"form.deep.detph", "form.deep.depth"},
        {"form.depe.depth", "form.deep.depth"},
        {"fomr.depe.detph", "form.deep.depth"},
        {"form.depth", "form.deep.depth"},
        {"deep.depth", "form.deep.depth"},
        {"list", "form.list"},
        {"form.size", "size"},
        {"other.parts", "form.parts"},
        {"other.deep.parts", "form.parts"},
        {"from.deep", "form.deep"},
        {"form.deep_depth", "form.deep.depth"},
        {"kidns.c.form.shape", "kinds.c.form.shape"},
        {"kinsd", "kinds"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char set[64], meant[64];

        snprintf(set, sizeof set, "%s=1", cases[i].said);
        snprintf(meant, sizeof meant, "did you mean %s?", cases[i].meant);
        set_refused(set);
        SAID(meant);
    }
    set_refused("a.b.c.d.e.f.g.h.i=1");
    SAID("cfg/reference.cfg");
}

static void test_many_mistakes(void **state)
{
    ol_text text = {0};

    (void)state;
    refused("size = 99;\nrat = 1;\nquick = 3;");
    SAID("3 mistakes", "a.cfg:1", "a.cfg:2", "a.cfg:3");
    for (int i = 0; i < 40; i++)
        ol_text_format(&text, "wrong%d = 1;\n", i);
    refused(text.data);
    SAID("40 mistakes, the first 20", "a.cfg:20:");
    assert_null(strstr(ol_status_message(), "a.cfg:21:"));
    ol_text_finish(&text);
}

static void test_syntax(void **state)
{
    (void)state;
    refused("size = 3;\nrate = = 4;\n");
    SAID("a.cfg:2", "rate = = 4");
    refused("size = 3;\nsize = 4;");
    SAID("a.cfg:2", "already");
    refused("form = { list = [1, 2.5]; };");
    SAID("one kind");
    refused("form.shape = \"round\";");
    SAID("--set", "group = {");
    refused("form = { shape = round; };");
    SAID("strings in quotes");
    refused("size = 3;\n\ntitle = \"never\nclosed");
    SAID("a.cfg:3", "string", "never closed");
    refused("/* size = 3;\n");
    SAID("a.cfg:1", "comment");
    refused("form = { size = 3;");
    refused("title = \"\xff\";");
    SAID("UTF-8");
}

static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(ol_make_folders(folder), OL_OK);
    assert_int_equal(ol_write_file(path, text, strlen(text)), OL_OK);
}

static ol_status read_file(const char *name, struct values *values, ol_conf **conf)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return ol_conf_read(table, path, NULL, 0, values, conf);
}

/* An include stands beside the file that includes it, and mistakes keep their own line. */
static void test_include(void **state)
{
    char sub[64];
    struct values v;
    ol_conf *conf;

    (void)state;
    snprintf(sub, sizeof sub, "%s/sub", folder);
    assert_int_equal(ol_make_folders(sub), OL_OK);
    write_file("sub/inner.cfg", "# two lines\n  shape = \"square\";\n");
    write_file("sub/middle.cfg", "form = {\n  @include \"inner.cfg\" # beside this one\n};\n");
    write_file("top.cfg", "# @include \"nowhere.cfg\"\n/*\n@include \"nowhere.cfg\"\n*/\n"
                          "@include \"sub/middle.cfg\"\nsize = 5;\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_OK);
    assert_int_equal(v.shape, 1);
    assert_int_equal(v.size, 5);
    assert_non_null(
        strstr(ol_conf_origin(conf, ol_conf_find(table, "form.shape")), "/sub/inner.cfg:2"));
    assert_non_null(strstr(ol_conf_origin(conf, 0), "/top.cfg:6"));
    finish(&v, conf);

    write_file("sub/inner.cfg", "\nshape = \"oval\";\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_EUSAGE);
    SAID("/sub/inner.cfg:2: form.shape cannot be \"oval\"");
    write_file("sub/inner.cfg", "\n\nshape ? 3;\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_EUSAGE);
    SAID("/sub/inner.cfg:3");
    write_file("top.cfg", "size = 3;\n@include \"gone.cfg\"\n@include \"gone2.cfg\"\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_EUSAGE);
    SAID("/top.cfg:2: @include", "/gone.cfg: cannot open", "/top.cfg:3", "/gone2.cfg");
    write_file("top.cfg", "@include \"top.cfg\"\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_EUSAGE);
    SAID("include itself");
}

static void test_missing_file(void **state)
{
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_file("absent.cfg", &v, &conf), OL_EUSAGE);
    SAID("/absent.cfg");
    assert_int_equal(ol_conf_read(table, folder, NULL, 0, &v, &conf), OL_EUSAGE);
    SAID("folder");
}

static void test_set(void **state)
{
    const char *const sets[] = {
        "size=9", "form.shape=square",    "title=runs/a-b.c", "form.list=[4,5,6]",
        "rate=3", "form.deep={depth=2;}", "seed=5000000000",  "size=8"};
    struct values v;
    ol_conf *conf;

    (void)state;
    write_file("set.cfg", "size = 1; rate = 7.0; title = \"file\";");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/set.cfg", folder);
    assert_int_equal(ol_conf_read(table, path, sets, sizeof sets / sizeof sets[0], &v, &conf),
                     OL_OK);
    assert_int_equal(v.size, 8);
    assert_int_equal(v.shape, 1);
    assert_string_equal(v.title, "runs/a-b.c");
    assert_int_equal(v.list.items[2], 6);
    assert_true(v.rate == 3.0 && v.seed == 5000000000);
    assert_int_equal(v.depth, 2);
    assert_string_equal(ol_conf_origin(conf, 0), "--set size=8");
    finish(&v, conf);
    assert_int_equal(read_set("title=", &v, &conf), OL_OK);
    assert_string_equal(v.title, "");
    finish(&v, conf);
    set_refused("siez=3");
    SAID("did you mean size?");
    set_refused("size=big");
    set_refused("size=3; rate = 4");
    set_refused("form.list=[1,");
    set_refused("size");
    set_refused("=3");
    set_refused("form=3");
}

static void test_variants(void **state)
{
    struct values v, one;
    ol_conf *conf, *variant;
    static const char text[] = "size = 5; form = { shape = \"square\"; };\n"
                               "kinds = ( { name = \"a\"; form = { deep = { depth = 1; }; }; },\n"
                               "          { name = \"b\"; } );";

    (void)state;
    assert_int_equal(read_text(text, &v, &conf), OL_OK);
    assert_int_equal(ol_conf_variants(conf), 2);
    assert_string_equal(ol_conf_variant_name(conf, 0), "a");
    assert_string_equal(ol_conf_variant_origin(conf, 1), "a.cfg:3");
    assert_int_equal(v.depth, 7);
    assert_int_equal(ol_conf_variant(conf, 0, &one, &variant), OL_OK);
    assert_int_equal(one.depth, 1);
    assert_int_equal(one.shape, 1);
    assert_int_equal(one.size, 5);
    assert_string_equal(ol_conf_origin(variant, ol_conf_find(table, "form.deep.depth")), "a.cfg:2");
    finish(&one, variant);
    finish(&v, conf);
    refused("kinds = ( { form = { shape = \"round\"; }; } );");
    SAID("group with a name");
    refused("kinds = ( 3 );");
    refused("kinds = ( { name = \"a\"; size = 3; } );");
    SAID("size of kinds \"a\"", "only name and form");
    refused("kinds = (\n{ name = \"a\"; form = { shap = 1; }; } );");
    SAID("a.cfg:2", "form.shap", "did you mean form.shape?");
}

static const char kinds[] = "kinds = ( { name = \"a.b\"; form = { deep = { depth = 1; }; }; },\n"
                            "          { name = \"c\"; } );";

static ol_status read_kinds(const char *set, struct values *values, ol_conf **conf)
{
    return ol_conf_read_text(table, "a.cfg", kinds, strlen(kinds), &set, 1, values, conf);
}

/* --set reaches a key of one variant, and no other. */
static void test_set_of_variant(void **state)
{
    struct values v, one;
    ol_conf *conf, *variant;

    (void)state;
    assert_int_equal(read_kinds("kinds.a.b.form.deep.depth=5", &v, &conf), OL_OK);
    assert_int_equal(v.depth, 7);
    assert_int_equal(ol_conf_variant(conf, 0, &one, &variant), OL_OK);
    assert_int_equal(one.depth, 5);
    finish(&one, variant);
    assert_int_equal(ol_conf_variant(conf, 1, &one, &variant), OL_OK);
    assert_int_equal(one.depth, 7);
    finish(&one, variant);
    finish(&v, conf);
    assert_int_equal(read_kinds("kinds.c.form={shape=\"square\";}", &v, &conf), OL_OK);
    assert_int_equal(ol_conf_variant(conf, 1, &one, &variant), OL_OK);
    assert_int_equal(one.shape, 1);
    finish(&one, variant);
    finish(&v, conf);
    assert_int_equal(read_kinds("kinds=()", &v, &conf), OL_OK);
    assert_int_equal(ol_conf_variants(conf), 0);
    finish(&v, conf);
    assert_int_equal(read_kinds("kinds.d.form.shape=round", &v, &conf), OL_EUSAGE);
    SAID("--set kinds.d.form.shape=round", "nothing of that name");
    assert_int_equal(read_kinds("kinds.ab.form.shape=round", &v, &conf), OL_EUSAGE);
    SAID("did you mean \"a.b\"?");
    assert_int_equal(read_kinds("kinds.c.size=3", &v, &conf), OL_EUSAGE);
    SAID("only form can be set");
    assert_int_equal(read_kinds("kinds.c.form.shap=3", &v, &conf), OL_EUSAGE);
    SAID("did you mean form.shape?");
    assert_int_equal(read_kinds("kinds.c.form.shape=[", &v, &conf), OL_EUSAGE);
    SAID("syntax");
}

/* What is written reads back to the same values, variants included, whatever the strings hold. */
static void test_round_trip(void **state)
{
    static const char text[] =
        "size = 5; seed = 9007199254740991; rate = 0.1234567890123456789; share = 1e-300;\n"
        "title = \"q\\\"b\\\\s\\nn\\tt\\x01 # no comment é\"; quick = false;\n"
        "form = { list = [0, 99]; parts = [\"body\", \"tail\"]; deep = { depth = -2147483648; }; "
        "};\n"
        "kinds = ( { name = \"a\"; form = { shape = \"square\"; }; }, { name = \"b\"; } );";
    struct values v, again;
    ol_conf *conf, *conf_again;
    ol_text first = {0}, second = {0}, plain = {0}, plain_again = {0};

    (void)state;
    assert_int_equal(read_text(text, &v, &conf), OL_OK);
    assert_int_equal(v.depth, INT_MIN);
    assert_int_equal(ol_conf_write(table, &v, conf, &first), OL_OK);
    assert_non_null(strstr(first.data, "# a.cfg:1"));
    assert_int_equal(read_text(first.data, &again, &conf_again), OL_OK);
    assert_int_equal(ol_conf_write(table, &v, NULL, &plain), OL_OK);
    assert_int_equal(ol_conf_write(table, &again, NULL, &plain_again), OL_OK);
    assert_string_equal(plain.data, plain_again.data);
    assert_string_equal(v.title, again.title);
    assert_memory_equal(&v.rate, &again.rate, sizeof v.rate);
    assert_int_equal(ol_conf_variants(conf_again), 2);
    assert_int_equal(ol_conf_write(table, &again, conf_again, &second), OL_OK);
    finish(&again, conf_again);
    assert_int_equal(read_text(second.data, &again, &conf_again), OL_OK);
    finish(&again, conf_again);
    finish(&v, conf);
    ol_text_finish(&first);
    ol_text_finish(&second);
    ol_text_finish(&plain);
    ol_text_finish(&plain_again);
}

static void test_reference(void **state)
{
    struct values v, none;
    ol_conf *conf, *conf_none;
    ol_text reference = {0}, a = {0}, b = {0};

    (void)state;
    assert_int_equal(ol_conf_reference(table, &reference), OL_OK);
    assert_non_null(strstr(reference.data, "# how large\n# a whole number, 1 to 10; unit: m\n"));
    assert_int_equal(read_text(reference.data, &v, &conf), OL_OK);
    assert_int_equal(read_text("", &none, &conf_none), OL_OK);
    assert_int_equal(ol_conf_write(table, &v, NULL, &a), OL_OK);
    assert_int_equal(ol_conf_write(table, &none, NULL, &b), OL_OK);
    assert_string_equal(a.data, b.data);
    finish(&v, conf);
    finish(&none, conf_none);
    ol_text_finish(&reference);
    ol_text_finish(&a);
    ol_text_finish(&b);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "sub/inner.cfg", "sub/middle.cfg", "top.cfg", "set.cfg", "sub", ""};
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_ill_typed),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_set_of_variant),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reference),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
