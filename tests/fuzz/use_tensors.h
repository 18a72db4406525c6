/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that a file of tensors gives: its values, by itself and as a model. */
#ifndef TESTS_FUZZ_USE_TENSORS_H
#define TESTS_FUZZ_USE_TENSORS_H

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "outerloop/model/import.h"
#include "outerloop/store/stored.h"

enum { USE_PIECE = 1000, USE_MOST = 1 << 22 }; /* values at a time, of a model that is filled */

/** Decode all values, in pieces that end within blocks, and find each tensor by its name. */
static inline void use_tensors(const ol_stored_list *list)
{
    float values[USE_PIECE];

    for (size_t i = 0; i < list->n; i++) {
        const ol_stored *t = &list->items[i];

        if (ol_stored_find(list, t->name) != t)
            fuzz_found("a tensor that its name does not find");
        for (size_t at = 0; ol_stored_is_read(t->type) && at < t->count; at += USE_PIECE)
            ol_stored_read(t, at, t->count - at < USE_PIECE ? t->count - at : USE_PIECE, values);
    }
}

/** Fill a model of that shape, as `score` does. @return true when all of it was there */
static inline bool use_model(const char *path, const ol_model_spec *spec)
{
    ol_model *model = NULL;
    bool filled = false;
    ol_real *theta;

    if (ol_model_create(spec, NULL, &model) != OL_OK)
        return false;
    if (model->P <= USE_MOST) {
        theta = malloc(model->P * sizeof *theta);
        filled = theta && ol_import_weights(path, model, theta, NULL) == OL_OK;
        free(theta);
    }
    ol_model_destroy(model);
    return filled;
}

#endif
