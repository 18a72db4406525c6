/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/size.h"

#include <stdlib.h>
#include <string.h>

bool ol_size_multiply(size_t a, size_t b, size_t *product)
{
    size_t result;

    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}

ol_status ol_allocate(size_t count, size_t size, const char *what, void **out)
{
    *out = calloc(count ? count : 1, size ? size : 1); /* which checks the product itself */
    OL_CHECK(*out, OL_ENOMEM, "no memory for %zu %s (%zu bytes each)", count, what, size);
    return OL_OK;
}

ol_status ol_grow(void *items, size_t n, size_t size, const char *what)
{
    const size_t room = n > 0 ? 2 * n : 1;
    void *grown;

    if ((n & (n - 1)) != 0)
        return OL_OK;
    memcpy(&grown, items, sizeof grown);
    grown = reallocarray(grown, room, size);
    OL_CHECK(grown, OL_ENOMEM, "no memory for %zu %s (%zu bytes each)", room, what, size);
    memcpy(items, &grown, sizeof grown);
    return OL_OK;
}
