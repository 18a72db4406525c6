/* SPDX-License-Identifier: BSD-3-Clause */
/* The job: defaults, derived values, arms at equal gradient evaluations, checks across keys. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glob.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/job/job.h"
#include "outerloop/text/prompt.h"

static ol_job *read_job(const char *text)
{
    ol_job *job = NULL;

    if (ol_job_read_text("jobs/a.cfg", text, strlen(text), &job) != OL_OK)
        fail_msg("%s", ol_status_message());
    return job;
}

static void refused(const char *text, const char *said)
{
    ol_job *job;

    assert_int_equal(ol_job_read_text("jobs/a.cfg", text, strlen(text), &job), OL_EUSAGE);
    assert_null(job);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
}

static void test_defaults(void **state)
{
    ol_job *job = read_job("");

    (void)state;
    assert_string_equal(job->name, "a");
    assert_string_equal(job->output, "runs/a");
    assert_int_equal(job->stages, OL_STAGE_TRAIN | OL_STAGE_EVAL | OL_STAGE_ADAPT);
    assert_int_equal(job->eval.shots, job->data.shots);
    assert_string_equal(job->learner.algorithm, "maml");
    assert_int_equal(job->learner.inner.moments, OL_MOMENTS_CARRY);
    assert_true(job->learner.inner.eps_root == OL_INNER_EPS_ROOT);
    assert_true(job->learner.outer.eps_root == 0);
    assert_int_equal(job->eval.seeds.n, 5);
    assert_int_equal(job->eval.seeds.items[4], 87);
    assert_true(ol_job_adapt_lr(job) == job->learner.inner.lr);
    assert_int_equal(ol_job_arms(job), 1);
    assert_ptr_equal(ol_job_arm(job, 0), job);
    ol_job_destroy(job);
    job = read_job("data = { shots = 4; }; eval = { adapt_lr = 0.5; };");
    assert_int_equal(job->eval.shots, 4);
    assert_true(ol_job_adapt_lr(job) == 0.5);
    ol_job_destroy(job);
    job = read_job("eval = { shots = 0; };");
    assert_int_equal(job->eval.shots, 0);
    ol_job_destroy(job);
    ol_job_destroy(NULL);
}

static void test_enumerations(void **state)
{
    ol_job *job = read_job("learner = { algorithm = \"multitask\"; inner = { optimizer = \"sgd\"; "
                           "moments = \"carry_v\"; storage = \"recompute\"; }; outer = { schedule "
                           "= \"cosine\"; }; }; data = { variant = \"channel\"; }; "
                           "model = { init = \"checkpoint\"; path = \"x\"; };"
                           "stages = [\"adapt\"];");

    (void)state;
    assert_string_equal(job->learner.algorithm, "multitask");
    assert_int_equal(job->learner.inner.optimizer, OL_SGD);
    assert_int_equal(job->learner.inner.moments, OL_MOMENTS_CARRY_V);
    assert_int_equal(job->learner.inner.storage, OL_STORAGE_RECOMPUTE);
    assert_int_equal(job->learner.outer.schedule, OL_COSINE);
    assert_int_equal(job->data.variant, OL_CHANNEL);
    assert_int_equal(job->model.init, OL_INIT_CHECKPOINT);
    assert_int_equal(job->stages, OL_STAGE_ADAPT);
    ol_job_destroy(job);
}

static void test_set_of_stages(void **state)
{
    static const struct {
        const char *set;
        unsigned stages;
    } cases[] = {
        {"stages=train", OL_STAGE_TRAIN},
        {"stages=[train,eval]", OL_STAGE_TRAIN | OL_STAGE_EVAL},
        {"stages=[\"adapt\"]", OL_STAGE_ADAPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ol_job *job;

        if (ol_job_read((ol_job_source){OL_ROOT "/jobs/quickstart.cfg", &cases[i].set, 1}, &job) !=
            OL_OK)
            fail_msg("%s", ol_status_message());
        assert_int_equal(job->stages, cases[i].stages);
        ol_job_destroy(job);
    }
}

static void test_evaluations(void **state)
{
    static const struct {
        const char *learner;
        double evaluations;
    } cases[] = {
        {"algorithm = \"maml\"; order = 2;", 3 * (3 * 2 * 5 + 7)},
        {"algorithm = \"maml\"; order = 1;", 3 * (2 * 5 + 7)},
        {"algorithm = \"meta-sgd\"; order = 2;", 3 * (3 * 2 * 5 + 7)},
        {"algorithm = \"reptile\";", 3 * 2 * 5},
        {"algorithm = \"metaicl\";", 3 * (5 + 7)},
        {"algorithm = \"multitask\";", 3 * (5 + 7)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        ol_job *job;

        snprintf(text, sizeof text,
                 "learner = { %s episodes = 3; support = 5; query = 7; inner = { steps = 2; "
                 "optimizer = \"sgd\"; }; };",
                 cases[i].learner);
        job = read_job(text);
        assert_true(ol_job_evaluations_per_step(job) == cases[i].evaluations);
        ol_job_destroy(job);
    }
}

static const char arms[] =
    "name = \"x\"; output = \"runs/x\"; train = { steps = 100; };\n"
    "learner = { algorithm = \"maml\"; support = 4; query = 4; };\n" /* 16 an episode */
    "arms = ( { name = \"maml\"; },\n"
    "  { name = \"first\"; learner = { order = 1; inner = { lr = 0.25; }; }; },\n" /* 8 */
    "  { name = \"big\"; learner = { support = 400; }; } );\n";                    /* 1204 */

static void test_arms(void **state)
{
    ol_job *job = read_job(arms);
    const ol_job *first = ol_job_arm(job, 1);

    (void)state;
    assert_int_equal(ol_job_arms(job), 3);
    assert_int_equal(ol_job_arm(job, 0)->train.steps, 100);
    assert_int_equal(first->train.steps, 200);
    assert_string_equal(first->name, "first");
    assert_string_equal(first->output, "runs/x/first");
    assert_int_equal(first->learner.order, 1);
    assert_true(ol_job_adapt_lr(first) == 0.25);
    assert_int_equal(first->learner.support, 4);
    assert_int_equal(ol_job_arm(job, 2)->train.steps, 1);
    assert_int_equal(ol_job_arms(first), 1);
    assert_int_equal(job->learner.order, 2);
    ol_job_destroy(job);
}

static const char warm_arms[] =
    "name = \"x\"; train = { steps = 100; };\n"
    "learner = { support = 4; query = 4; outer = { warmup = 21; }; };\n"             /* 16 */
    "arms = ( { name = \"same\"; },\n"                                               /* 16 */
    "  { name = \"first\"; learner = { order = 1; }; },\n"                           /* 8 */
    "  { name = \"plain\"; learner = { algorithm = \"metaicl\"; query = 28; }; },\n" /* 32 */
    "  { name = \"big\"; learner = { support = 400; }; },\n"                         /* 1204 */
    "  { name = \"own\"; learner = { order = 1; outer = { warmup = 21; }; }; },\n"   /* 8 */
    "  { name = \"cold\"; learner = { order = 1; outer = { warmup = 0; }; }; } );";  /* 8 */

/* warmup of each arm, and where its job.cfg says that it came from. */
static void warmups(const char *set, const int expected[6], const char *const *origins)
{
    char path[] = "/tmp/outerloop-job-XXXXXX";
    const int file = mkstemp(path);
    ol_job *job;

    assert_true(file >= 0);
    close(file);
    assert_int_equal(ol_write_file(path, warm_arms, sizeof warm_arms - 1), OL_OK);
    if (ol_job_read((ol_job_source){path, &set, set ? 1 : 0}, &job) != OL_OK)
        fail_msg("%s", ol_status_message());
    remove(path);
    for (int i = 0; i < 6; i++) {
        char line[64];
        ol_text text = {0};

        assert_int_equal(ol_job_arm(job, i)->learner.outer.warmup, expected[i]);
        assert_int_equal(ol_job_text(ol_job_arm(job, i), &text), OL_OK);
        snprintf(line, sizeof line, "warmup = %d;", expected[i]);
        const char *at = strstr(text.data, line);
        assert_non_null(at);
        at = strchr(at, '#');
        if (strncmp(at + 2, origins[i], strlen(origins[i])) != 0)
            fail_msg("arm %d: no \"%s\" in %.60s", i, origins[i], at);
        ol_text_finish(&text);
    }
    ol_job_destroy(job);
}

/* Warmup is rescaled as the steps are, but where an arm says its own. */
static void test_warmup_of_arms(void **state)
{
    static const char derived[] = "derived\n", file[] = "/tmp/outerloop-job-";

    (void)state;
    warmups(NULL, (int[]){21, 42, 11, 0, 21, 0},
            (const char *const[]){derived, derived, derived, derived, file, file});
    warmups("learner.outer.warmup=10", (int[]){10, 20, 5, 0, 21, 0},
            (const char *const[]){derived, derived, derived, derived, file, file});
    warmups("arms.first.learner.outer.warmup=7", (int[]){21, 7, 11, 0, 21, 0},
            (const char *const[]){derived, "--set arms.first", derived, derived, file, file});
    warmups("learner.outer.warmup=0", (int[]){0, 0, 0, 0, 21, 0},
            (const char *const[]){"--set learner", "--set learner", "--set learner",
                                  "--set learner", file, file});
}

static void digest_of(const char *text, char digest[OL_DIGEST_TEXT])
{
    ol_job *job = read_job(text);

    assert_int_equal(ol_job_digest(job, digest), OL_OK);
    ol_job_destroy(job);
}

/* The resolved text of a job, and of each arm, reads back to the same job. */
static void test_round_trip(void **state)
{
    ol_job *job = read_job(warm_arms);
    char before[OL_DIGEST_TEXT], after[OL_DIGEST_TEXT];

    (void)state;
    for (int i = -1; i < ol_job_arms(job); i++) {
        const ol_job *one = i < 0 ? job : ol_job_arm(job, i);
        ol_text text = {0};

        assert_int_equal(ol_job_digest(one, before), OL_OK);
        assert_int_equal(ol_job_text(one, &text), OL_OK);
        digest_of(text.data, after);
        assert_string_equal(before, after);
        ol_text_finish(&text);
    }
    digest_of("seed = 1;", before);
    digest_of("/* elsewhere */\nseed =\n1;", after);
    assert_string_equal(before, after);
    digest_of("seed = 2;", after);
    assert_string_not_equal(before, after);
    ol_job_destroy(job);
}

static void test_checks(void **state)
{
    (void)state;
    refused("model = { width = 10; heads = 3; };", "jobs/a.cfg:1: model.width = 10 is not a");
    refused("learner = { episodes = 0; };", "learner.episodes cannot be 0");
    refused("learner = { query = 0; };", "learner.query cannot be 0");
    refused("learner = { inner = { beta2 = 1.0; }; };", "below 1");
    refused("stages = [];", "nothing to do");
    refused("stages = [\"trane\"];", "did you mean \"train\"?");
    refused("model = { context = 64; };", "data.max_tokens = 1024 is more than model.context");
    refused("data = { max_tokens_per_example = 2000; };", "data.max_tokens_per_example");
    refused("model = { init = \"import\"; };", "wants model.path");
    refused("model = { path = \"x\"; };", "model.path is unused");
    refused("model = { frozen = \"bf16\"; };", "model.frozen is unused: model.trained is");
    refused("model = { init = \"import\"; path = \"x\"; rope_original_context = 64; };",
            "model.rope_original_context is unused");
    refused("data = { setting = \"hr_to_lrr\"; };",
            "did you mean \"hr_to_lr\"?), which has hr_to_lr, ");
    refused("eval = { seeds = []; };", "eval.seeds is empty");
    refused("eval = { seeds = [13, 13]; };", "13 twice");
    refused("eval = { adapt_steps = []; };", "eval.adapt_steps is empty");
    refused("eval = { adapt_steps = [4, 4]; };", "must ascend");
    refused("arms = ( { name = \"a\"; },\n { name = \"a\"; } );", "jobs/a.cfg:2: two arms");
    refused("\nname = \"a\\nwarning: b\";", "jobs/a.cfg:2: name");
    refused("name = \"a\\x1b[31m\";", "jobs/a.cfg:1: name");
    refused("arms = (\n { name = \"../a\"; } );", "jobs/a.cfg:2: \"../a\" cannot name an arm");
    refused("arms = ( { name = \"checkpoints\"; } );", "cannot name an arm");
    refused("arms = ( { name = \"a\"; train = { steps = 3; }; } );", "only name and learner");
    refused("arms = ( { name = \"a\"; learner = { ordr = 3; }; } );",
            "did you mean learner.order?");
}

/* What people type, and the key of the job that they meant. */
static void test_nearest_key(void **state)
{
    static const struct {
        const char *set, *meant;
    } cases[] = {
        {"trian.steps=3", "train.steps"},
        {"train.setps=3", "train.steps"},
        {"steps=3", "train.steps"},
        {"leanrer.inner.lr=1", "learner.inner.lr"},
        {"learner.innre.lr=1", "learner.inner.lr"},
        {"learner.inner.rl=1", "learner.inner.lr"},
        {"learner.steps=1", "learner.inner.steps"},
        {"inner.stpes=1", "learner.inner.steps"},
        {"outer.warmup=1", "learner.outer.warmup"},
        {"learner.inner.order=1", "learner.order"},
        {"learner.inner.warmup=1", "learner.outer.warmup"},
        {"eval.seed=1", "eval.seeds"},
        {"data.seeds=1", "eval.seeds"},
        {"model.seed=1", "seed"},
        {"model.shots=1", "data.shots"},
        {"train.shots=1", "data.shots"},
        {"train.checkpoint.every=1", "train.checkpoint_every"},
        {"stegas=train", "stages"},
        {"amrs.a.learner.order=1", "arms.a.learner.order"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char meant[64];
        ol_job *job;

        snprintf(meant, sizeof meant, "did you mean %s?", cases[i].meant);
        assert_int_equal(
            ol_job_read((ol_job_source){OL_ROOT "/jobs/quickstart.cfg", &cases[i].set, 1}, &job),
            OL_EUSAGE);
        if (!strstr(ol_status_message(), meant))
            fail_msg("no \"%s\" in: %s", meant, ol_status_message());
    }
}

static void test_learners(void **state)
{
    ol_job *job =
        read_job("learner = { algorithm = \"reptile\"; outer = { lr = 0.5; interpolation = "
                 "0.8; schedule = \"linear\"; warmup = 2; }; }; train = { steps = 10; };");

    (void)state;
    assert_true(fabs(ol_job_outer_spec(job, 0).adam.lr - 0.4) < 1e-15);
    assert_true(fabs(ol_job_outer_spec(job, 6).adam.lr - 0.4) < 1e-15);
    assert_string_equal(ol_job_order_text(job), "");
    ol_job_destroy(job);
    job = read_job(
        "learner = { algorithm = \"meta-sgd\"; order = 1; inner = { optimizer = \"sgd\"; }; "
        "outer = { lr = 0.5; schedule = \"constant\"; }; rates = { lr = 0.125; per = "
        "\"weight\"; }; };");
    assert_true(ol_job_outer_spec(job, 3).adam.lr == 0.5);
    assert_true(ol_job_outer_spec(job, 3).own_lr == 0.125);
    assert_int_equal(ol_job_learner_spec(job).rates, OL_RATES_WEIGHT);
    assert_string_equal(ol_job_order_text(job), ", order 1");
    ol_job_destroy(job);
    refused("learner = { algorithm = \"reptil\"; };",
            "jobs/a.cfg:1: learner.algorithm = \"reptil\"");
    refused("learner = { algorithm = \"reptil\"; };", "did you mean \"reptile\"?");
    refused("learner = { algorithm = \"anil\"; };", "\"maml\", \"meta-sgd\", \"reptile\"");
    refused("arms = ( { name = \"a\"; },\n { name = \"b\"; learner = { algorithm = \"c\"; }; } );",
            "jobs/a.cfg:2: learner.algorithm = \"c\"");
    refused("arms = ( { name = \"a\"; learner = { algorithm = \"c\"; }; },\n"
            " { name = \"b\"; learner = { algorithm = \"d\"; }; } );",
            "2 mistakes");
    refused("learner = { algorithm = \"meta-sgd\"; };", "set learner.inner.optimizer = \"sgd\"");
    refused("learner = { outer = { interpolation = 0.0; }; };", "learner.outer.interpolation");
}

static ol_status same(const char *now, const char *before)
{
    ol_job *job = read_job(now), *then = read_job(before);
    ol_text text = {0};
    ol_status status;

    assert_int_equal(ol_job_text(then, &text), OL_OK);
    status = ol_job_same_run(job, "runs/a/job.cfg", text.data, text.size);
    ol_text_finish(&text);
    ol_job_destroy(job);
    ol_job_destroy(then);
    return status;
}

static void test_same_run(void **state)
{
    (void)state;
    assert_int_equal(same("", ""), OL_OK);
    assert_int_equal(same("train = { steps = 7; keep_last = 9; log_seconds = 1; };"
                          "eval = { rows = 3; }; stages = [\"eval\"]; output = \"b\"; "
                          "learner = { inner = { storage = \"recompute\"; }; };",
                          ""),
                     OL_OK);
    assert_int_equal(same("seed = 2; learner = { order = 1; }; model = { layers = 2; };", ""),
                     OL_EUSAGE);
    assert_non_null(strstr(ol_status_message(), "seed = 1 and cannot go on with 2"));
    assert_non_null(strstr(ol_status_message(), "jobs/a.cfg:1"));
    assert_non_null(strstr(ol_status_message(), "learner.order"));
    assert_non_null(strstr(ol_status_message(), "model.layers = 4"));
    assert_non_null(strstr(ol_status_message(), "runs/a/job.cfg"));
    assert_int_equal(same("data = { shots = 4; };", ""), OL_EUSAGE);
    assert_int_equal(same("threads = 2;", ""), OL_EUSAGE);
}

static void test_same_run_torn(void **state)
{
    ol_job *job = read_job("");

    (void)state;
    assert_int_equal(ol_job_same_run(job, "runs/a/job.cfg", "model = {", 9), OL_EUSAGE);
    assert_non_null(strstr(ol_status_message(), "runs/a/job.cfg:1"));
    ol_job_destroy(job);
}

/* The checked-in reference is what the program writes, and is itself a job: the default one. */
static void test_reference(void **state)
{
    ol_job *job, *defaults;
    ol_text text = {0};
    char *held, now[OL_DIGEST_TEXT], plain[OL_DIGEST_TEXT];
    size_t size;

    (void)state;
    assert_int_equal(ol_job_reference(&text), OL_OK);
    assert_int_equal(ol_read_file(OL_ROOT "/cfg/reference.cfg", &held, &size), OL_OK);
    assert_string_equal(held, text.data); /* else: build/outerloop reference --out it */
    assert_int_equal(ol_job_read_text("jobs/a.cfg", held, size, &job), OL_OK);
    assert_int_equal(ol_job_read_text("jobs/a.cfg", "", 0, &defaults), OL_OK);
    assert_int_equal(ol_job_digest(job, now), OL_OK);
    assert_int_equal(ol_job_digest(defaults, plain), OL_OK);
    assert_string_equal(now, plain);
    ol_job_destroy(job);
    ol_job_destroy(defaults);
    ol_text_finish(&text);
    free(held);
}

/* Every job of a folder can be read. */
static void read_jobs(const char *pattern, size_t least, const char *const *sets, size_t n_sets)
{
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= least);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        ol_job *job;

        if (ol_job_read((ol_job_source){found.gl_pathv[i], sets, n_sets}, &job) != OL_OK)
            fail_msg("%s", ol_status_message());
        ol_job_destroy(job);
    }
    globfree(&found);
}

/* Those that want a model of the user's are read beside a random one. */
static void test_shipped_jobs(void **state)
{
    static const char *const models[] = {"model.init=random", "model.arch=llama"};

    (void)state;
    read_jobs(OL_ROOT "/jobs/[!s]*.cfg", 4, NULL, 0);
    read_jobs(OL_ROOT "/jobs/smollm2.cfg", 1, models, 2);
    read_jobs(OL_ROOT "/jobs/paper/*.cfg", 14, models, 2);
    read_jobs(OL_ROOT "/jobs/results/*.cfg", 2, models, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_enumerations),
        cmocka_unit_test(test_set_of_stages), cmocka_unit_test(test_evaluations),
        cmocka_unit_test(test_arms),          cmocka_unit_test(test_warmup_of_arms),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_checks),
        cmocka_unit_test(test_nearest_key),   cmocka_unit_test(test_same_run),
        cmocka_unit_test(test_same_run_torn), cmocka_unit_test(test_learners),
        cmocka_unit_test(test_reference),     cmocka_unit_test(test_shipped_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
