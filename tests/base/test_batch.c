/* SPDX-License-Identifier: BSD-3-Clause */
/* Ragged batches: growing, joining, and what is refused before any work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/batch.h"

static const int32_t TOKENS[6] = {5, 1, 2, 3, 0, 9};
static const uint8_t MASK[6] = {0, 0, 1, 0, 1, 1};

static void append(ol_batch *batch, int64_t n)
{
    assert_int_equal(ol_batch_append(batch, n, TOKENS, MASK), OL_OK);
}

static void test_append(void **state)
{
    ol_batch batch = {0}, twice = {0};

    (void)state;
    assert_int_equal(ol_batch_tokens(&batch), 0);
    assert_int_equal(ol_batch_longest(&batch), 0);
    for (int b = 0; b < 100; b++)
        append(&batch, 3 + b % 4);
    assert_int_equal(batch.B, 100);
    assert_int_equal(ol_batch_tokens(&batch), 25 * (3 + 4 + 5 + 6));
    assert_int_equal(ol_batch_longest(&batch), 6);
    assert_int_equal(ol_batch_extend(&twice, &batch), OL_OK);
    assert_int_equal(ol_batch_extend(&twice, &batch), OL_OK);
    assert_int_equal(twice.B, 200);
    for (int b = 0; b < 200; b++) {
        const int64_t at = twice.offsets[b], n = twice.offsets[b + 1] - at;

        assert_int_equal(n, 3 + b % 4);
        assert_memory_equal(twice.tokens + at, TOKENS, (size_t)n * sizeof TOKENS[0]);
        assert_memory_equal(twice.loss_mask + at, MASK, (size_t)n);
    }
    ol_batch_clear(&twice);
    assert_int_equal(ol_batch_tokens(&twice), 0);
    append(&twice, 4);
    assert_int_equal(twice.offsets[1], 4);
    ol_batch_finish(&batch);
    ol_batch_finish(&twice);
    ol_batch_finish(&twice);
    ol_batch_finish(NULL);
}

static void refused(const ol_batch *batch, int V, int context, const char *said)
{
    assert_int_equal(ol_batch_check(batch, V, context, "the query"), OL_EDATA);
    if (!strstr(ol_status_message(), "the query") || !strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
}

static void test_check(void **state)
{
    ol_batch batch = {0};

    (void)state;
    refused(&batch, 10, 8, "no prompts");
    append(&batch, 4);
    append(&batch, 6);
    assert_int_equal(ol_batch_check(&batch, 10, 6, "the query"), OL_OK);
    refused(&batch, 9, 6, "prompt 1 holds token 9");
    assert_int_equal(ol_batch_check(&batch, 10, 5, "the query"), OL_OK);
    refused(&batch, 10, 4, "prompt 1 has 6 tokens");
    batch.tokens[1] = -1;
    refused(&batch, 10, 6, "prompt 0 holds token -1");
    batch.tokens[1] = 1;
    batch.loss_mask[4] = 1; /* first token of prompt 1: a mark there counts for nothing */
    assert_int_equal(ol_batch_check(&batch, 10, 6, "the query"), OL_OK);
    batch.loss_mask[0] = 1;
    batch.loss_mask[2] = 0; /* the only score of prompt 0 */
    refused(&batch, 10, 6, "prompt 0 scores no token");
    batch.loss_mask[2] = 1;
    append(&batch, 1);
    refused(&batch, 10, 6, "prompt 2 has 1 tokens");
    ol_batch_finish(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
