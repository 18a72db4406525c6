/* SPDX-License-Identifier: BSD-3-Clause */
/* Prompts of a vocabulary of bytes, where a token is a letter and prompts can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "forms.h"
#include "outerloop/base/file.h"
#include "outerloop/text/bpe_train.h"

static ol_tokenizer *tokenizer;

static int load(void **state)
{
    char folder[] = "outerloop-test-XXXXXX", path[PATH_MAX];

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(ol_tokenizer_train("", 0, 256, folder), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    unlink(path);
    return rmdir(folder);
}

static int unload(void **state)
{
    (void)state;
    ol_tokenizer_destroy(tokenizer);
    return 0;
}

typedef struct example {
    const char *input, *output;
    bool labelled;
} example;

/* The prompt of examples[0..n-1], the last of them the target, as text; its scored part in <>. */
static ol_status write_prompt(ol_prompt_spec spec, const example *examples, int n, ol_text *out)
{
    ol_tokens pool = {0}, scratch = {0};
    ol_example made[8];
    ol_example_view views[8] = {0};
    ol_batch batch = {0};
    ol_status status;

    for (int i = 0; i < n; i++)
        assert_int_equal(ol_prompt_tokenize(tokenizer, spec.variant, examples[i].input,
                                            examples[i].output, examples[i].labelled, &pool,
                                            &made[i]),
                         OL_OK);
    for (int i = 0; i < n; i++)
        assert_true(ol_prompt_view(&spec, pool.ids, &made[i], i == 0, 0, &views[i]));
    status = ol_prompt_append(&spec, views, n - 1, &views[n - 1], &scratch, &batch);
    for (int64_t j = 0; status == OL_OK && j < ol_batch_tokens(&batch); j++) {
        if (batch.loss_mask[j] && (j == 0 || !batch.loss_mask[j - 1]))
            assert_int_equal(ol_text_append(out, "<", 1), OL_OK);
        assert_int_equal(ol_tokenizer_decode(tokenizer, &batch.tokens[j], 1, out), OL_OK);
    }
    if (status == OL_OK)
        assert_int_equal(ol_text_append(out, ">", 1), OL_OK);
    ol_tokens_finish(&pool);
    ol_tokens_finish(&scratch);
    ol_batch_finish(&batch);
    return status;
}

static void check(ol_prompt_spec spec, const example *examples, int n, const char *expected)
{
    ol_text text = {0};

    assert_int_equal(write_prompt(spec, examples, n, &text), OL_OK);
    assert_string_equal(text.data, expected);
    ol_text_finish(&text);
}

static const ol_prompt_spec direct = {OL_DIRECT, 2, 1024, 256},
                            channel = {OL_CHANNEL, 2, 1024, 256};

static void newlines(void **state)
{
    const example three[] = {{"one", "A", true}, {"two", "B", true}, {"six", "C", true}};
    const example no_input[] = {{"", "A", true}, {"", "B", true}, {"", "C", true}};
    const example free_form[] = {{"one", "A", false}, {"two", "B", false}};

    (void)state;
    check(direct, three, 3, "one\nA\n\n\ntwo\nB\n\n\nsix<\nC>");
    check(channel, three, 3, "A\none\n\n\nB\ntwo\n\n\nC<\nsix>");
    check(direct, three, 1, "one<\nA>");
    check(channel, three, 1, "A<\none>");
    check(direct, no_input, 3, "\nA\n\n\nB\n\n<\nC>");
    check(direct, free_form, 2, "oneA\n\n\ntwo<B>");
    check(channel, free_form, 2, "Aone\n\n\nB<two>");
}

static void nothing_scored(void **state)
{
    ol_text text = {0};

    (void)state;
    assert_int_equal(write_prompt(channel, &(example){"", "A", true}, 1, &text), OL_EDATA);
    assert_int_equal(write_prompt(direct, &(example){"one", "", false}, 1, &text), OL_EDATA);
    ol_text_finish(&text);
}

static void caps(void **state)
{
    const example long_input[] = {{"abcdefghijklmnop", "YES", true}};
    const example exact[] = {{"abcd", "YES", true}};
    const example two[] = {{"abcdefgh", "Y", true}, {"ijklmnop", "N", true}};

    (void)state;
    /* 10 - 2 - |\nYES| = 4 letters of the input stay. */
    check((ol_prompt_spec){OL_DIRECT, 0, 1024, 10}, long_input, 1, "abcd<\nYES>");
    check((ol_prompt_spec){OL_DIRECT, 0, 1024, 10}, exact, 1, "abcd<\nYES>");
    /* Channel cuts the scored input: 10 - 2 - |YES| = 5, its newline among them. */
    check((ol_prompt_spec){OL_CHANNEL, 0, 1024, 10}, long_input, 1, "YES<\nabcd>");
    /* The prompt's cap takes from the left: "abcdefgh\nY\n\n\nijklmnop" + "\nN" to 12. */
    check((ol_prompt_spec){OL_DIRECT, 1, 12, 256}, two, 2, "\n\nijklmnop<\nN>");
    check((ol_prompt_spec){OL_DIRECT, 1, 2, 256}, two, 2, "<\nN>"); /* nothing precedes it */
    assert_int_equal(ol_prompt_limit(&(ol_prompt_spec){OL_DIRECT, 2, 1024, 256}), 512);
    assert_int_equal(ol_prompt_limit(&(ol_prompt_spec){OL_DIRECT, 16, 1024, 256}), 1024);
    assert_int_equal(ol_prompt_limit(&(ol_prompt_spec){OL_DIRECT, 0, 1024, 256}), 256);
}

static void misuse(void **state)
{
    const example long_scored[] = {{"abcdefghijklmnop", "YES", true}};
    ol_text text = {0};

    (void)state;
    assert_int_equal(write_prompt((ol_prompt_spec){OL_CHANNEL, 1, 8, 256}, long_scored, 1, &text),
                     OL_EDATA);
    assert_int_equal(ol_prompt_spec_check(&(ol_prompt_spec){OL_DIRECT, -1, 8, 8}), OL_EUSAGE);
    assert_int_equal(ol_prompt_spec_check(&(ol_prompt_spec){OL_DIRECT, 0, 1, 8}), OL_EUSAGE);
    assert_int_equal(ol_prompt_spec_check(&(ol_prompt_spec){OL_DIRECT, 0, 8, 2}), OL_EUSAGE);
    ol_text_finish(&text);
}

/* "\n\n\n X" splits otherwise than " X": both forms must be what tokenizing each text gives. */
static void leading_space(void **state)
{
    const example two[] = {{" one", "A", true}, {"\ntwo", "B", true}};

    (void)state;
    check(direct, two, 2, " one\nA\n\n\n\ntwo<\nB>");
}

/* Whatever a lead begins with, both forms are the ids of the text with its newlines, encoded whole;
 * with merges across newlines and spaces, as a vocabulary of prompts has them. */
static void forms(void **state)
{
    static const char *const leads[] = {
        "one", "\"x\"", " one",  "\none", "\n\n\n", "",  "\xC2\xA0z", "\xC3\xA9t\xC3\xA9",
        "'s",  "7",     "\xFFz", "~",     "\x7Fq",  "\t"};
    static const char text[] =
        "\n\none one\n\n\none\n\n\n's 's\n\n 77 77\n\n\n\n77 \n \"x \n \"x\n\n ";
    char folder[] = "outerloop-test-XXXXXX", path[PATH_MAX];
    ol_tokenizer *trained;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(ol_tokenizer_train(text, sizeof text - 1, 262, folder), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &trained), OL_OK);
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        check_forms(trained, leads[i]);
    ol_tokenizer_destroy(trained);
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newlines), cmocka_unit_test(nothing_scored), cmocka_unit_test(caps),
        cmocka_unit_test(misuse),   cmocka_unit_test(leading_space),  cmocka_unit_test(forms),
    };

    return cmocka_run_group_tests_name("prompt", tests, load, unload);
}
