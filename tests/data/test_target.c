/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: prompts of test rows and of adaptation, their options, and refusals. */
#include "world.h"

#include "outerloop/data/target.h"

static int setup(void **state)
{
    static const char config[] = "{\"task_type\": \"multi-choice\", \"options\": [\"p\", \"q\"]}";
    static const char rows[] =
        "{\"task\": \"aim\", \"input\": \"e\", \"output\": \"q\", \"options\": []}\n"
        "{\"task\": \"aim\", \"input\": \"f\", \"output\": \"xyz\", \"options\": [\"xyz\", "
        "\"w\"]}\n";
    static const char shots[] =
        "{\"task\": \"aim\", \"input\": \"a\", \"output\": \"p\", \"options\": [\"p\", \"q\"]}\n"
        "{\"task\": \"aim\", \"input\": \"b\", \"output\": \"q\", \"options\": [\"p\", \"q\"]}\n"
        "{\"task\": \"aim\", \"input\": \"c\", \"output\": \"p\", \"options\": [\"p\", \"q\"]}\n";

    ol_text pool = {0};

    world_setup(state);
    world_write("config/tasks/pool.json", config, sizeof config - 1);
    for (int i = 0; i <= 10; i++) /* the last is the first again */
        assert_int_equal(ol_text_format(&pool,
                                        "{\"task\": \"pool\", \"input\": \"%d\", \"output\": "
                                        "\"%s\", \"options\": []}\n",
                                        i % 10, i % 2 ? "q" : "p"),
                         OL_OK);
    world_write("data/pool/pool_16384_100_train.jsonl", pool.data, pool.size);
    ol_text_finish(&pool);
    world_write("config/tasks/aim.json", config, sizeof config - 1);
    world_write("data/aim/aim_16_13_test.jsonl", rows, sizeof rows - 1);
    world_write("data/aim/aim_16_13_train.jsonl", shots, sizeof shots - 1);
    return 0;
}

static ol_target_spec spec_of(ol_variant variant, int shots, int adapt_rows)
{
    return (ol_target_spec){.root = world_root,
                            .task = "aim",
                            .seed = 13,
                            .variant = variant,
                            .shots = shots,
                            .max_tokens = 1024,
                            .max_tokens_per_example = 256,
                            .adapt_rows = adapt_rows};
}

static ol_target *make(ol_target_spec spec)
{
    ol_target *target;

    if (ol_target_create(&spec, world_tokenizer, &target) != OL_OK)
        fail_msg("%s", ol_status_message());
    return target;
}

/* All prompts of a batch as text, scored part after '<', each ended by '|'. */
static void check_prompts(const ol_batch *batch, const char *expected)
{
    ol_text text = {0};

    for (int b = 0; b < batch->B; b++) {
        for (int64_t j = batch->offsets[b]; j < batch->offsets[b + 1]; j++) {
            if (batch->loss_mask[j] && (j == batch->offsets[b] || !batch->loss_mask[j - 1]))
                assert_int_equal(ol_text_append(&text, "<", 1), OL_OK);
            assert_int_equal(ol_tokenizer_decode(world_tokenizer, &batch->tokens[j], 1, &text),
                             OL_OK);
        }
        assert_int_equal(ol_text_append(&text, "|", 1), OL_OK);
    }
    assert_string_equal(text.data, expected);
    ol_text_finish(&text);
}

static void check_rows(ol_target_spec spec, const char *expected)
{
    ol_target *target = make(spec);
    ol_batch batch = {0};

    for (int row = 0; row < ol_target_rows(target); row++)
        if (ol_target_row_prompts(target, row, &batch) != OL_OK)
            fail_msg("%s", ol_status_message());
    check_prompts(&batch, expected);
    ol_batch_finish(&batch);
    ol_target_destroy(target);
}

static void scored(void **state)
{
    ol_target_spec spec = spec_of(OL_DIRECT, 0, 0);

    (void)state;
    check_rows(spec_of(OL_DIRECT, 2, 0), "a\np\n\n\nb\nq\n\n\ne<\np|a\np\n\n\nb\nq\n\n\ne<\nq|"
                                         "a\np\n\n\nb\nq\n\n\nf<\nxyz|a\np\n\n\nb\nq\n\n\nf<\nw|");
    check_rows(spec_of(OL_CHANNEL, 1, 0), "p\na\n\n\np<\ne|p\na\n\n\nq<\ne|"
                                          "p\na\n\n\nxyz<\nf|p\na\n\n\nw<\nf|");
    check_rows(spec, "e<\np|e<\nq|f<\nxyz|f<\nw|");
    spec.rows = 1;
    check_rows(spec, "e<\np|e<\nq|");
    /* 6 - 2 - |\nxyz| = 0: the longest option takes the place of the output for all options. */
    spec.rows = 0;
    spec.max_tokens_per_example = 6;
    check_rows(spec, "e<\np|e<\nq|<\nxyz|<\nw|");
    spec = spec_of(OL_CHANNEL, 0, 0);
    spec.max_tokens_per_example = 6; /* 6 - 2 - |xyz| = 1 token of the input, its newline */
    check_rows(spec, "p<\ne|q<\ne|xyz<\n|w<\n|");
}

static void options(void **state)
{
    ol_target *target = make(spec_of(OL_DIRECT, 2, 0));

    (void)state;
    assert_int_equal(ol_target_rows(target), 2);
    assert_int_equal(ol_target_options(target, 0), 2); /* those of the task's description */
    assert_string_equal(ol_target_option(target, 0, 1), "q");
    assert_int_equal(ol_target_gold(target, 0), 1);
    assert_string_equal(ol_target_option(target, 1, 1), "w");
    assert_int_equal(ol_target_gold(target, 1), 0);
    assert_int_equal(ol_target_metric(target), OL_ACCURACY);
    ol_target_destroy(target);
}

static void check_adaptation(ol_target_spec spec, const char *expected)
{
    ol_target *target = make(spec);
    ol_batch batch = {0};

    if (ol_target_adaptation(target, &batch) != OL_OK)
        fail_msg("%s", ol_status_message());
    check_prompts(&batch, expected);
    ol_batch_finish(&batch);
    ol_target_destroy(target);
}

static void adaptation(void **state)
{
    (void)state;
    check_adaptation(spec_of(OL_DIRECT, 3, 3), "b\nq\n\n\nc\np\n\n\na<\np|"
                                               "a\np\n\n\nc\np\n\n\nb<\nq|"
                                               "a\np\n\n\nb\nq\n\n\nc<\np|");
    check_adaptation(spec_of(OL_CHANNEL, 1, 2), "q\nb\n\n\np<\na|p\na\n\n\nq<\nb|");
    check_adaptation(spec_of(OL_DIRECT, 0, 3), "a<\np|b<\nq|c<\np|");
}

static void context(void **state)
{
    ol_target *target = make(spec_of(OL_DIRECT, 2, 0));
    int longest = 0;

    (void)state;
    assert_int_equal(ol_target_longest(target, &longest), OL_OK);
    assert_int_equal(longest, strlen("a\np\n\n\nb\nq\n\n\nf\nxyz"));
    assert_int_equal(ol_target_check_context(target, longest), OL_OK);
    assert_int_equal(ol_target_check_context(target, longest - 1), OL_EDATA);
    world_said("target task aim has prompts of 17 tokens, but the model's context is 16");
    ol_target_destroy(target);
}

/* Demonstrations and rows to adapt on each come from the file of their number. */
static void files_of_numbers(void **state)
{
#define ROW(letter)                                                                                \
    "{\"task\": \"two\", \"input\": \"" letter                                                     \
    "\", \"output\": \"p\", \"options\": [\"p\", \"q\"]}\n"
    static const char config[] = "{\"task_type\": \"multi-choice\", \"options\": [\"p\", \"q\"]}";
    ol_target_spec spec = spec_of(OL_DIRECT, 2, 3);
    ol_batch batch = {0};
    ol_target *target;

    (void)state;
    spec.task = "two";
    world_write("config/tasks/two.json", config, sizeof config - 1);
    world_write("data/two/two_2_13_train.jsonl", ROW("b") ROW("a"), 2 * strlen(ROW("a")));
    world_write("data/two/two_4_13_train.jsonl", ROW("c") ROW("d") ROW("e") ROW("f"),
                4 * strlen(ROW("a")));
    world_write("data/two/two_4_13_test.jsonl", ROW("t"), strlen(ROW("t")));
    target = make(spec);
    assert_int_equal(ol_target_row_prompts(target, 0, &batch), OL_OK);
    check_prompts(&batch, "b\np\n\n\na\np\n\n\nt<\np|b\np\n\n\na\np\n\n\nt<\nq|");
    ol_target_destroy(target);
    ol_batch_finish(&batch);
    check_adaptation(
        spec, "d\np\n\n\ne\np\n\n\nc<\np|c\np\n\n\ne\np\n\n\nd<\np|c\np\n\n\nd\np\n\n\ne<\np|");
#undef ROW
}

static void check_refused(ol_target_spec spec, ol_status code, const char *words)
{
    ol_target *target;

    assert_int_equal(ol_target_create(&spec, world_tokenizer, &target), code);
    assert_null(target);
    world_said(words);
}

static void write_test_row(const char *row)
{
    world_task("odd");
    world_write("data/odd/odd_16_13_test.jsonl", row, strlen(row));
}

/* What a held-out task is scored on and adapts to: all rows of its training file but the one that
 * repeats another, each once, in an order of the seed. */
static void held_out(void **state)
{
    ol_target_spec spec = spec_of(OL_DIRECT, 0, 4);
    ol_batch batch[2] = {{0}};
    ol_target *target;
    char *seen[2] = {NULL, NULL};

    (void)state;
    spec.task = "pool";
    spec.held_out = true;
    for (int s = 0; s < 2; s++) {
        ol_text text = {0};

        spec.seed = s;
        target = make(spec);
        assert_int_equal(ol_target_rows(target), 6);
        assert_int_equal(ol_target_adaptation(target, &batch[s]), OL_OK);
        for (int row = 0; row < 6; row++)
            assert_int_equal(ol_target_row_prompts(target, row, &batch[s]), OL_OK);
        for (int64_t i = 0; i < batch[s].offsets[batch[s].B]; i++)
            assert_int_equal(ol_tokenizer_decode(world_tokenizer, &batch[s].tokens[i], 1, &text),
                             OL_OK);
        for (char digit[2] = "0"; digit[0] <= '9'; digit[0]++)
            assert_non_null(strstr(text.data, digit));
        seen[s] = text.data;
        ol_target_destroy(target);
        ol_batch_finish(&batch[s]);
    }
    assert_string_not_equal(seen[0], seen[1]);
    free(seen[0]);
    free(seen[1]);
    spec.rows = 2;
    target = make(spec);
    assert_int_equal(ol_target_rows(target), 2);
    ol_target_destroy(target);
    spec.adapt_rows = 10;
    check_refused(spec, OL_EDATA, "pool_16384_100_train.jsonl: has 10 distinct rows, but as a");
}

static void refusals(void **state)
{
    ol_target_spec spec = spec_of(OL_DIRECT, 4, 0);
    ol_target *target;
    ol_batch batch = {0};

    (void)state;
    check_refused(spec, OL_EDATA, "aim_16_13_train.jsonl: has 3 rows, but 4 are asked for");
    check_refused(spec_of(OL_DIRECT, 17, 0), OL_EDATA, "17 shots are asked for");
    check_refused(spec_of(OL_DIRECT, 2, 1), OL_EUSAGE, "leave-one-out");
    spec.task = "nobody";
    spec.named_in = "setting.json";
    check_refused(spec, OL_EDATA, "setting.json: names task nobody, but there is no file");
    spec = spec_of(OL_DIRECT, 2, 0);
    spec.seed = 21;
    check_refused(spec, OL_EDATA, "aim_16_21_train.jsonl");
    spec = spec_of(OL_DIRECT, 0, 0);
    spec.task = "odd";
    write_test_row("{\"task\": \"odd\", \"input\": \"i\", \"output\": \"a\", \"options\": []}\n");
    check_refused(spec, OL_EDATA, "odd_16_13_test.jsonl:1: the row has 0 options");
    write_test_row("{\"task\": \"o\", \"input\": \"i\", \"output\": \"a\", \"options\": []}\n");
    check_refused(spec, OL_EDATA, "odd_16_13_test.jsonl:1: the row is of task \"o\"");
    write_test_row("{\"task\": \"odd\", \"input\": \"\", \"output\": \"a\", \"options\": [\"a\", "
                   "\"b\"]}\n");
    spec.variant = OL_CHANNEL; /* scores the input, and there is none */
    assert_int_equal(ol_target_create(&spec, world_tokenizer, &target), OL_OK);
    assert_int_equal(ol_target_row_prompts(target, 0, &batch), OL_EDATA);
    world_said("odd_16_13_test.jsonl:1: the input is empty");
    ol_target_destroy(target);
    ol_target_destroy(NULL);
    ol_batch_finish(&batch);
}

/* Equal options share one; the demonstrations stay. */
static void nulls(void **state)
{
    ol_target *target = make(spec_of(OL_DIRECT, 1, 0));
    ol_batch batch = {0};
    int null_of[4];

    (void)state;
    assert_int_equal(ol_target_null_prompts(target, &batch, null_of), OL_OK);
    check_prompts(&batch, "a\np\n\n\nN/A<\np|a\np\n\n\nN/A<\nq|"
                          "a\np\n\n\nN/A<\nw|a\np\n\n\nN/A<\nxyz|");
    assert_int_equal(null_of[0], 0);
    assert_int_equal(null_of[1], 1);
    assert_int_equal(null_of[2], 3);
    assert_int_equal(null_of[3], 2);
    ol_target_destroy(target);
    ol_batch_clear(&batch);
    world_task("odd");
    world_rows("odd", 16, 13, "test", 5);
    ol_target_spec spec = spec_of(OL_DIRECT, 0, 0);
    int shared[10];

    spec.task = "odd";
    target = make(spec);
    assert_int_equal(ol_target_null_prompts(target, &batch, shared), OL_OK);
    check_prompts(&batch, "N/A<\nno|N/A<\nyes|");
    for (int i = 0; i < 10; i++)
        assert_int_equal(shared[i], i % 2);
    ol_target_destroy(target);
    ol_batch_finish(&batch);
}

/* Rows that cannot be scored: left out and counted, or refused; the others keep their prompts. */
static void unanswerable(void **state)
{
    static const char good[] = "{\"task\": \"odd\", \"input\": \"fine\", \"output\": \"a\", "
                               "\"options\": [\"a\", \"b\"]}\n";
    static const char lone[] = "{\"task\": \"odd\", \"input\": \"i\", \"output\": \"a\", "
                               "\"options\": [\"a\"]}\n";
    static const char stray[] = "{\"task\": \"odd\", \"input\": \"i\", \"output\": \"c\", "
                                "\"options\": [\"a\", \"b\"]}\n";
    ol_target_spec spec = spec_of(OL_DIRECT, 0, 0);
    const char *first;
    char text[1024];
    ol_target *target;

    (void)state;
    spec.task = "odd";
    snprintf(text, sizeof text, "%s%s%s%s", lone, good, stray, good);
    write_test_row(text);
    assert_int_equal(ol_target_create(&spec, world_tokenizer, &target), OL_OK);
    assert_int_equal(ol_target_rows(target), 2);
    assert_int_equal(ol_target_skipped(target, &first), 2);
    assert_non_null(strstr(first, "odd_16_13_test.jsonl:1: the row has 1 option,"));
    assert_string_equal(ol_target_option(target, 1, ol_target_gold(target, 1)), "a");
    ol_target_destroy(target);
    spec.strict = true;
    check_refused(spec, OL_EDATA, "odd_16_13_test.jsonl:1: the row has 1 option,");
    snprintf(text, sizeof text, "%s%s", good, stray);
    write_test_row(text);
    check_refused(spec, OL_EDATA, "odd_16_13_test.jsonl:2: the output \"c\" is not one of");
    spec.strict = false;
    snprintf(text, sizeof text, "%s%s", lone, stray);
    write_test_row(text);
    check_refused(spec, OL_EDATA, "none of the 2 rows of the file can be scored");
}

/* One byte is one token: "fine" + "\na" makes 6 and needs 8, as 2 are kept free. */
static void cuts(void **state)
{
    static const char row[] = "{\"task\": \"odd\", \"input\": \"fine\", \"output\": \"a\", "
                              "\"options\": [\"a\", \"bc\"]}\n";
    ol_target_spec spec = spec_of(OL_DIRECT, 0, 0);
    ol_target *target;
    ol_batch batch = {0};
    const ol_cut *cut;

    (void)state;
    spec.task = "odd";
    write_test_row(row);
    spec.max_tokens_per_example = 8; /* the longest option takes 3 of 6: one of "fine" goes */
    spec.max_tokens = 5;             /* "fin\nbc" loses its first token, "fin\na" none */
    assert_int_equal(ol_target_create(&spec, world_tokenizer, &target), OL_OK);
    assert_int_equal(ol_target_row_prompts(target, 0, &batch), OL_OK);
    cut = ol_target_cut(target);
    assert_int_equal(cut->rows, 1);
    assert_int_equal(cut->rows_cut, 1);
    assert_int_equal(cut->tokens, 7);
    assert_int_equal(cut->tokens_cut, 1);
    assert_int_equal(cut->need_example, 9);
    assert_int_equal(cut->prompts, 2);
    assert_int_equal(cut->prompts_cut, 1);
    assert_int_equal(cut->prompt_tokens, 11);
    assert_int_equal(cut->prompt_tokens_cut, 1);
    assert_int_equal(cut->need_prompt, 6);
    ol_target_destroy(target);
    ol_batch_finish(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scored),     cmocka_unit_test(options),
        cmocka_unit_test(adaptation), cmocka_unit_test(files_of_numbers),
        cmocka_unit_test(context),    cmocka_unit_test(held_out),
        cmocka_unit_test(refusals),   cmocka_unit_test(unanswerable),
        cmocka_unit_test(nulls),      cmocka_unit_test(cuts),
    };

    return cmocka_run_group_tests_name("target", tests, setup, world_teardown);
}
