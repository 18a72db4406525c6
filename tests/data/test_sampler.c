/* SPDX-License-Identifier: BSD-3-Clause */
/* Episodes: disjoint targets, the same on every call, uniform over tasks and rows, and refusals. */
#include "world.h"

#include "outerloop/base/clock.h"
#include "outerloop/data/sampler.h"

enum { TASKS = 5, ROWS = 20 };

static int setup(void **state)
{
    static const char lists[] =
        "{\"train\": [\"t0\", \"t1\", \"t2\", \"t3\", \"t4\"], \"test\": []}";
    static const char gap[] = "{\"train\": [\"t0\", \"lost\"], \"test\": []}";

    world_setup(state);
    for (int i = 0; i < TASKS; i++) {
        char task[8];

        snprintf(task, sizeof task, "t%d", i);
        world_task(task);
        world_rows(task, 16384, 100, "train", ROWS);
    }
    world_write("config/all.json", lists, sizeof lists - 1);
    world_write("config/gap.json", gap, sizeof gap - 1);
    return 0;
}

static ol_sampler_spec spec_of(int shots, int support, int query)
{
    return (ol_sampler_spec){.root = world_root,
                             .setting = "all",
                             .variant = OL_DIRECT,
                             .shots = shots,
                             .max_tokens = 1024,
                             .max_tokens_per_example = 256,
                             .support = support,
                             .query = query,
                             .demonstrations = true,
                             .seed = 7};
}

static ol_sampler *make(ol_sampler_spec spec)
{
    ol_sampler *sampler;

    if (ol_sampler_create(&spec, world_tokenizer, &sampler) != OL_OK)
        fail_msg("%s", ol_status_message());
    return sampler;
}

static bool holds(const int *rows, int n, int row)
{
    for (int i = 0; i < n; i++)
        if (rows[i] == row)
            return true;
    return false;
}

static void check_disjoint(const ol_episode_rows *e, int support)
{
    for (int i = 0; i < e->prompts; i++) {
        const int *demos = e->demos + (ptrdiff_t)i * e->shots;
        const bool in_support = i < support;
        const int *others = in_support ? e->targets + support : e->targets;
        const int n_others = in_support ? e->prompts - support : support;

        assert_in_range(e->targets[i], 0, ROWS - 1);
        assert_false(holds(e->targets, i, e->targets[i]));
        assert_false(holds(demos, e->shots, e->targets[i]));
        for (int j = 0; j < e->shots; j++) {
            assert_in_range(demos[j], 0, ROWS - 1);
            assert_false(holds(demos, j, demos[j]));
            assert_false(holds(others, n_others, demos[j]));
        }
    }
}

static void disjoint(void **state)
{
    static const int shapes[][3] = {{4, 3, 2}, {0, 4, 4}, {16, 3, 3}, {4, 0, 3}, {4, 3, 0}};

    (void)state;
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        const int support = shapes[shape][1];
        ol_sampler *sampler = make(spec_of(shapes[shape][0], support, shapes[shape][2]));

        for (uint32_t step = 0; step < 50; step++)
            for (int n = 0; n < 7; n++) {
                ol_episode_rows rows;

                assert_int_equal(ol_sampler_rows(sampler, step, 7, n, &rows), OL_OK);
                check_disjoint(&rows, support);
                ol_episode_rows_finish(&rows);
            }
        ol_sampler_destroy(sampler);
    }
}

static void same_batch(const ol_batch *a, const ol_batch *b)
{
    assert_int_equal(a->B, b->B);
    if (a->B == 0)
        return;
    assert_memory_equal(a->offsets, b->offsets, ((size_t)a->B + 1) * sizeof *a->offsets);
    assert_memory_equal(a->tokens, b->tokens, (size_t)ol_batch_tokens(a) * sizeof *a->tokens);
    assert_memory_equal(a->loss_mask, b->loss_mask, (size_t)ol_batch_tokens(a));
}

/* Another sampler, other calls before, another N: the episode is the same. */
static void deterministic(void **state)
{
    ol_sampler *one = make(spec_of(4, 3, 2)), *two = make(spec_of(4, 3, 2));
    ol_sampler_spec other = spec_of(4, 3, 2);
    ol_sampler *three;
    ol_episode a = {0}, b = {0};
    bool differs = false;

    (void)state;
    other.seed = 8;
    three = make(other);
    for (int n = 0; n < 8; n++) {
        assert_int_equal(ol_sampler_draw(one, 3, 8, n, &a), OL_OK);
        assert_int_equal(ol_sampler_draw(two, 9, 4, 1, &b), OL_OK);
        assert_int_equal(ol_sampler_draw(two, 3, 16, n, &b), OL_OK);
        assert_int_equal(a.task, b.task);
        same_batch(&a.support, &b.support);
        same_batch(&a.query, &b.query);
        assert_int_equal(ol_sampler_draw(three, 3, 8, n, &b), OL_OK);
        differs = differs || a.task != b.task;
    }
    assert_true(differs);
    for (ol_episode *e = &a;; e = &b) {
        ol_batch_finish(&e->support);
        ol_batch_finish(&e->query);
        if (e == &b)
            break;
    }
    ol_sampler_destroy(one);
    ol_sampler_destroy(two);
    ol_sampler_destroy(three);
}

/* The text of a prompt, its scored part after '<'. */
static void prompt_text(const ol_batch *batch, int b, ol_text *out)
{
    out->size = 0;
    for (int64_t j = batch->offsets[b]; j < batch->offsets[b + 1]; j++) {
        if (batch->loss_mask[j] && (j == batch->offsets[b] || !batch->loss_mask[j - 1]))
            assert_int_equal(ol_text_append(out, "<", 1), OL_OK);
        assert_int_equal(ol_tokenizer_decode(world_tokenizer, &batch->tokens[j], 1, out), OL_OK);
    }
}

/* Prompts are the rows that ol_sampler_rows names, in that order. */
static void built_of_rows(void **state)
{
    ol_sampler *sampler = make(spec_of(2, 1, 1));
    ol_episode_rows rows;
    ol_episode episode = {0};
    ol_text text = {0};
    char expected[256];

    (void)state;
    assert_int_equal(ol_sampler_rows(sampler, 5, 4, 2, &rows), OL_OK);
    assert_int_equal(ol_sampler_draw(sampler, 5, 4, 2, &episode), OL_OK);
    assert_int_equal(episode.task, rows.task);
    for (int i = 0; i < 2; i++) {
        const int a = rows.demos[2 * i], b = rows.demos[2 * i + 1], c = rows.targets[i];
        const char *task = ol_sampler_task(sampler, rows.task);
        const ol_batch *side = i == 0 ? &episode.support : &episode.query;

        snprintf(expected, sizeof expected,
                 "%s train %d\n%s\n\n\n%s train %d\n%s\n\n\n%s train %d<\n%s", task, a,
                 a % 2 ? "yes" : "no", task, b, b % 2 ? "yes" : "no", task, c,
                 c % 2 ? "yes" : "no");
        assert_int_equal(side->B, 1);
        prompt_text(side, 0, &text);
        assert_string_equal(text.data, expected);
        assert_int_equal(ol_sampler_row_line(sampler, rows.task, c), c + 1);
    }
    ol_text_finish(&text);
    ol_episode_rows_finish(&rows);
    ol_batch_finish(&episode.support);
    ol_batch_finish(&episode.query);
    ol_sampler_destroy(sampler);
}

static void costs_are_those_of_draws(void **state)
{
    ol_sampler_spec spec = spec_of(4, 3, 2);
    ol_sampler *sampler;
    ol_episode episode = {0};
    ol_episode_cost costs[20];

    (void)state;
    spec.max_tokens = 80; /* some prompts are cut */
    sampler = make(spec);
    assert_int_equal(ol_sampler_costs(sampler, 1, 20, costs), OL_OK); /* of more than a round */
    for (int n = 0; n < 20; n++) {
        ol_prompts_size support, query;

        assert_int_equal(ol_sampler_draw(sampler, 1, 20, n, &episode), OL_OK);
        assert_int_equal(costs[n].task, episode.task);
        support = ol_batch_size(&episode.support);
        query = ol_batch_size(&episode.query);
        assert_memory_equal(&costs[n].support, &support, sizeof support);
        assert_memory_equal(&costs[n].query, &query, sizeof query);
        assert_int_equal(query.tokens, ol_batch_tokens(&episode.query));
        for (int b = 0; b < episode.query.B; b++) {
            const int64_t length = episode.query.offsets[b + 1] - episode.query.offsets[b];

            query.squares -= length * length;
            assert_true(length <= ol_sampler_longest(sampler, episode.task));
        }
        assert_int_equal(query.squares, 0);
    }
    ol_batch_finish(&episode.support);
    ol_batch_finish(&episode.query);
    ol_sampler_destroy(sampler);
}

/* Counts of n draws with mean m stay within 5 standard deviations of a Poisson count. */
static void near_mean(const int *counts, int n, double mean)
{
    for (int i = 0; i < n; i++) {
        const double off = counts[i] - mean;

        if (off * off > 25 * mean)
            fail_msg("count %d is %d, far from %g", i, counts[i], mean);
    }
}

static void uniform(void **state)
{
    enum { STEPS = 4000, N = 3 };
    ol_sampler *sampler = make(spec_of(2, 1, 1));
    int tasks[TASKS] = {0}, targets[ROWS] = {0}, demos[ROWS] = {0};

    (void)state;
    for (uint32_t step = 0; step < STEPS; step++) {
        int drawn[N];

        for (int n = 0; n < N; n++) {
            ol_episode_rows rows;

            assert_int_equal(ol_sampler_rows(sampler, step, N, n, &rows), OL_OK);
            assert_false(holds(drawn, n, rows.task)); /* without replacement in a step */
            drawn[n] = rows.task;
            tasks[rows.task]++;
            for (int i = 0; i < 2; i++)
                targets[rows.targets[i]]++;
            for (int i = 0; i < 4; i++)
                demos[rows.demos[i]]++;
            ol_episode_rows_finish(&rows);
        }
    }
    near_mean(tasks, TASKS, (double)STEPS * N / TASKS);
    near_mean(targets, ROWS, (double)STEPS * N * 2 / ROWS);
    near_mean(demos, ROWS, (double)STEPS * N * 4 / ROWS);
    ol_sampler_destroy(sampler);
}

/* More episodes than tasks: every round has each task once. */
static void rounds(void **state)
{
    ol_sampler *sampler = make(spec_of(2, 1, 1));
    int tasks[TASKS] = {0}, order[3 * TASKS];

    (void)state;
    for (int n = 0; n < 3 * TASKS; n++) {
        ol_episode_rows rows;

        assert_int_equal(ol_sampler_rows(sampler, 0, 3 * TASKS, n, &rows), OL_OK);
        tasks[rows.task]++;
        assert_int_equal(tasks[rows.task], n / TASKS + 1);
        order[n] = rows.task;
        ol_episode_rows_finish(&rows);
    }
    assert_memory_not_equal(order, order + TASKS, TASKS * sizeof *order); /* each its own order */
    ol_sampler_destroy(sampler);
}

static void without_demonstrations(void **state)
{
    ol_sampler_spec spec = spec_of(16, 10, 10);
    ol_sampler *sampler;
    ol_episode episode = {0};

    (void)state;
    spec.demonstrations = false;
    sampler = make(spec);
    assert_int_equal(ol_sampler_draw(sampler, 0, 1, 0, &episode), OL_OK);
    assert_int_equal(episode.support.B, 10);
    assert_true(ol_batch_longest(&episode.support) <= (int64_t)strlen("t0 train 19\nyes"));
    assert_int_equal(ol_sampler_longest(sampler, 0), strlen("t0 train 19\nyes"));
    ol_batch_finish(&episode.support);
    ol_batch_finish(&episode.query);
    ol_sampler_destroy(sampler);
}

static void longest(void **state)
{
    ol_sampler *sampler = make(spec_of(1, 1, 1));

    (void)state;
    assert_int_equal(ol_sampler_longest(sampler, 2),
                     strlen("t2 train 11\nyes\n\n\nt2 train 13\nyes"));
    assert_int_equal(ol_sampler_check_context(sampler, ol_sampler_longest(sampler, 2)), OL_OK);
    assert_int_equal(ol_sampler_check_context(sampler, ol_sampler_longest(sampler, 2) - 1),
                     OL_EDATA);
    world_said("training task t0 has prompts of up to 33 tokens, but the model's context is 32");
    world_said("data.max_tokens");
    ol_sampler_destroy(sampler);
}

/* Repeated rows are kept once; train_cap counts the rows of the file. */
static void repeated_rows(void **state)
{
#define ROW(input)                                                                                 \
    "{\"task\": \"r\", \"input\": \"" input "\", \"output\": \"o\", \"options\": []}\n"
    static const char rows[] = ROW("a") ROW("b") ROW("a") ROW("c") ROW("b") ROW("d");
    static const char list[] = "{\"train\": [\"r\"], \"test\": []}";
    ol_sampler_spec spec = spec_of(1, 1, 1);
    ol_sampler *sampler;

    (void)state;
    world_task("r");
    world_write("data/r/r_16384_100_train.jsonl", rows, sizeof rows - 1);
    world_write("config/repeats.json", list, sizeof list - 1);
    spec.setting = "repeats";
    sampler = make(spec);
    assert_int_equal(ol_sampler_task_rows(sampler, 0), 4);
    assert_int_equal(ol_sampler_row_line(sampler, 0, 2), 4);
    assert_int_equal(ol_sampler_row_line(sampler, 0, 3), 6);
    ol_sampler_destroy(sampler);
    spec.train_cap = 5;
    sampler = make(spec);
    assert_int_equal(ol_sampler_task_rows(sampler, 0), 3);
    ol_sampler_destroy(sampler);
#undef ROW
}

/* The real tasks: load, draw and fit. */
static void real_tasks(void **state)
{
    const char *reference = getenv("OUTERLOOP_REFERENCE");
    char root[PATH_MAX], folder[PATH_MAX];
    ol_sampler_spec spec = spec_of(16, 4, 4);
    ol_tokenizer *gpt2;
    ol_sampler *sampler;
    ol_episode episode = {0};
    double start;

    (void)state;
    if (!reference || !reference[0]) {
        print_message("# configure with -Dreference=FOLDER to run this test\n");
        skip();
    }
    assert_int_equal(ol_path_format(root, "%s/data/bbh", reference), OL_OK);
    assert_int_equal(ol_path_format(folder, "%s/data/gpt2", reference), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &gpt2), OL_OK);
    spec.root = root;
    spec.setting = "bbh";
    start = ol_clock_seconds();
    if (ol_sampler_create(&spec, gpt2, &sampler) != OL_OK)
        fail_msg("%s", ol_status_message());
    printf("# %d real tasks read in %.3f s\n", ol_sampler_tasks(sampler),
           ol_clock_seconds() - start);
    assert_int_equal(ol_sampler_check_context(sampler, 1024), OL_OK);
    start = ol_clock_seconds();
    for (int n = 0; n < 100; n++) {
        assert_int_equal(ol_sampler_draw(sampler, 0, 100, n, &episode), OL_OK);
        assert_int_equal(ol_batch_check(&episode.support, 50257, 1024, "support"), OL_OK);
        assert_int_equal(ol_batch_check(&episode.query, 50257, 1024, "query"), OL_OK);
        assert_true(ol_batch_longest(&episode.query) <= ol_sampler_longest(sampler, episode.task));
    }
    printf("# an episode of 8 prompts drawn in %.1f us\n", 1e4 * (ol_clock_seconds() - start));
    ol_batch_finish(&episode.support);
    ol_batch_finish(&episode.query);
    ol_sampler_destroy(sampler);
    ol_tokenizer_destroy(gpt2);
}

static void check_refused(ol_sampler_spec spec, ol_status code, const char *words)
{
    ol_sampler *sampler;

    assert_int_equal(ol_sampler_create(&spec, world_tokenizer, &sampler), code);
    assert_null(sampler);
    world_said(words);
}

static void refusals(void **state)
{
    ol_sampler_spec spec;

    (void)state;
    ol_sampler_destroy(make(spec_of(16, 3, 3)));
    check_refused(spec_of(17, 3, 3), OL_EDATA, "with 17 demonstrations, which needs 21");
    world_said("lower data.shots to 16, or give it more rows"); /* which is made above */
    check_refused(spec_of(0, 11, 10), OL_EDATA, "task t0 has 20 distinct rows");
    world_said("lower learner.support and learner.query to 20 together");
    ol_sampler_destroy(make(spec_of(0, 10, 10)));
    check_refused(spec_of(-1, 1, 1), OL_EUSAGE, "shots");
    check_refused(spec_of(1, 0, 0), OL_EUSAGE, "learner.support and learner.query");
    spec = spec_of(1, 1, 1);
    spec.setting = "gap";
    check_refused(spec, OL_EDATA, "/config/gap.json: names task lost, but there is no file");
    spec.setting = "none";
    check_refused(spec, OL_EDATA, "has no setting \"none\"");
    spec = spec_of(1, 1, 1);
    spec.max_tokens_per_example = 5;
    check_refused(spec, OL_EDATA, "raise data.max_tokens_per_example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disjoint),      cmocka_unit_test(deterministic),
        cmocka_unit_test(built_of_rows), cmocka_unit_test(costs_are_those_of_draws),
        cmocka_unit_test(uniform),       cmocka_unit_test(rounds),
        cmocka_unit_test(longest),       cmocka_unit_test(without_demonstrations),
        cmocka_unit_test(repeated_rows), cmocka_unit_test(refusals),
        cmocka_unit_test(real_tasks),
    };

    return cmocka_run_group_tests_name("sampler", tests, setup, world_teardown);
}
