/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of parameters, random parameters, and shapes that cannot be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tiny.h"

static void test_table(void **state)
{
    ol_model *model = tiny_model(3, 16);
    size_t at = 0;

    (void)state;
    assert_int_equal(model->n_params, 4 + 3 * 12);
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];

        assert_int_equal(param->offset, at);
        assert_int_equal(param->size, param->rows * (param->cols > 0 ? param->cols : 1));
        assert_ptr_equal(ol_model_param(model, param->name), param);
        at += param->size;
    }
    assert_int_equal(at, model->P);
    /* 13·8 + 16·8 + 3 (4·8 + 8·24+24 + 8·8+8 + 8·32+32 + 32·8+8) + 2·8 */
    assert_int_equal(model->P, 104 + 128 + 3 * 872 + 16);
    assert_int_equal(ol_model_param(model, "h.2.attn.c_attn.weight")->cols, 24);
    assert_int_equal(ol_model_param(model, "h.0.ln_1.bias")->cols, 0);
    assert_null(ol_model_param(model, "h.3.ln_1.bias"));
    assert_null(ol_model_param(model, ""));
    ol_model_destroy(model);
    ol_model_destroy(NULL);
}

static void test_random(void **state)
{
    ol_model *model = tiny_model(2, 128);
    ol_real *a = tiny_reals(model->P), *b = tiny_reals(model->P);
    const ol_param *wpe = ol_model_param(model, "wpe.weight");
    const double std = 0.02 * sqrt(768.0 / model->spec.width); /* GPT-2's, at its width */
    double sum = 0;

    (void)state;
    ol_model_random(model, 1, a, NULL);
    ol_model_random(model, 1, b, NULL);
    assert_memory_equal(a, b, model->P * sizeof *a);
    ol_model_random(model, 2, b, NULL);
    assert_memory_not_equal(a, b, model->P * sizeof *a);
    for (size_t i = 0; i < wpe->size; i++)
        sum += pow((double)a[wpe->offset + i], 2);
    /* the standard deviation of 1024 normals is known to 1/√2048 = 2 %: 5 of those */
    assert_true(fabs(sqrt(sum / (double)wpe->size) - std) < std * 0.11);
    for (int i = 0; i < 8; i++) {
        assert_true(a[ol_model_param(model, "ln_f.weight")->offset + (size_t)i] == 1);
        assert_true(a[ol_model_param(model, "h.1.mlp.c_fc.bias")->offset + (size_t)i] == 0);
    }
    free(a);
    free(b);
    ol_model_destroy(model);
}

static void refused(ol_model_spec spec, const char *said)
{
    ol_model *model = NULL;

    assert_int_equal(ol_model_create(&spec, NULL, &model), OL_EUSAGE);
    assert_null(model);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
}

static void test_impossible_shapes(void **state)
{
    const ol_model_spec good = OL_MODEL_SPEC_INIT;
    ol_model_spec bad = good;

    (void)state;
    bad.heads = 3;
    refused(bad, "not a multiple of heads 3");
    bad = good, bad.layers = 0;
    refused(bad, "layers (0)");
    bad = good, bad.layers = -1;
    refused(bad, "layers (-1)");
    bad = good, bad.vocab = 0;
    refused(bad, "vocab (0)");
    bad = good, bad.context = 1;
    refused(bad, "context (1)");
    bad = good, bad.norm_eps = 0;
    refused(bad, "ln_eps");
    bad = good, bad.width = 1 << 16, bad.vocab = 1 << 16;
    refused(bad, "2^31");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_impossible_shapes),
    };

    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
