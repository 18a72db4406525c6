/* SPDX-License-Identifier: BSD-3-Clause */
/* Which checkpoints of a folder to use, keep and delete. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h" /* ol_each_file */
#include "outerloop/base/log.h"
#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/store/checkpoint.h"
#include "seal.h"

/* A file that may be a checkpoint, and what it says of itself. */
struct candidate {
    char *path;
    ol_seal seal;     /* step -1 when it cannot be read */
    char reason[512]; /* why it cannot                  */
};

struct candidates {
    struct candidate *items;
    size_t n;
};

static void finish_candidates(struct candidates *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->items[i].path);
    free(all->items);
    *all = (struct candidates){0};
}

static ol_status add_candidate(void *candidates, const char *path)
{
    struct candidates *all = candidates;
    struct candidate *item;

    OL_TRY(OL_GROW(all->items, all->n, "checkpoints"));
    item = &all->items[all->n];
    *item = (struct candidate){.path = strdup(path)};
    OL_CHECK(item->path, OL_ENOMEM, "%s: no memory to list checkpoints", path);
    all->n++;
    if (ol_seal_read(path, &item->seal) != OL_OK) {
        snprintf(item->reason, sizeof item->reason, "%.500s", ol_status_message());
        item->seal.step = -1;
    }
    return OL_OK;
}

static int newest_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return (y->seal.step > x->seal.step) - (y->seal.step < x->seal.step);
}

/* All candidates, newest first by the step inside, unreadable ones last. */
static ol_status list_candidates(const char *folder, struct candidates *all)
{
    OL_TRY(ol_each_file(folder, "step-*.h5", add_candidate, all));
    if (all->n > 1)
        qsort(all->items, all->n, sizeof *all->items, newest_first);
    return OL_OK;
}

/* Is it whole, and does it pass the test? */
static ol_status examine(const char *path, ol_checkpoint_test *test, void *payload)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_checkpoint_verify(path));
    if (!test)
        return OL_OK;
    OL_TRY(ol_checkpoint_open(path, &file));
    return test(payload, path, file);
}

/* The first that will do. Each one before it, and each unreadable one, is named with the reason. */
static const struct candidate *choose(const struct candidates *all, ol_checkpoint_test *test,
                                      void *payload)
{
    const struct candidate *chosen = NULL;

    for (size_t i = 0; i < all->n; i++) {
        const struct candidate *item = &all->items[i];

        if (item->seal.step < 0)
            ol_log_warn("checkpoint passed over: %s", item->reason);
        else if (!chosen && examine(item->path, test, payload) == OL_OK)
            chosen = item;
        else if (!chosen)
            ol_log_warn("checkpoint passed over: %s", ol_status_message());
    }
    return chosen;
}

ol_status ol_checkpoint_newest(const char *folder, ol_checkpoint_test *test, void *payload,
                               char path[PATH_MAX], int64_t *step)
{
    OL_AUTO(finish_candidates) struct candidates all = {0};
    const struct candidate *chosen;

    path[0] = '\0';
    *step = -1;
    OL_TRY(list_candidates(folder, &all));
    chosen = choose(&all, test, payload);
    OL_CHECK(chosen || all.n == 0, OL_EDATA,
             "%s: none of its %zu checkpoints will do (reasons above): put back a copy of one, or "
             "move this folder elsewhere, and --resume begins anew",
             folder, all.n);
    if (!chosen)
        return OL_OK;
    *step = chosen->seal.step;
    return ol_path_format(path, "%s", chosen->path);
}

ol_status ol_checkpoint_run(const char *folder, char run_id[OL_CHECKPOINT_RUN_ID])
{
    OL_AUTO(finish_candidates) struct candidates all = {0};

    run_id[0] = '\0';
    OL_TRY(list_candidates(folder, &all));
    for (size_t i = 0; i < all.n && all.items[i].seal.step >= 0; i++) {
        if (i > 0 && strcmp(all.items[i].seal.run_id, run_id) != 0) {
            run_id[0] = '\0';
            return OL_OK;
        }
        snprintf(run_id, OL_CHECKPOINT_RUN_ID, "%s", all.items[i].seal.run_id);
    }
    return OL_OK;
}

static ol_status remove_file(void *payload, const char *path)
{
    int *removed = payload;

    OL_CHECK(unlink(path) == 0 || errno == ENOENT, OL_EIO, "%s: cannot remove: %s", path,
             strerror(errno));
    ++*removed;
    return OL_OK;
}

/* Delete what `keep` does not hold, among the candidates of that run and not newer than `step`. */
static ol_status prune(const struct candidates *all, const char *newest, const char *run_id,
                       int64_t step, ol_checkpoint_keep keep, int *removed)
{
    int rank = 0; /* 0 is the newest of this run */

    for (size_t i = 0; i < all->n; i++) {
        const struct candidate *item = &all->items[i];

        if (item->seal.step < 0 || item->seal.step > step || strcmp(item->seal.run_id, run_id) != 0)
            continue;
        if (rank++ < keep.last || strcmp(item->path, newest) == 0 ||
            (keep.every > 0 && item->seal.step % keep.every == 0))
            continue;
        OL_TRY(remove_file(removed, item->path));
    }
    return OL_OK;
}

ol_status ol_checkpoint_prune(const char *folder, const char *newest, ol_checkpoint_keep keep,
                              int *removed)
{
    OL_AUTO(finish_candidates) struct candidates all = {0};
    OL_AUTO_CHECKPOINT *checkpoint = NULL;
    int n = 0, leftovers = 0;

    removed = removed ? removed : &n;
    *removed = 0;
    keep.last = keep.last < 1 ? 1 : keep.last;
    OL_TRY(ol_checkpoint_open(newest, &checkpoint));
    OL_TRY(list_candidates(folder, &all));
    OL_TRY(prune(&all, newest, ol_checkpoint_head(checkpoint)->run_id,
                 ol_checkpoint_head(checkpoint)->step, keep, removed));
    /* what an earlier write that failed could not take away */
    return ol_each_file(folder, "step-*.h5.tmp-*", remove_file, &leftovers);
}
