/* SPDX-License-Identifier: BSD-3-Clause */
/* Scoring and adapting on a tiny random model and random prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/eval/target_score.h"
#include "outerloop/meta/outer.h"

enum { ROWS = 7, SUPPORT = 4, VOCAB = 60, CONTEXT = 40, MOST = 3 };

typedef struct world {
    ol_model *model;
    ol_arena memory;
    ol_state state;
    ol_batch prompts, support;
    int options_per_row[ROWS];
    const char *options[ROWS * MOST];
    const char *gold[ROWS];
    ol_eval_target target;
} world;

static void add_prompt(ol_batch *batch, ol_rng *rng)
{
    const int n = 6 + (int)ol_rng_below(rng, CONTEXT - 6);
    const int scored = 1 + (int)ol_rng_below(rng, 4);
    int32_t tokens[CONTEXT];
    uint8_t mask[CONTEXT];

    for (int j = 0; j < n; j++) {
        tokens[j] = (int32_t)ol_rng_below(rng, VOCAB);
        mask[j] = j >= n - scored;
    }
    assert_int_equal(ol_batch_append(batch, n, tokens, mask), OL_OK);
}

static int set_up(void **out)
{
    static const char *const words[MOST] = {"yes", "no", "maybe"};
    const ol_model_spec spec = {.layers = 2,
                                .heads = 2,
                                .width = 16,
                                .vocab = VOCAB,
                                .context = CONTEXT,
                                .norm_eps = 1e-5,
                                .tied = true};
    world *w = calloc(1, sizeof *w);
    ol_arena dry = ol_arena_dry("state");
    ol_rng rng = ol_rng_stream(3, OL_RNG_TEST, 0, 0);

    assert_non_null(w);
    assert_int_equal(ol_model_create(&spec, NULL, &w->model), OL_OK);
    ol_state_layout(&dry, w->model->P);
    assert_int_equal(ol_arena_init(&w->memory, "state", dry.peak), OL_OK);
    w->state = ol_state_layout(&w->memory, w->model->P);
    ol_model_random(w->model, 5, w->state.theta, NULL);
    for (size_t i = 0; i < w->model->P; i++)
        w->state.v[i] = 1e-4f;
    w->state.t = 100;
    for (int r = 0; r < ROWS; r++) {
        w->options_per_row[r] = 2 + r % 2;
        w->gold[r] = words[r % 2];
        for (int i = 0; i < w->options_per_row[r]; i++) {
            w->options[w->prompts.B] = words[i];
            add_prompt(&w->prompts, &rng);
        }
    }
    for (int i = 0; i < SUPPORT; i++)
        add_prompt(&w->support, &rng);
    w->target = (ol_eval_target){.name = "random task",
                                 .metric = OL_ACCURACY,
                                 .rows = ROWS,
                                 .options_per_row = w->options_per_row,
                                 .options = w->options,
                                 .gold = w->gold,
                                 .prompts = &w->prompts,
                                 .support = &w->support};
    *out = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;

    ol_batch_finish(&w->prompts);
    ol_batch_finish(&w->support);
    ol_arena_finish(&w->memory);
    ol_model_destroy(w->model);
    free(w);
    return 0;
}

static ol_eval_spec spec_of(const int *counts, int n_counts, double lr)
{
    return (ol_eval_spec){.learner = {.learner = ol_learner_find("metaicl"),
                                      .inner = OL_ADAMW,
                                      .adam = {.lr = lr, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8},
                                      .moments = OL_MOMENTS_CARRY},
                          .in_context = true,
                          .counts = counts,
                          .n_counts = n_counts};
}

/* Score with exactly the memory that was promised. */
static ol_status run(const world *w, const ol_eval_target *target, const ol_eval_spec *spec,
                     ol_eval_result *result)
{
    const size_t bytes = ol_eval_target_bytes(w->model, spec, target);
    ol_arena ws;
    ol_status status;

    assert_int_equal(ol_arena_init(&ws, "test", bytes), OL_OK);
    status = ol_eval_target_score(w->model, spec, target, ol_state_borrow(&w->state), &ws, result);
    assert_true(ws.used == 0);
    ol_arena_finish(&ws);
    return status;
}

static void assert_same_bits(const ol_eval_result *a, int i, const ol_eval_result *b, int k)
{
    assert_memory_equal(a->scorings[i].losses, b->scorings[k].losses,
                        (size_t)a->prompts * sizeof(double));
    assert_memory_equal(a->scorings[i].predicted, b->scorings[k].predicted,
                        (size_t)a->rows * sizeof(int));
    assert_true(a->scorings[i].score == b->scorings[k].score);
}

/* Row r alone, as a target of its own. */
static void assert_row_alone(const world *w, const ol_eval_result *whole, int r)
{
    const ol_eval_spec spec = spec_of(NULL, 0, 0.0);
    const int first = whole->offsets[r], n = w->options_per_row[r];
    ol_eval_target one = w->target;
    ol_batch prompts = {0};
    ol_eval_result result;

    for (int b = first; b < first + n; b++) {
        const int64_t at = w->prompts.offsets[b];
        assert_int_equal(ol_batch_append(&prompts, w->prompts.offsets[b + 1] - at,
                                         w->prompts.tokens + at, w->prompts.loss_mask + at),
                         OL_OK);
    }
    one.rows = 1;
    one.options_per_row += r;
    one.options += first;
    one.gold += r;
    one.prompts = &prompts;
    assert_int_equal(run(w, &one, &spec, &result), OL_OK);
    /* float32 sums of another length of batch: a few ulp of a loss of about ln 60 */
    for (int i = 0; i < n; i++)
        assert_true(fabs(result.scorings[0].losses[i] - whole->scorings[0].losses[first + i]) <
                    1e-5);
    assert_int_equal(result.scorings[0].predicted[0], whole->scorings[0].predicted[r]);
    assert_int_equal(result.gold[0], whole->gold[r]);
    ol_eval_result_finish(&result);
    ol_batch_finish(&prompts);
}

static void rows_score_the_same_together_and_alone(void **state)
{
    const world *w = *state;
    const ol_eval_spec spec = spec_of(NULL, 0, 0.0);
    ol_eval_result result;
    int correct = 0;

    assert_int_equal(run(w, &w->target, &spec, &result), OL_OK);
    assert_int_equal(result.n, 1);
    assert_int_equal(result.prompts, w->prompts.B);
    for (int r = 0; r < ROWS; r++) {
        assert_row_alone(w, &result, r);
        assert_int_equal(result.gold[r], r % 2);
        correct += result.scorings[0].predicted[r] == r % 2;
    }
    assert_true(fabs(result.scorings[0].score - (double)correct / ROWS) < 1e-15);
    assert_true(isnan(result.scorings[0].support));
    ol_eval_result_finish(&result);
}

/* Losses in context less those of the null prompts, as these have them alone. */
static void pmi_takes_the_null_losses_away(void **state)
{
    const world *w = *state;
    const int counts[] = {1}, three = MOST;
    ol_eval_spec spec = spec_of(counts, 1, 1e-2), alone = spec_of(NULL, 0, 0.0);
    ol_eval_target target = w->target, null = w->target;
    ol_rng rng = ol_rng_stream(4, OL_RNG_TEST, 0, 0);
    ol_eval_result result, of_null, plain;
    ol_batch nulls = {0};
    int null_of[ROWS * MOST];

    for (int i = 0; i < MOST; i++)
        add_prompt(&nulls, &rng);
    for (int b = 0; b < w->prompts.B; b++)
        null_of[b] = (b * 5 + 1) % MOST;
    target.nulls = &nulls;
    target.null_of = null_of;
    null.rows = 1;
    null.options_per_row = &three;
    null.prompts = &nulls;
    assert_int_equal(run(w, &w->target, &spec, &plain), OL_OK);
    assert_int_equal(run(w, &null, &alone, &of_null), OL_OK);
    spec.pmi = true;
    assert_int_equal(run(w, &target, &spec, &result), OL_OK);
    assert_int_equal(result.n, 3);
    assert_int_equal(result.scorings[0].steps, OL_STEPS_IN_CONTEXT);
    assert_int_equal(result.scorings[1].steps, OL_STEPS_PMI);
    assert_int_equal(result.scorings[2].steps, 1);
    assert_same_bits(&result, 0, &plain, 0);
    assert_same_bits(&result, 2, &plain, 1);
    for (int b = 0; b < result.prompts; b++)
        assert_true(result.scorings[1].losses[b] ==
                    result.scorings[0].losses[b] - of_null.scorings[0].losses[null_of[b]]);
    for (int r = 0; r < ROWS; r++)
        assert_int_equal(
            result.scorings[1].predicted[r],
            ol_score_pick(w->options_per_row[r], result.scorings[1].losses + result.offsets[r]));
    ol_eval_result_finish(&result);
    ol_eval_result_finish(&of_null);
    ol_eval_result_finish(&plain);
    ol_batch_finish(&nulls);
}

static void adapting_at_rate_0_is_in_context(void **state)
{
    const int counts[] = {1, 3};
    const ol_eval_spec spec = spec_of(counts, 2, 0.0);
    ol_eval_result result;

    assert_int_equal(run(*state, &((const world *)*state)->target, &spec, &result), OL_OK);
    assert_int_equal(result.n, 3);
    assert_int_equal(result.scorings[2].steps, 3);
    assert_same_bits(&result, 0, &result, 1);
    assert_same_bits(&result, 0, &result, 2);
    ol_eval_result_finish(&result);
}

static void counts_continue_and_theta_stays(void **state)
{
    const world *w = *state;
    const int both[] = {2, 5}, last[] = {5};
    ol_eval_spec spec = spec_of(both, 2, 1e-2);
    const size_t bytes = w->model->P * sizeof(ol_real);
    ol_real *before = malloc(bytes);
    ol_eval_result a, b;

    assert_non_null(before);
    memcpy(before, w->state.theta, bytes);
    assert_int_equal(run(w, &w->target, &spec, &a), OL_OK);
    assert_memory_equal(before, w->state.theta, bytes);
    spec = spec_of(last, 1, 1e-2);
    spec.in_context = false;
    assert_int_equal(run(w, &w->target, &spec, &b), OL_OK);
    assert_int_equal(b.n, 1);
    assert_same_bits(&a, 2, &b, 0);
    assert_true(a.scorings[2].support < a.scorings[1].support);
    assert_true(a.scorings[0].losses[0] != a.scorings[1].losses[0]);
    assert_int_equal(a.scorings[2].diverged, 0);
    ol_eval_result_finish(&a);
    ol_eval_result_finish(&b);
    free(before);
}

/* The losses after j steps, t counted from what the learner starts with: bit for bit. */
static void steps_are_counted(const world *w, const ol_eval_spec *spec, const ol_eval_result *r)
{
    const size_t P = w->model->P;
    const ol_batch *support = &w->support, *prompts = &w->prompts;
    ol_real *x = malloc(3 * P * sizeof *x);
    double *losses = malloc((size_t)prompts->B * sizeof *losses);
    ol_state_view start = ol_state_borrow(&w->state);
    ol_arena ws;
    int64_t t;

    assert_true(x && losses);
    memcpy(x, w->state.theta, P * sizeof *x);
    t = ol_learner_start_moments(w->model, &spec->learner, start, x + P, x + 2 * P);
    assert_int_equal(t, spec->learner.moments == OL_MOMENTS_SEPARATE ? 0 : 100);
    assert_int_equal(ol_arena_init(&ws, "test", 1 << 26), OL_OK);
    for (int j = 1; j <= 3; j++, t++) {
        assert_int_equal(ol_learner_adapt(w->model, &spec->learner, support, 1, t, &ws, x, x + P,
                                          x + 2 * P, NULL),
                         OL_OK);
        ol_objective_losses(w->model, prompts, x, &ws, losses);
        assert_memory_equal(losses, r->scorings[j - 1].losses, (size_t)r->prompts * sizeof *losses);
    }
    ol_arena_finish(&ws);
    free(x), free(losses);
}

static void adaptation_counts_its_steps(void **state)
{
    const world *w = *state;
    const int counts[] = {1, 2, 3};

    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        ol_eval_spec spec = spec_of(counts, 3, 1e-2);
        ol_eval_result result;

        spec.learner.moments = moments;
        spec.in_context = false;
        assert_int_equal(run(w, &w->target, &spec, &result), OL_OK);
        steps_are_counted(w, &spec, &result);
        ol_eval_result_finish(&result);
    }
}

static void plain_descent_adapts_by_the_gradient(void **state)
{
    /* One SGD step at rate α lowers L_A by about α‖g‖²: the second support loss shows it. */
    const world *w = *state;
    const int counts[] = {1, 2};
    ol_eval_spec spec = spec_of(counts, 2, 0.05);
    ol_eval_result result;

    spec.learner.inner = OL_SGD;
    assert_int_equal(run(w, &w->target, &spec, &result), OL_OK);
    assert_true(result.scorings[2].support < result.scorings[1].support);
    ol_eval_result_finish(&result);
}

static void a_rate_that_diverges_scores_0_and_says_so(void **state)
{
    const world *w = *state;
    const int counts[] = {2, 3, 9};
    const ol_eval_spec spec = spec_of(counts, 3, 1e38);
    ol_eval_result result;

    assert_int_equal(run(w, &w->target, &spec, &result), OL_OK);
    assert_int_equal(result.scorings[0].diverged, 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(result.scorings[i].diverged, 1);
        assert_int_equal(result.scorings[i].steps, counts[i - 1]);
        assert_true(result.scorings[i].score == 0.0);
        for (int r = 0; r < ROWS; r++)
            assert_int_equal(result.scorings[i].predicted[r], -1);
    }
    ol_eval_result_finish(&result);
}

static void mistakes_are_refused(void **state)
{
    const world *w = *state;
    const int falling[] = {4, 2}, zero[] = {0}, one[] = {1};
    ol_eval_spec spec = spec_of(falling, 2, 0.1);
    ol_eval_target target = w->target;
    ol_eval_result result;

    assert_int_equal(run(w, &target, &spec, &result), OL_EUSAGE);
    spec = spec_of(zero, 1, 0.1);
    assert_int_equal(run(w, &target, &spec, &result), OL_EUSAGE);
    spec = spec_of(one, 1, 0.1);
    target.support = NULL;
    assert_int_equal(run(w, &target, &spec, &result), OL_EUSAGE);
    assert_non_null(strstr(ol_status_message(), "random task"));
    target = w->target;
    target.rows--;
    assert_int_equal(run(w, &target, &spec, &result), OL_EDATA);
    target.rows = 0;
    assert_int_equal(run(w, &target, &spec, &result), OL_EDATA);
    ol_eval_result_finish(&result);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    world *w = *state;
    const ol_eval_spec spec = spec_of(NULL, 0, 0.1);
    ol_eval_result result;

    w->prompts.tokens[3] = VOCAB;
    assert_int_equal(run(w, &w->target, &spec, &result), OL_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_score_the_same_together_and_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pmi_takes_the_null_losses_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(adapting_at_rate_0_is_in_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_continue_and_theta_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(adaptation_counts_its_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_descent_adapts_by_the_gradient, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rate_that_diverges_scores_0_and_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mistakes_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_outside_the_vocabulary_is_refused, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
