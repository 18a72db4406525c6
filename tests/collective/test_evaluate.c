/* SPDX-License-Identifier: BSD-3-Clause */
/* An evaluation over ranks has the bits of one done item by item; run on 1, 2 and 3 ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/collective/evaluate.h"
#include "outerloop/meta/outer.h"
#include "outerloop/record/metric_columns.h"
#include "outerloop/record/metrics.h"

enum { TASKS = 3, SEEDS = 2, ITEMS = TASKS * SEEDS, ROWS = 4, VOCAB = 50, CONTEXT = 24 };

static const char *const tasks[] = {"one", "two", "three"};
static const bool unseen[] = {false, true, false};
static const int seeds[] = {13, 100};
static const double costs[ITEMS] = {3, 9, 1, 9, 5, 2};
static const int counts[] = {1, 2};

static ol_comm *comm;
static ol_model *model;
static ol_arena memory;
static ol_state state;

/* The item at hand, as a source owns it. */
typedef struct target_store {
    ol_batch prompts, support;
    int options_per_row[ROWS];
    const char *options[2 * ROWS];
    const char *gold[ROWS];
    int broken; /* item whose source fails, -1 for none */
    int calls;
} target_store;

static void add_prompt(ol_batch *batch, ol_rng *rng)
{
    const int n = 5 + (int)ol_rng_below(rng, CONTEXT - 5);
    int32_t tokens[CONTEXT];
    uint8_t mask[CONTEXT] = {0};

    for (int j = 0; j < n; j++)
        tokens[j] = (int32_t)ol_rng_below(rng, VOCAB);
    mask[n - 1] = mask[n - 2] = 1;
    assert_int_equal(ol_batch_append(batch, n, tokens, mask), OL_OK);
}

static ol_status source(void *payload, int task, int seed, ol_eval_target *target)
{
    target_store *s = payload;
    ol_rng rng = ol_rng_stream(7, OL_RNG_TEST, (uint32_t)task, (uint32_t)seed);

    s->calls++;
    OL_CHECK(task * SEEDS + seed != s->broken, OL_EDATA, "%s.jsonl:3: is not JSON", tasks[task]);
    ol_batch_clear(&s->prompts);
    ol_batch_clear(&s->support);
    for (int i = 0; i < 2 * ROWS; i++)
        add_prompt(&s->prompts, &rng);
    for (int i = 0; i < 3; i++)
        add_prompt(&s->support, &rng);
    for (int r = 0; r < ROWS; r++) {
        s->options_per_row[r] = 2;
        s->options[2 * r] = "yes";
        s->options[2 * r + 1] = "no";
        s->gold[r] = r % 3 ? "yes" : "no";
    }
    *target = (ol_eval_target){.name = tasks[task],
                               .metric = task == 1 ? OL_MACRO_F1 : OL_ACCURACY,
                               .rows = ROWS,
                               .options_per_row = s->options_per_row,
                               .options = s->options,
                               .gold = s->gold,
                               .prompts = &s->prompts,
                               .support = &s->support};
    return OL_OK;
}

static ol_evaluation_spec spec_of(target_store *store)
{
    return (ol_evaluation_spec){.tasks = tasks,
                                .n_tasks = TASKS,
                                .unseen = unseen,
                                .seeds = seeds,
                                .n_seeds = SEEDS,
                                .costs = costs,
                                .source = source,
                                .payload = store,
                                .scoring = {.learner = {.learner = ol_learner_find("metaicl"),
                                                        .inner = OL_ADAMW,
                                                        .adam = OL_ADAM_SPEC_INIT},
                                            .in_context = true,
                                            .counts = counts,
                                            .n_counts = 2}};
}

static void finish_store(target_store *s)
{
    ol_batch_finish(&s->prompts);
    ol_batch_finish(&s->support);
}

/* Item i of the tasks that are evaluated on this rank alone, compared with what came from any rank. */
static void assert_item(const ol_evaluation_spec *spec, int i, const ol_eval_result *got)
{
    ol_eval_target target;
    ol_eval_result expected;
    ol_arena ws;

    assert_int_equal(spec->source(spec->payload, spec->first + i / SEEDS, i % SEEDS, &target),
                     OL_OK);
    assert_int_equal(
        ol_arena_init(&ws, "test", ol_eval_target_bytes(model, &spec->scoring, &target)), OL_OK);
    assert_int_equal(ol_eval_target_score(model, &spec->scoring, &target, ol_state_borrow(&state),
                                          &ws, &expected),
                     OL_OK);
    assert_int_equal(got->item, i);
    assert_int_equal(got->metric, expected.metric);
    assert_int_equal(got->n, 3);
    for (int k = 0; k < got->n; k++) {
        assert_int_equal(got->scorings[k].steps, k);
        assert_memory_equal(got->scorings[k].losses, expected.scorings[k].losses,
                            sizeof(double) * 2 * ROWS);
        assert_memory_equal(got->scorings[k].predicted, expected.scorings[k].predicted,
                            sizeof(int) * ROWS);
        assert_true(got->scorings[k].score == expected.scorings[k].score);
    }
    ol_eval_result_finish(&expected);
    ol_arena_finish(&ws);
}

/* Evaluate the tasks from `first` on. */
static void evaluate_from(int first)
{
    const int items = (TASKS - first) * SEEDS;
    target_store store = {.broken = -1};
    ol_evaluation_spec spec = spec_of(&store);
    ol_evaluation evaluation;
    ol_comm_stats calls;

    spec.first = first;
    spec.n_tasks = TASKS - first;
    assert_int_equal(ol_evaluate(comm, model, ol_state_borrow(&state), &spec, &evaluation), OL_OK);
    assert_int_equal(ol_comm_reduce(comm, store.calls, &calls), OL_OK);
    assert_true(calls.sum == items);
    assert_true(calls.max.value < items || ol_comm_size(comm) == 1);
    assert_int_equal(evaluation.n, items);
    if (ol_comm_rank(comm) == 0)
        for (int i = 0; i < items; i++)
            assert_item(&spec, i, &evaluation.results[i]);
    else
        assert_null(evaluation.results);
    ol_evaluation_finish(&evaluation);
    finish_store(&store);
}

static void results_have_the_bits_of_one_item_at_a_time(void **unused)
{
    (void)unused;
    evaluate_from(0);
    evaluate_from(1);
}

/* What a sink saw. */
typedef struct seen {
    int scores, predictions;
    char last[64];
} seen;

static ol_status look(void *payload, const ol_table_spec *table, ol_cell *cells)
{
    seen *s = payload;

    if (table == &ol_eval_score_table) {
        assert_int_equal(cells[4].i, seeds[s->scores / 3 % SEEDS]);
        assert_string_equal(cells[3].text, tasks[s->scores / 3 / SEEDS]);
        assert_string_equal(cells[1].text, s->scores % 3 ? "adapt" : "eval");
        assert_int_equal(cells[5].i, s->scores % 3);
        assert_string_equal(cells[6].text, cells[3].text[1] == 'w' ? "macro_f1" : "accuracy");
        assert_int_equal(cells[8].i, ROWS);
        assert_int_equal(cells[9].i, cells[3].text[1] == 'w');
        s->scores++;
        return OL_OK;
    }
    assert_ptr_equal(table, &ol_eval_prediction_table);
    assert_int_equal(cells[6].i, s->predictions % ROWS);
    assert_int_equal(cells[7].list.n, 2);
    assert_int_equal(cells[8].i, cells[7].list.values[1] < cells[7].list.values[0]);
    assert_string_equal(cells[10].text, cells[8].i ? "no" : "yes");
    assert_string_equal(cells[11].text, cells[6].i % 3 ? "yes" : "no");
    s->predictions++;
    return OL_OK;
}

static void rows_come_in_the_order_of_items(void **unused)
{
    target_store store = {.broken = -1};
    ol_evaluation_spec spec = spec_of(&store);
    ol_evaluation evaluation;
    seen s = {.scores = SEEDS * 3}; /* as if the first task were scored already */

    (void)unused;
    spec.first = 1;
    spec.n_tasks = TASKS - 1;
    assert_int_equal(ol_evaluate(comm, model, ol_state_borrow(&state), &spec, &evaluation), OL_OK);
    if (ol_comm_rank(comm) == 0) {
        assert_int_equal(ol_evaluation_store(&evaluation, &spec, "maml", look, &s), OL_OK);
        assert_int_equal(s.scores, ITEMS * 3);
        assert_int_equal(s.predictions, (TASKS - 1) * SEEDS * 3 * ROWS);
    }
    ol_evaluation_finish(&evaluation);
    finish_store(&store);
}

static void a_bad_item_ends_it_everywhere(void **unused)
{
    target_store store = {.broken = 2};
    const ol_evaluation_spec spec = spec_of(&store);
    ol_evaluation evaluation;

    (void)unused;
    assert_int_equal(ol_evaluate(comm, model, ol_state_borrow(&state), &spec, &evaluation),
                     OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "two.jsonl:3"));
    assert_null(evaluation.results);
    finish_store(&store);
}

static int looks;

/* True on the last rank alone, when it has looked often enough to be within its first item. */
static bool last_rank_stops(void)
{
    return ol_comm_rank(comm) == ol_comm_size(comm) - 1 && ++looks > 2;
}

static void one_rank_asked_to_stop_ends_it_everywhere(void **unused)
{
    target_store store = {.broken = -1};
    ol_evaluation_spec spec = spec_of(&store);
    ol_evaluation evaluation;

    (void)unused;
    spec.scoring.learner.stop = last_rank_stops;
    assert_int_equal(ol_evaluate(comm, model, ol_state_borrow(&state), &spec, &evaluation),
                     OL_ESTOPPED);
    if (ol_comm_rank(comm) == ol_comm_size(comm) - 1)
        assert_int_equal(store.calls, 1); /* not only before the next item */
    finish_store(&store);
}

static void nothing_to_do_is_a_mistake(void **unused)
{
    target_store store = {.broken = -1};
    ol_evaluation_spec spec = spec_of(&store);
    ol_evaluation evaluation;

    (void)unused;
    spec.n_seeds = 0;
    assert_int_equal(ol_evaluate(comm, model, ol_state_borrow(&state), &spec, &evaluation),
                     OL_EUSAGE);
}

static void set_up(void)
{
    const ol_model_spec shape = {.layers = 2,
                                 .heads = 2,
                                 .width = 16,
                                 .vocab = VOCAB,
                                 .context = CONTEXT,
                                 .norm_eps = 1e-5,
                                 .tied = true};
    ol_arena dry = ol_arena_dry("state");

    if (ol_comm_init(&comm) != OL_OK || ol_model_create(&shape, NULL, &model) != OL_OK)
        exit(1);
    ol_state_layout(&dry, model->P);
    if (ol_arena_init(&memory, "state", dry.peak) != OL_OK)
        exit(1);
    state = ol_state_layout(&memory, model->P);
    ol_model_random(model, 11, state.theta, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_have_the_bits_of_one_item_at_a_time),
        cmocka_unit_test(rows_come_in_the_order_of_items),
        cmocka_unit_test(a_bad_item_ends_it_everywhere),
        cmocka_unit_test(one_rank_asked_to_stop_ends_it_everywhere),
        cmocka_unit_test(nothing_to_do_is_a_mistake),
    };
    int failed;

    set_up();
    if (ol_comm_rank(comm) > 0 && !freopen("/dev/null", "w", stdout))
        return 1; /* rank 0 speaks for all; a failure elsewhere shows in the exit code */
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ol_model_destroy(model);
    ol_arena_finish(&memory);
    ol_comm_destroy(comm);
    return failed;
}
