/* SPDX-License-Identifier: BSD-3-Clause */
#include "tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/sanitize.h" /* __SANITIZE_ADDRESS__ */
#include "outerloop/base/size.h"     /* OL_GROW */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* What is behind a file in its last page can be read, and is 0: AddressSanitizer is told that nobody
 * may. */
static void guard_end(const ol_mapped *file, bool guarded)
{
#ifdef __SANITIZE_ADDRESS__
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), used = file->size % page;
    const char *end = (const char *)file->base + file->size;

    if (used > 0 && guarded)
        __asan_poison_memory_region(end, page - used);
    else if (used > 0)
        __asan_unpoison_memory_region(end, page - used);
#else
    (void)file;
    (void)guarded;
#endif
}

ol_status ol_map_file(const char *path, size_t least, ol_mapped *out)
{
    void *base = MAP_FAILED;
    struct stat st;
    bool usable;
    int fd;

    OL_TRY(ol_open_input(path, &fd, &st));
    usable = (uint64_t)st.st_size > least && (uint64_t)st.st_size <= SIZE_MAX;
    if (usable)
        base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    OL_CHECK(usable, OL_EDATA, "%s: is too short for a header", path);
    OL_CHECK(base != MAP_FAILED, OL_ENOMEM, "%s: cannot map %zu bytes: %s", path,
             (size_t)st.st_size, strerror(errno));
    out->base = base;
    out->size = (size_t)st.st_size;
    snprintf(out->path, sizeof out->path, "%s", path);
    guard_end(out, true);
    return OL_OK;
}

void ol_unmap_file(ol_mapped *file)
{
    if (file->base) {
        guard_end(file, false);
        munmap((void *)(uintptr_t)file->base, file->size);
    }
    file->base = NULL;
}

uint64_t ol_little_number(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

ol_status ol_tensor_list_add(ol_tensor_list *list, const ol_stored *tensor)
{
    OL_TRY(OL_GROW(list->items, list->n, "tensors"));
    list->items[list->n] = *tensor;
    list->items[list->n].name = strdup(tensor->name);
    OL_CHECK(list->items[list->n].name, OL_ENOMEM, "no memory for the name of a tensor");
    list->n++;
    return OL_OK;
}

static int by_place(const void *a, const void *b)
{
    const ol_stored *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static size_t padded(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

ol_status ol_tensor_list_check(ol_tensor_list *list, size_t first, const char *path,
                               const char *data, size_t size, size_t alignment)
{
    size_t end = 0, bytes = 0;

    if (list->n > first)
        qsort(list->items + first, list->n - first, sizeof *list->items, by_place);
    for (size_t i = first; i < list->n; i++) {
        const ol_stored *t = &list->items[i];
        const size_t at = (size_t)((const char *)t->data - data);

        OL_CHECK(at == padded(end, alignment), OL_EDATA, "%s: %s: its data %s those before it",
                 path, t->name, at < end ? "overlap" : "leave a gap after");
        ol_stored_bytes(t->type, t->count, &bytes); /* was checked when it was placed */
        end = at + bytes;
    }
    OL_CHECK(size <= padded(end, alignment), OL_EDATA,
             "%s: %zu bytes at its end belong to no tensor", path, size - end);
    return OL_OK;
}

ol_status ol_tensor_list_sort(ol_tensor_list *list, const char *path)
{
    if (list->n > 0)
        qsort(list->items, list->n, sizeof *list->items, ol_stored_order);
    for (size_t i = 1; i < list->n; i++)
        OL_CHECK(strcmp(list->items[i - 1].name, list->items[i].name) != 0, OL_EDATA,
                 "%s: the tensor %s stands twice", path, list->items[i].name);
    return OL_OK;
}

void ol_tensor_list_finish(ol_tensor_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free((char *)(uintptr_t)list->items[i].name);
    free(list->items);
    *list = (ol_tensor_list){0};
}
