/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader on a table of its own: every kind of value and of mistake in a file. */
#include "shapes.h"

#include <stdlib.h>
#include <unistd.h>

#include "outerloop/base/file.h"

static char folder[] = "/tmp/outerloop-conf-XXXXXX";

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
    assert_strings(&v.names, "all", NULL);
    assert_strings(&v.tags, NULL, NULL);
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
    refused("form = { parts = [1]; };");
    refused("form = { parts = 1; };");
    SAID("one or a list of \"head\", \"body\", \"tail\"");
    refused("form = { parts = \"haed\"; };");
    SAID("did you mean \"head\"?");
    refused("form = { parts = { head = 1; }; };");
    refused("form = { list = true; };");
    refused("form = { list = [1.5]; };");
    refused("\ntags = 3;");
    SAID("a.cfg:2: tags cannot be 3; it takes a string or a list of strings");
    refused("\ntags = [1.5];");
    SAID("a.cfg:2: tags cannot be 1.5");
    refused("form = {\n\n names = (\"a\", true); };");
    SAID("a.cfg:3: form.names cannot be true");
    refused("tags = ([\"a\"], \"b\");");
    SAID("tags cannot be a list");
    refused("tags = { a = \"b\"; };");
    SAID("tags cannot be a group");
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

/* A number alone is a list of one. */
static void test_one_number(void **state)
{
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_text("form = { list = 3; };", &v, &conf), OL_OK);
    assert_int_equal(v.list.n, 1);
    assert_int_equal(v.list.items[0], 3);
    finish(&v, conf);
}

/* A list of strings: one alone, in brackets or parentheses, none, and as many as it takes. */
static void test_strings(void **state)
{
    ol_text text = {0};
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(
        read_text("tags = \"lora\"; form = { names = [\"h.3.*\", \"\"]; };", &v, &conf), OL_OK);
    assert_strings(&v.tags, "lora", NULL);
    assert_strings(&v.names, "h.3.*", "");
    finish(&v, conf);
    assert_null(v.names.items);
    assert_int_equal(v.names.n, 0);
    assert_int_equal(read_text("tags = (\"a\", \"a\"); form = { names = (); };", &v, &conf), OL_OK);
    assert_strings(&v.tags, "a", "a");
    assert_strings(&v.names, NULL, NULL);
    finish(&v, conf);
    ol_text_format(&text, "tags = [\"0\"");
    for (int i = 1; i < OL_CONF_TEXTS; i++)
        ol_text_format(&text, ", \"%d\"", i);
    ol_text_format(&text, "%s", "];");
    assert_int_equal(read_text(text.data, &v, &conf), OL_OK);
    assert_int_equal(v.tags.n, OL_CONF_TEXTS);
    assert_string_equal(v.tags.items[63], "63");
    finish(&v, conf);
    text.size -= 2;
    ol_text_format(&text, "%s", ", \"64\"];");
    refused(text.data);
    SAID("a.cfg:1: tags has 65 items; it takes at most 64");
    refused("\ntags = [\"lora\", \"a\\x1b[31m\"];");
    SAID("a.cfg:2: tags holds a line end, a tab or another control character");
    refused("form = { names = \"a\\nb\"; };");
    SAID("form.names holds a line end");
    ol_text_finish(&text);
}

/* Every field of a copy is its own. */
static void test_copy(void **state)
{
    struct values v, copy;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_text("tags = [\"a\", \"b\"];", &v, &conf), OL_OK);
    assert_int_equal(ol_conf_copy(table, &v, &copy), OL_OK);
    assert_ptr_not_equal(copy.tags.items, v.tags.items);
    assert_ptr_not_equal(copy.title, v.title);
    finish(&v, conf);
    assert_strings(&copy.tags, "a", "b");
    assert_strings(&copy.names, "all", NULL);
    assert_string_equal(copy.title, "none");
    ol_conf_finish(table, &copy);
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
    SAID("outerloop reference");
    refused("form = { shape = \"sqare\"; };");
    SAID("\"square\"", "did you mean");
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
    write_file("top.cfg", "size = 3;\n \t@include \t\"/\" size = 4;\n");
    assert_int_equal(read_file("top.cfg", &v, &conf), OL_EUSAGE);
    SAID("/top.cfg:2: @include \"FILE\" stands by itself on a line, near: @include");
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

/* What is written reads back to the same values, variants included, whatever the strings hold. */
static void test_round_trip(void **state)
{
    static const char text[] =
        "size = 5; seed = 9007199254740991; rate = 0.1234567890123456789; share = 1e-300;\n"
        "title = \"q\\\"b\\\\s # no comment é\"; quick = false;\n"
        "tags = [\"a\", \"q\\\"b\\\\,\"]; "
        "form = { list = [0, 99]; parts = [\"body\", \"tail\"]; names = (\"one\"); deep = { depth "
        "= -2147483648; }; "
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
    assert_strings(&again.tags, "a", "q\"b\\,");
    assert_strings(&again.names, "one", NULL);
    assert_non_null(strstr(plain.data, "names = \"one\";"));
    assert_non_null(strstr(plain.data, "tags = [\"a\", \"q\\\"b\\\\,\"];"));
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
    assert_non_null(
        strstr(reference.data, "# a string or a list of strings\n    names = \"all\";\n"));
    assert_non_null(strstr(reference.data, "# a string or a list of strings\ntags = [];\n"));
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
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_ill_typed),    cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_copy),
        cmocka_unit_test(test_unknown),      cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_syntax),       cmocka_unit_test(test_include),
        cmocka_unit_test(test_missing_file), cmocka_unit_test(test_one_number),
        cmocka_unit_test(test_set),          cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reference),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
