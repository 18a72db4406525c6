/* SPDX-License-Identifier: BSD-3-Clause */
/* Option losses of real prompts under the reference model: a GPT-2 of three layers with GPT-2's
   vocabulary, prompts of up to 1024 tokens. Skips without the reference folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"
#include "outerloop/eval/target_score.h"
#include "outerloop/store/archive.h"

/* Parameters from a safetensors file of float32 under "transformer.": an 8-byte length, a JSON
   header of that length with the place of each tensor, then the data. */
static void read_theta(const char *path, const ol_model *model, float *theta)
{
    char *bytes;
    size_t size;
    uint64_t n;
    json_t *header;

    assert_int_equal(ol_read_file(path, &bytes, &size), OL_OK);
    memcpy(&n, bytes, sizeof n);
    header = json_loadb(bytes + 8, n, 0, NULL);
    assert_non_null(header);
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *p = &model->params[i];
        char name[96];
        json_int_t from, to;
        assert_true(snprintf(name, sizeof name, "transformer.%s", p->name) < (int)sizeof name);
        assert_int_equal(
            json_unpack(json_object_get(header, name), "{s:[I,I]}", "data_offsets", &from, &to), 0);
        assert_int_equal((size_t)(to - from), p->size * sizeof *theta);
        memcpy(theta + p->offset, bytes + 8 + n + (size_t)from, p->size * sizeof *theta);
    }
    json_decref(header);
    free(bytes);
}

/* Prompts of a file; options are called by their number. */
typedef struct prompts {
    ol_batch batch;
    size_t rows;
    int32_t *options_per_row;
    const char **options, **gold;
} prompts;

static void read_prompts(const char *path, prompts *p)
{
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    ol_archive *file;
    size_t tokens, offsets, at = 0;

    assert_int_equal(ol_archive_open(path, &file), OL_OK);
    assert_int_equal(ol_archive_count(file, "tokens", &tokens), OL_OK);
    assert_int_equal(ol_archive_count(file, "offsets", &offsets), OL_OK);
    assert_int_equal(ol_archive_count(file, "options_per_row", &p->rows), OL_OK);
    p->batch.B = (int)offsets - 1;
    p->batch.tokens = calloc(tokens, sizeof *p->batch.tokens);
    p->batch.offsets = calloc(offsets, sizeof *p->batch.offsets);
    p->batch.loss_mask = calloc(tokens, 1);
    p->options_per_row = calloc(p->rows, sizeof *p->options_per_row);
    p->options = calloc(offsets, sizeof *p->options);
    p->gold = calloc(p->rows, sizeof *p->gold);
    assert_int_equal(ol_archive_read(file, "tokens", tokens, p->batch.tokens), OL_OK);
    assert_int_equal(ol_archive_read(file, "offsets", offsets, p->batch.offsets), OL_OK);
    assert_int_equal(ol_archive_read(file, "loss_mask", tokens, p->batch.loss_mask), OL_OK);
    assert_int_equal(ol_archive_read(file, "options_per_row", p->rows, p->options_per_row), OL_OK);
    assert_int_equal(ol_archive_close(file), OL_OK);
    for (size_t r = 0; r < p->rows; r++) {
        p->gold[r] = names[0];
        for (int i = 0; i < p->options_per_row[r]; i++)
            p->options[at++] = names[i];
    }
}

static void finish_prompts(prompts *p)
{
    free(p->batch.tokens);
    free(p->batch.offsets);
    free(p->batch.loss_mask);
    free(p->options_per_row);
    free(p->options);
    free(p->gold);
}

/* Relative difference of losses: the reference is float64, we are float32 over sums of 1024. */
static void compare(const char *path, const ol_eval_result *result)
{
    double *losses = calloc((size_t)result->prompts, sizeof *losses), worst = 0.0;
    int32_t *picked = calloc((size_t)result->rows, sizeof *picked);
    ol_archive *file;

    assert_int_equal(ol_archive_open(path, &file), OL_OK);
    assert_int_equal(ol_archive_read(file, "option_losses", (size_t)result->prompts, losses),
                     OL_OK);
    assert_int_equal(ol_archive_read(file, "picked", (size_t)result->rows, picked), OL_OK);
    assert_int_equal(ol_archive_close(file), OL_OK);
    for (int i = 0; i < result->prompts; i++)
        worst = fmax(worst, fabs(result->scorings[0].losses[i] / losses[i] - 1.0));
    print_message("# %s: worst relative difference %.1e\n", strrchr(path, '/') + 1, worst);
    assert_true(worst < 2e-6);
    assert_memory_equal(result->scorings[0].predicted, picked,
                        (size_t)result->rows * sizeof *picked);
    free(losses);
    free(picked);
}

static void score_file(const char *folder, const char *name, const ol_model *model,
                       const float *theta)
{
    const ol_eval_spec spec = {.in_context = true};
    char path[PATH_MAX];
    prompts p = {0};
    ol_eval_result result;
    ol_arena ws;

    assert_int_equal(ol_path_format(path, "%s/oracle/prompts/%s.h5", folder, name), OL_OK);
    read_prompts(path, &p);
    const ol_eval_target target = {.name = name,
                                   .rows = (int)p.rows,
                                   .options_per_row = p.options_per_row,
                                   .options = p.options,
                                   .gold = p.gold,
                                   .prompts = &p.batch};
    assert_int_equal(ol_arena_init(&ws, name, ol_eval_target_bytes(model, &spec, &target)), OL_OK);
    assert_int_equal(
        ol_eval_target_score(model, &spec, &target, (ol_state_view){.theta = theta}, &ws, &result),
        OL_OK);
    assert_int_equal(ol_path_format(path, "%s/oracle/scores/%s.h5", folder, name), OL_OK);
    compare(path, &result);
    ol_eval_result_finish(&result);
    ol_arena_finish(&ws);
    finish_prompts(&p);
}

static void real_prompts_have_their_reference_losses(void **state)
{
    static const char *const names[] = {"bbh-formal_fallacies-13-direct-k4",
                                        "bbh-ruin_names-13-channel-k2",
                                        "bbh-snarks-100-direct-k16"};
    const ol_model_spec shape = {.layers = 3,
                                 .heads = 4,
                                 .width = 32,
                                 .vocab = 50257,
                                 .context = 1024,
                                 .norm_eps = 1e-5,
                                 .tied = true};
    const char *folder = getenv("OUTERLOOP_REFERENCE");
    char path[PATH_MAX];
    ol_model *model;
    float *theta;

    (void)state;
    if (!folder || !*folder) {
        print_message("# no reference folder: configure with -Dreference=FOLDER\n");
        skip();
    }
    assert_int_equal(ol_model_create(&shape, NULL, &model), OL_OK);
    theta = calloc(model->P, sizeof *theta);
    assert_non_null(theta);
    assert_int_equal(ol_path_format(path, "%s/oracle/scores/tiny-gpt2/model.safetensors", folder),
                     OL_OK);
    read_theta(path, model, theta);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        score_file(folder, names[i], model, theta);
    free(theta);
    ol_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_prompts_have_their_reference_losses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
