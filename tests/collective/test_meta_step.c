/* SPDX-License-Identifier: BSD-3-Clause */
/* A meta-step over ranks: what becomes of the episodes that are not finite. In f64, on 1, 2 and 3 ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include <cmocka.h>

#include "../../src/meta/inner.h" /* ol_task, ol_contribution_add */
#include "../meta/world.h"
#include "outerloop/collective/meta_step.h"

enum { SHORT = 20, LONG = 40 }; /* tokens; positions past SHORT are NaN */

static ol_comm *comm;
static bool no_room; /* every folder seems full, so that ranks can share no memory */

int statvfs(const char *restrict path, struct statvfs *restrict fs)
{
    (void)path;
    *fs = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1ul << 30};
    fs->f_bfree = fs->f_bavail = no_room ? 0 : fs->f_blocks;
    return 0;
}

/* Episodes of a meta-step, by the number that their prompts are drawn with; a negative one is long. */
static ol_status draw(void *payload, int64_t step, int n, ol_episode *episode)
{
    const int number = ((const int *)payload)[n], tokens = number < 0 ? LONG : SHORT;
    const uint32_t stream = 2 * (uint32_t)abs(number);
    ol_batch support = tiny_batch(2, tokens / 2, tokens, 13, stream);
    ol_batch query = tiny_batch(2, tokens, tokens, 13, stream + 1);
    ol_status status;

    (void)step;
    episode->task = n;
    status = ol_batch_extend(&episode->support, &support);
    if (status == OL_OK)
        status = ol_batch_extend(&episode->query, &query);
    ol_batch_finish(&support);
    ol_batch_finish(&query);
    return status;
}

/* The vectors of a world in memory that ranks keep together. */
static ol_state lend(const world *w, ol_shared_state *shared)
{
    ol_state state = ol_shared_state_vectors(shared);
    ol_real *const to[] = {state.theta, state.m, state.v}, *const from[] = {w->state.theta,
                                                                            w->state.m, w->state.v};

    for (int i = 0; i < 3 && ol_comm_rank(comm) == 0; i++)
        memcpy(to[i], from[i], w->model->P * sizeof *to[i]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ol_shared_state_spread(shared, to[i], w->model->P), OL_OK);
    state.t = w->state.t;
    return state;
}

static void give_back(const ol_state *state, world *w)
{
    const size_t bytes = w->model->P * sizeof(ol_real);

    memcpy(w->state.theta, state->theta, bytes);
    memcpy(w->state.m, state->m, bytes);
    memcpy(w->state.v, state->v, bytes);
    w->state.t = state->t;
}

/* One meta-step of a world of which only short prompts are finite, in memory of its own or shared. */
static world step_in(bool together, const ol_learner_spec *learner, int N, int *numbers,
                     ol_step_report *report)
{
    const double costs[4] = {1, 1, 1, 1};
    const ol_extent most = {.prompts = 2, .tokens = 2 * LONG, .longest = LONG, .scored = 2 * LONG};
    const ol_outer_spec outer = {.adam = WORLD_ADAM, .max_grad_norm = 0.01};
    world w = world_make();
    const ol_param *places = ol_model_param(w.model, "wpe.weight");
    ol_meta_stepper *stepper = NULL;
    ol_shared_state *shared = NULL;
    ol_state state = w.state;
    int own;

    for (size_t i = SHORT * (size_t)places->cols; i < places->size; i++)
        w.state.theta[places->offset + i] = NAN;
    assert_int_equal(ol_meta_stepper_create(comm, w.model, N, learner, most, most, &stepper),
                     OL_OK);
    if (together) {
        assert_int_equal(ol_shared_state_create(comm, w.model->P, w.model->P, &shared), OL_OK);
        assert_int_equal(ol_shared_state_ranks(shared, &own), no_room ? 1 : ol_comm_size(comm));
        state = lend(&w, shared);
        ol_meta_stepper_share(stepper, shared);
    }
    assert_int_equal(ol_meta_step(stepper, &outer, 3, costs, draw, numbers, &state, report), OL_OK);
    ol_meta_stepper_destroy(stepper);
    if (together)
        give_back(&state, &w);
    w.state.t = state.t;
    ol_shared_state_destroy(shared);
    return w;
}

static world step_of(const ol_learner_spec *learner, int N, int *numbers, ol_step_report *report)
{
    return step_in(true, learner, N, numbers, report);
}

static void same_bits(size_t n, const ol_real *a, const ol_real *b)
{
    for (size_t i = 0; i < n; i++)
        assert_true(a[i] == b[i] || (isnan(a[i]) && isnan(b[i])));
}

/* The mean is over the episodes kept: the bits of a meta-step that never had the others. */
static void test_dropped(void **state)
{
    int all[] = {1, -2, 3, -4}, kept[] = {1, 3};

    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        const ol_learner_spec learner = world_learner(OL_ADAMW, moments, 2);
        ol_step_report some, whole;
        world a = step_of(&learner, 4, all, &some), b = step_of(&learner, 2, kept, &whole);

        assert_int_equal(some.dropped, 2);
        assert_int_equal(whole.dropped, 0);
        assert_true(whole.grad_norm > 0 && some.grad_norm == whole.grad_norm);
        assert_true(some.query_after == whole.query_after);
        assert_int_equal(a.state.t, b.state.t);
        same_bits(a.model->P, a.state.theta, b.state.theta);
        same_bits(a.model->P, a.state.m, b.state.m);
        same_bits(a.model->P, a.state.v, b.state.v);
        world_finish(&a);
        world_finish(&b);
    }
}

/* A state that ranks keep together has the bits of one of each, as has one where there is no room for that. */
static void together_case(const char *name)
{
    ol_learner_spec learner = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 2);
    int numbers[] = {1, -2, 3, 4};
    ol_step_report report[3];
    world w[3];

    learner.learner = ol_learner_find(name);
    w[0] = step_in(false, &learner, 4, numbers, &report[0]);
    w[1] = step_in(true, &learner, 4, numbers, &report[1]);
    no_room = true;
    w[2] = step_in(true, &learner, 4, numbers, &report[2]);
    no_room = false;
    for (int i = 1; i < 3; i++) {
        assert_true(report[i].grad_norm == report[0].grad_norm);
        assert_int_equal(w[i].state.t, w[0].state.t);
        same_bits(w[0].model->P, w[i].state.theta, w[0].state.theta);
        same_bits(w[0].model->P, w[i].state.m, w[0].state.m);
        same_bits(w[0].model->P, w[i].state.v, w[0].state.v);
    }
    for (int i = 0; i < 3; i++)
        world_finish(&w[i]);
}

static void test_together(void **state)
{
    (void)state;
    together_case("maml");
    together_case("reptile");
}

static void test_all_dropped(void **state)
{
    const ol_learner_spec learner = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 2);
    int all[] = {-1, -2, -3};
    ol_step_report report;
    world a = step_of(&learner, 3, all, &report), was = world_make();

    (void)state;
    assert_int_equal(report.dropped, 3);
    assert_int_equal(a.state.t, was.state.t);
    same_bits(a.model->P, a.state.m, was.state.m);
    same_bits(a.model->P, a.state.v, was.state.v);
    world_finish(&a);
    world_finish(&was);
}

/* A learner that leaves more behind than maml: the numbers of its episodes, added up and on the mean.
 * What sums them knows neither. */
static void declare_more(const ol_model *model, const ol_learner_spec *spec, ol_contribution *out)
{
    ol_inner_declare(model, spec, out);
    ol_contribution_add(out, "sum", 2, OL_SUM);
    ol_contribution_add(out, "mean", 1, OL_MEAN);
}

static ol_status leave_more(const ol_task *task)
{
    ol_real *sum = ol_contribution_part(task->out, "sum");

    sum[0] = 1;
    sum[1] = *ol_contribution_part(task->out, "mean") = task->episode->task;
    return ol_maml_episode(task);
}

static void check_more(const ol_learner_spec *spec, const ol_outer_spec *outer,
                       const ol_outer_share *share, const ol_contribution *mean, ol_state *at)
{
    const ol_real *sum = ol_contribution_part(mean, "sum");

    assert_true(sum[0] == 3 && sum[1] == 0 + 2 + 3);
    assert_true(fabs(*ol_contribution_part(mean, "mean") - 5.0 / 3) < 1e-15);
    ol_outer_adamw(spec, outer, share, mean, at);
}

static void test_parts(void **state)
{
    ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 2);
    ol_learner more = *spec.learner;
    int numbers[] = {1, -2, 3, 4};
    ol_step_report report, plainly;
    world a, b = step_of(&spec, 4, numbers, &plainly);

    (void)state;
    more.declare = declare_more;
    more.episode = leave_more;
    more.outer = check_more;
    spec.learner = &more;
    a = step_of(&spec, 4, numbers, &report);
    assert_true(report.grad_norm == plainly.grad_norm);
    same_bits(a.model->P, a.state.theta, b.state.theta);
    same_bits(a.model->P, a.state.v, b.state.v);
    world_finish(&a);
    world_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_all_dropped),
        cmocka_unit_test(test_parts),
    };
    int failed;

    if (ol_comm_init(&comm) != OL_OK)
        return 1;
    if (ol_comm_rank(comm) > 0 && !freopen("/dev/null", "w", stdout))
        return 1; /* rank 0 speaks for all; a failure elsewhere shows in the exit code */
    failed = cmocka_run_group_tests_name("meta-step", tests, NULL, NULL);
    ol_comm_destroy(comm);
    return failed;
}
