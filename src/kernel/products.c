/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/products.h"

#include <stdbool.h>
#include <stddef.h>

const char *const ol_products_names[] = {"f32", "bf16", "bf16x3", "auto", NULL};

static ol_products used = OL_PRODUCTS_F32;
static bool small_too;

#ifdef OL_ONEDNN

#include <dlfcn.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/kernel/bf16.h" /* ol_bf16_round */

enum {
    STEP_K = 32, /* k is filled up with zeros: kernels read bfloat16 in pairs and blocks */
    SETS = 16,   /* of products kept, by their hash: WAYS in each */
    WAYS = 8,
    CODE_BYTES = 200 << 10, /* of a product: its shape has code of its own */
    ALIGN = 64
};

/* What a prepared product depends on. All fields are ints, so that it can be compared as bytes. */
struct shape {
    int m, n, k; /* k a multiple of STEP_K */
    int lda, ldb, ldc;
    int a_turned, b_turned;
    int adds;
};

struct product {
    struct shape shape;
    dnnl_primitive_t primitive; /* NULL in a free place */
    dnnl_memory_t a, b, c;
    uint64_t used; /* when it was, by a count of products */
};

static struct product products[SETS][WAYS];
static uint64_t made;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

/* An operand as bfloat16: its upper part, and in (3) its lower part. */
struct part {
    uint16_t *bytes;
    size_t room;
};

static struct part scratch[4]; /* a, b, and their lower parts */

/* oneDNN's answer to something that cannot fail but for memory; there is no way to go on. */
static void insist(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success) {
        fprintf(stderr, "outerloop: oneDNN cannot %s (status %d)\n", what, (int)status);
        abort();
    }
}

static uint16_t *room_for(int i, size_t count)
{
    struct part *part = &scratch[i];

    if (part->room < count) {
        const size_t room = (count + count / 4 + ALIGN) / ALIGN * ALIGN;

        free(part->bytes);
        part->bytes = aligned_alloc(ALIGN, room * sizeof *part->bytes);
        insist(part->bytes ? dnnl_success : dnnl_out_of_memory, "get memory for a factor");
        part->room = room;
    }
    return part->bytes;
}

static uint16_t rounded(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return ol_bf16_round(bits, x != x);
}

/* upper = bf16(scale x). */
static void round_row(size_t n, float scale, const float *restrict x, uint16_t *restrict upper)
{
    size_t i = 0;

#ifdef __AVX512BF16__
    for (; i + 16 <= n; i += 16) {
        const __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(x + i));

        _mm256_storeu_si256((__m256i *)(void *)(upper + i), (__m256i)_mm512_cvtneps_pbh(scaled));
    }
#endif
    for (; i < n; i++)
        upper[i] = rounded(scale * x[i]);
}

/* lower = bf16(scale x - upper). */
static void round_rest(size_t n, float scale, const float *restrict x,
                       const uint16_t *restrict upper, uint16_t *restrict lower)
{
    for (size_t i = 0; i < n; i++)
        lower[i] = rounded(scale * x[i] - ol_bf16_widen(upper[i]));
}

/* rows x cols reals as bfloat16, closely packed, with zeros up to full_rows x full_cols. */
static void convert(const ol_factor *f, float scale, int rows, int cols, int full_rows,
                    int full_cols, uint16_t *upper, uint16_t *lower)
{
    const size_t n = (size_t)cols, width = (size_t)full_cols;

    for (int i = 0; i < full_rows; i++) {
        const size_t at = (size_t)i * width, kept = i < rows ? n : 0;

        if (i < rows) {
            round_row(n, scale, f->reals + (size_t)i * (size_t)f->ld, upper + at);
            if (lower)
                round_rest(n, scale, f->reals + (size_t)i * (size_t)f->ld, upper + at, lower + at);
        }
        memset(upper + at + kept, 0, (width - kept) * sizeof *upper);
        if (lower)
            memset(lower + at + kept, 0, (width - kept) * sizeof *lower);
    }
}

static dnnl_memory_t new_memory(int rows, int cols, int down, int across, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, cols}, strides = {down, across};
    dnnl_memory_t memory;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t form;

    insist(dnnl_memory_desc_create_with_strides(&form, 2, dims, type, strides),
           "describe a matrix");
    insist(dnnl_memory_create(&memory, form, engine, DNNL_MEMORY_NONE), "make a matrix");
    dnnl_memory_desc_destroy(form);
#else
    dnnl_memory_desc_t form;

    insist(dnnl_memory_desc_init_by_strides(&form, 2, dims, type, strides), "describe a matrix");
    insist(dnnl_memory_create(&memory, &form, engine, DNNL_MEMORY_NONE), "make a matrix");
#endif
    return memory;
}

/* The description of a product, from those of its matrices. */
static dnnl_primitive_desc_t describe(const struct product *p)
{
#if DNNL_VERSION_MAJOR >= 3
    const_dnnl_memory_desc_t a, b, c;
#else
    const dnnl_memory_desc_t *a, *b, *c;
    dnnl_matmul_desc_t matmul;
#endif
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t after;
    dnnl_primitive_desc_t description;

    insist(dnnl_memory_get_memory_desc(p->a, &a), "read a matrix");
    insist(dnnl_memory_get_memory_desc(p->b, &b), "read a matrix");
    insist(dnnl_memory_get_memory_desc(p->c, &c), "read a matrix");
    insist(dnnl_primitive_attr_create(&attributes), "make attributes");
    insist(dnnl_post_ops_create(&after), "make a sum");
#if DNNL_VERSION_MAJOR >= 3
    if (p->shape.adds)
        insist(dnnl_post_ops_append_sum(after, 1, 0, dnnl_f32), "make a sum");
    insist(dnnl_primitive_attr_set_post_ops(attributes, after), "make a sum");
    insist(dnnl_matmul_primitive_desc_create(&description, engine, a, b, NULL, c, attributes),
           "describe a product");
#else
    if (p->shape.adds)
        insist(dnnl_post_ops_append_sum(after, 1), "make a sum");
    insist(dnnl_primitive_attr_set_post_ops(attributes, after), "make a sum");
    insist(dnnl_matmul_desc_init(&matmul, a, b, NULL, c), "describe a product");
    insist(dnnl_primitive_desc_create(&description, &matmul, attributes, engine, NULL),
           "describe a product");
#endif
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
    return description;
}

static void prepare(struct product *p, const struct shape *s)
{
    dnnl_primitive_desc_t description;

    if (p->primitive) {
        dnnl_primitive_destroy(p->primitive);
        dnnl_memory_destroy(p->a);
        dnnl_memory_destroy(p->b);
        dnnl_memory_destroy(p->c);
    }
    p->shape = *s;
    p->a = new_memory(s->m, s->k, s->a_turned ? 1 : s->lda, s->a_turned ? s->lda : 1, dnnl_bf16);
    p->b = new_memory(s->k, s->n, s->b_turned ? 1 : s->ldb, s->b_turned ? s->ldb : 1, dnnl_bf16);
    p->c = new_memory(s->m, s->n, s->ldc, 1, dnnl_f32);
    description = describe(p);
    insist(dnnl_primitive_create(&p->primitive, description), "prepare a product");
    dnnl_primitive_desc_destroy(description);
}

/* FNV-1a over the ints. */
static unsigned set_of(const struct shape *s)
{
    const int *words = (const int *)s;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof *s / sizeof *words; i++)
        hash = (hash ^ (uint32_t)words[i]) * 16777619u;
    return (hash ^ (hash >> 15)) % SETS;
}

/* The product of that shape, prepared; in the place of the one that was not used the longest. */
static struct product *find(const struct shape *s)
{
    struct product *set = products[set_of(s)], *oldest = set;

    for (struct product *p = set; p < set + WAYS; p++) {
        if (p->primitive && memcmp(&p->shape, s, sizeof *s) == 0)
            return p;
        if (p->used < oldest->used)
            oldest = p;
    }
    prepare(oldest, s);
    return oldest;
}

/* c = a b or c += a b. */
static void multiply(const struct shape *s, const uint16_t *a, const uint16_t *b, float *c)
{
    struct product *p = find(s);

    p->used = ++made;
    insist(dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)a), "take a matrix");
    insist(dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)b), "take a matrix");
    insist(dnnl_memory_set_data_handle(p->c, c), "take a matrix");

    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}};

    insist(dnnl_primitive_execute(p->primitive, stream, 3, arguments), "multiply");
    insist(dnnl_stream_wait(stream), "multiply");
}

/* Is it worth its conversions? In picoseconds, roughly, of a core with AVX512_BF16: a multiplication
 * and addition takes 19 in f32 and 5 in bf16, an element's conversion 200, a call 4 million. In f32
 * AVX-512 takes half of that; counting so changed no time. The answer depends on the shape alone, as
 * bits must. */
static bool gains(int m, int n, int k, bool b_is_bf16)
{
    const double converted = (double)m * k + (b_is_bf16 ? 0.0 : (double)k * n);

    return 14.0 * m * n * k > 200.0 * converted + 4e6;
}

static int up(int n)
{
    return (n + STEP_K - 1) / STEP_K * STEP_K;
}

size_t ol_products_bytes(int m, int n, int k, bool b_is_bf16)
{
    const size_t depth = (size_t)up(k), each = used == OL_PRODUCTS_BF16X3 ? 4 : 2;
    const size_t reals = (size_t)m * depth + (b_is_bf16 ? 0 : (size_t)n * depth);

    if (used == OL_PRODUCTS_F32 || !(small_too || gains(m, n, k, b_is_bf16)))
        return 0;
    return (size_t)SETS * WAYS * CODE_BYTES + each * reals;
}

static void scale_rows(int m, int n, float beta, float *c, int ldc)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            c[(size_t)i * (size_t)ldc + (size_t)j] *= beta;
}

/* The factor as bfloat16 of `rows` by `cols`, filled up; *ld is the distance between its rows. */
static uint16_t *take(int i, const ol_factor *f, float scale, int rows, int cols, int full_rows,
                      int full_cols, bool lower)
{
    const size_t count = (size_t)full_rows * (size_t)full_cols;
    uint16_t *upper = room_for(i, count);

    convert(f, scale, rows, cols, full_rows, full_cols, upper,
            lower ? room_for(i + 2, count) : NULL);
    return upper;
}

bool ol_products_multiply(int m, int n, int k, float alpha, ol_factor a, ol_factor b, float beta,
                          float *c, int ldc)
{
    const bool thrice = used == OL_PRODUCTS_BF16X3;
    const int full = up(k);
    struct shape s = {.m = m,
                      .n = n,
                      .k = full,
                      .lda = a.turned ? m : full,
                      .ldb = b.bf16     ? b.ld
                             : b.turned ? full
                                        : n,
                      .ldc = ldc,
                      .a_turned = a.turned,
                      .b_turned = b.turned,
                      .adds = beta != 0};
    const uint16_t *x, *y;

    if (used == OL_PRODUCTS_F32 || !(small_too || gains(m, n, k, b.bf16 != NULL)) ||
        (b.bf16 && full != k))
        return false;
    if (beta != 0 && beta != 1)
        scale_rows(m, n, beta, c, ldc);
    x = a.turned ? take(0, &a, alpha, k, m, full, m, thrice)
                 : take(0, &a, alpha, m, k, m, full, thrice);
    y = b.bf16     ? b.bf16
        : b.turned ? take(1, &b, 1, n, k, n, full, thrice)
                   : take(1, &b, 1, k, n, full, n, thrice);
    multiply(&s, x, y, c);
    if (thrice) {
        s.adds = 1;
        if (!b.bf16)
            multiply(&s, x, scratch[3].bytes, c);
        multiply(&s, scratch[2].bytes, y, c);
    }
    return true;
}

static const char *isa_name(dnnl_cpu_isa_t isa)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } names[] = {
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx2, "avx2"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((isa & names[i].isa) == names[i].isa)
            return names[i].name;
    return "sse41";
}

static bool has(dnnl_cpu_isa_t wanted)
{
    return (dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

static ol_status start(void)
{
    if (!engine)
        OL_CHECK(dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
                     dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success,
                 OL_ENOMEM, "oneDNN does not start");
    dnnl_set_primitive_cache_capacity(0); /* or what is not kept here is kept there */
    return OL_OK;
}

ol_status ol_products_use(ol_products kind)
{
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();

    if (kind == OL_PRODUCTS_AUTO)
        kind = has(dnnl_cpu_isa_avx512_core_bf16) ? OL_PRODUCTS_BF16 : OL_PRODUCTS_F32;
    OL_CHECK(
        kind == OL_PRODUCTS_F32 || has(dnnl_cpu_isa_avx512_core_bf16), OL_EUSAGE,
        "precision = \"%s\" wants a processor with bfloat16 dot products (AVX512_BF16 or AMX); "
        "this one has %s, where float32 is faster: take \"f32\" or \"auto\"",
        ol_products_names[kind], isa_name(isa));
    OL_CHECK(kind != OL_PRODUCTS_BF16X3 || has(dnnl_cpu_isa_avx512_core_amx), OL_EUSAGE,
             "precision = \"bf16x3\" makes three products of one, which only AMX does faster than "
             "float32; this processor has %s: take \"f32\", \"bf16\" or \"auto\"",
             isa_name(isa));
    if (kind != OL_PRODUCTS_F32)
        OL_TRY(start());
    used = kind;
    return OL_OK;
}

const char *ol_products_describe(void)
{
    static char text[OL_PRODUCTS_TEXT];
    const dnnl_version_t *version = dnnl_version();

    if (used == OL_PRODUCTS_F32)
        return ol_products_names[used];
    snprintf(text, sizeof text, "%s (oneDNN %d.%d.%d, %s)", ol_products_names[used], version->major,
             version->minor, version->patch, isa_name(dnnl_get_effective_cpu_isa()));
    return text;
}

/* oneDNN brings an OpenMP runtime of its compiler's; it is asked by name, so that this program need
 * not be linked with one of its own. */
void ol_products_threads(int threads)
{
    void (*set)(int) = NULL;
    void *found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");

    memcpy(&set, &found, sizeof set);
    if (set)
        set(threads);
}

#else

ol_status ol_products_use(ol_products kind)
{
    OL_CHECK(kind == OL_PRODUCTS_F32 || kind == OL_PRODUCTS_AUTO, OL_EUSAGE,
             "precision = \"%s\" wants oneDNN, which this program was built without: install "
             "libdnnl-dev and build again, or take \"f32\"",
             ol_products_names[kind]);
    return OL_OK;
}

const char *ol_products_describe(void)
{
    return ol_products_names[used];
}

void ol_products_threads(int threads)
{
    (void)threads;
}

size_t ol_products_bytes(int m, int n, int k, bool b_is_bf16)
{
    (void)m, (void)n, (void)k, (void)b_is_bf16;
    return 0;
}

bool ol_products_multiply(int m, int n, int k, float alpha, ol_factor a, ol_factor b, float beta,
                          float *c, int ldc)
{
    (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)b, (void)beta, (void)c, (void)ldc;
    return false;
}

#endif

void ol_products_all(bool all)
{
    small_too = all;
}

ol_products ol_products_used(void)
{
    return used;
}
