/* SPDX-License-Identifier: BSD-3-Clause */
/* What --set takes, the key that a misspelt one meant, and variants. */
#include "shapes.h"

/* Words need no quotes, alone or in a list; what is a value already stays one. */
static void test_set_of_words(void **state)
{
    static const struct {
        const char *set;
        unsigned parts;
        const char *a, *b; /* tags */
    } cases[] = {
        {"form.parts=tail", 4, NULL, NULL},
        {"form.parts=[head,tail]", 5, NULL, NULL},
        {"form.parts=[ head , \"tail\" ]", 5, NULL, NULL},
        {"form.parts=[\"head\",\"tail\"]", 5, NULL, NULL},
        {"form.parts=(\"head\", \"tail\")", 5, NULL, NULL},
        {"form.parts=[]", 0, NULL, NULL},
        {"tags=lora", 1, "lora", NULL},
        {"tags=[lora]", 1, "lora", NULL},
        {"tags=[h.3.*,ln_f*]", 1, "h.3.*", "ln_f*"},
        {"tags=[h.3.*, \"a, b\"]", 1, "h.3.*", "a, b"},
        {"tags=[a b,\"q\\\",[r]\"]", 1, "a b", "q\",[r]"},
        {"tags=[\"1\",\"true\"]", 1, "1", "true"},
        {"tags=[]", 1, NULL, NULL},
        {"tags=", 1, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct values v;
        ol_conf *conf;

        if (read_set(cases[i].set, &v, &conf) != OL_OK)
            fail_msg("%s", ol_status_message());
        assert_int_equal(v.parts, cases[i].parts);
        assert_strings(&v.tags, cases[i].a, cases[i].b);
        finish(&v, conf);
    }
}

static void test_set_of_words_refused(void **state)
{
    (void)state;
    set_refused("form.parts=[head,tial]");
    SAID("form.parts cannot be \"tial\"", "did you mean \"tail\"?");
    set_refused("form.parts=[head,3]");
    SAID("form.parts cannot be 3");
    set_refused("form.list=[1,two]");
    SAID("form.list cannot be \"two\"", "a list of whole numbers");
    set_refused("tags=[a,5]");
    SAID("tags cannot be 5");
    set_refused("tags=5");
    set_refused("tags=[a,,b]");
    SAID("a list is written --set 'tags=[\"a\", \"b\"]'");
    set_refused("tags=[h[0],b]");
    set_refused("tags=[a,\"b]");
    set_refused("tags=[a");
    SAID("a list is written --set 'tags=[");
    set_refused("tags=[");
    set_refused("tags=[a,b] c");
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
    SAID("outerloop reference");
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
    assert_true(ol_conf_own(variant, ol_conf_find(table, "form.deep.depth")));
    assert_false(ol_conf_own(variant, ol_conf_find(table, "form.shape")));
    assert_false(ol_conf_own(conf, ol_conf_find(table, "form.shape")));
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

/* Cells are all combinations, the last axis fastest; a variant's own grid replaces the reading's; what
 * is written reads back as the same grid. */
static void test_grid(void **state)
{
    static const char text[] =
        "plan = { grid = ( ( { form = { shape = \"square\"; names = [\"x\", \"y\"]; }; }, { } ),\n"
        "  ( { form = { deep = { depth = 1; }; }; }, { form = { deep = { depth = 2; }; }; } ) ); "
        "};\n"
        "form = { deep = { depth = 9; }; };\n"
        "kinds = ( { name = \"a\"; plan = { grid = ( ( { form = { list = [3]; }; } ) ); }; } );";
    const size_t key = ol_conf_find(table, "plan.grid"),
                 depth = ol_conf_find(table, "form.deep.depth");
    struct values v, one, again;
    ol_conf *conf, *variant, *cell;
    ol_text written = {0};

    (void)state;
    assert_int_equal(read_text(text, &v, &conf), OL_OK);
    assert_int_equal(ol_conf_cells(v.grid), 4);
    assert_int_equal(ol_conf_cells("()"), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ol_conf_cell(conf, &v, key, v.grid, i, &one, &cell), OL_OK);
        assert_int_equal(one.depth, 1 + (int)(i % 2));
        assert_int_equal(one.shape, i < 2);
        assert_strings(&one.names, i < 2 ? "x" : "all", i < 2 ? "y" : NULL);
        assert_true(ol_conf_own(cell, depth));
        assert_false(ol_conf_own(cell, ol_conf_find(table, "size")));
        assert_string_equal(ol_conf_origin(cell, depth), "a.cfg:1");
        finish(&one, cell);
    }
    assert_int_equal(v.depth, 9);
    assert_int_equal(ol_conf_variant(conf, 0, &one, &variant), OL_OK);
    assert_int_equal(ol_conf_cells(one.grid), 1);
    finish(&one, variant);
    assert_int_equal(ol_conf_write(table, &v, conf, &written), OL_OK);
    assert_int_equal(read_text(written.data, &again, &variant), OL_OK);
    assert_string_equal(again.grid, v.grid);
    finish(&again, variant);
    finish(&v, conf);
    ol_text_finish(&written);
}

static void test_bad_grids(void **state)
{
    (void)state;
    refused("plan = { grid = 3; };");
    refused("plan = { grid = ( { form = { shape = \"round\"; }; } ); };");
    SAID("a.cfg:1: plan.grid is a list of axes");
    refused("plan = { grid = (\n( { size = 3; } ) ); };");
    SAID("a.cfg:2: size of a grid: only form");
    refused("plan = { grid = (\n( { form = { shap = 3; }; } ) ); };");
    SAID("a.cfg:2", "unknown key form.shap", "did you mean form.shape?");
    refused("plan = { grid = (\n( { form = { list = 100; }; } ) ); };");
    SAID("a.cfg:2", "0 to 99");
    refused("plan = { grid = ( ( ) ); };");
    SAID("one or more groups");
    refused("kinds = ( { name = \"a\"; plan = { many = 3; }; } );");
    SAID("plan.many is the same for all kinds");
    set_refused("plan.grid=((3))");
}

/* A comment at the end of a --set is where its value comes from. */
static void test_set_comment(void **state)
{
    struct values v;
    ol_conf *conf;

    (void)state;
    assert_int_equal(read_set("form.names=[] # tuned", &v, &conf), OL_OK);
    assert_strings(&v.names, NULL, NULL);
    assert_string_equal(ol_conf_origin(conf, ol_conf_find(table, "form.names")), "tuned");
    finish(&v, conf);
    assert_int_equal(read_set("title=\"a # b\"", &v, &conf), OL_OK);
    assert_string_equal(v.title, "a # b");
    assert_string_equal(ol_conf_origin(conf, ol_conf_find(table, "title")),
                        "--set title=\"a # b\"");
    finish(&v, conf);
}

/* A variant's strings are its own, or copies of the reading's. */
static void test_variant_strings(void **state)
{
    static const char text[] = "form = { names = [\"x\", \"y\"]; }; tags = \"t\";\n"
                               "kinds = ( { name = \"a\"; form = { names = \"z\"; }; },\n"
                               "          { name = \"b\"; form = { names = []; }; },\n"
                               "          { name = \"c\"; } );";
    static const char *const names[][2] = {{"z", NULL}, {NULL, NULL}, {"x", "y"}, {"s", "u"}};
    const char *const set = "kinds.c.form.names=[s,u]";
    struct values v, one;
    ol_conf *conf, *variant;

    (void)state;
    for (int with = 0; with < 2; with++) {
        assert_int_equal(
            ol_conf_read_text(table, "a.cfg", text, strlen(text), &set, (size_t)with, &v, &conf),
            OL_OK);
        for (size_t i = 0; i < 3; i++) {
            const char *const *expected = names[i == 2 && with ? 3 : i];

            assert_int_equal(ol_conf_variant(conf, i, &one, &variant), OL_OK);
            assert_strings(&one.names, expected[0], expected[1]);
            assert_strings(&one.tags, "t", NULL);
            finish(&one, variant);
        }
        assert_strings(&v.names, "x", "y");
        finish(&v, conf);
    }
    refused("kinds = (\n{ name = \"a\"; form = { names = 1; }; } );");
    SAID("a.cfg:2: form.names cannot be 1");
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
    assert_true(ol_conf_own(variant, ol_conf_find(table, "form.deep.depth")));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_of_words),   cmocka_unit_test(test_set_of_words_refused),
        cmocka_unit_test(test_nearest),        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_grid),           cmocka_unit_test(test_bad_grids),
        cmocka_unit_test(test_set_comment),    cmocka_unit_test(test_variant_strings),
        cmocka_unit_test(test_set_of_variant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
