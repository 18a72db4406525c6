/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "run_parts.h"

ol_status ol_set_list_add(set_list *list, const char *set)
{
    OL_TRY(OL_GROW(list->items, list->n, "keys of a job"));
    list->items[list->n] = strdup(set);
    OL_CHECK(list->items[list->n], OL_ENOMEM, "no memory for a job");
    list->n++;
    return OL_OK;
}

ol_status ol_set_list_add_output(set_list *list, const char *path)
{
    OL_AUTO_TEXT set = {0};

    OL_TRY(ol_text_format(&set, "output=\""));
    for (; *path; path++)
        OL_TRY(ol_text_format(&set, "%s%c", strchr("\"\\", *path) ? "\\" : "", *path));
    OL_TRY(ol_text_format(&set, "\""));
    return ol_set_list_add(list, set.data);
}

void ol_set_list_finish(set_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (set_list){0};
}
