/* SPDX-License-Identifier: BSD-3-Clause */
#include "tokenizer_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "normal.h"              /* normal_append */
#include "outerloop/base/file.h" /* PATH_MAX      */

enum { DEEPEST = 8 }; /* Sequences within Sequences */

/* An object of the file and its place, "FILE: pre_tokenizer.pretokenizers[1]". */
typedef struct part {
    const json_t *json;
    char where[PATH_MAX + 200];
} part;

static void name_part(part *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void name_part(part *p, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(p->where, sizeof p->where, format, arguments);
    va_end(arguments);
}

static const char *type_of(const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "type"));

    return json_is_null(json) || !json ? "null" : type ? type : "";
}

/* Refuse members that no published version of the format has: they may change the tokens. */
static ol_status check_members(const part *p, const char *const *known, size_t n)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)p->json, name, value)
    {
        size_t i = 0;

        while (i < n && strcmp(name, known[i]) != 0)
            i++;
        OL_CHECK(i < n, OL_EDATA, "%s: \"%.80s\" is not supported", p->where, name);
    }
    return OL_OK;
}

#define CHECK_MEMBERS(p, ...)                                                                      \
    check_members(p, (const char *const[]){__VA_ARGS__},                                           \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* A member that is true or false; `absent` when it is not there. */
static ol_status read_flag(const part *p, const char *name, bool absent, bool *out)
{
    const json_t *value = json_object_get(p->json, name);

    OL_CHECK(!value || json_is_boolean(value), OL_EDATA, "%s: \"%s\" is not true or false",
             p->where, name);
    *out = value ? json_is_true(value) : absent;
    return OL_OK;
}

/* A member that must be false, as its being true is not supported. */
static ol_status refuse_flag(const part *p, const char *name)
{
    bool set = false;

    OL_TRY(read_flag(p, name, false, &set));
    OL_CHECK(!set, OL_EDATA, "%s: \"%s\" is not supported", p->where, name);
    return OL_OK;
}

/* A member that must be missing, null or "". */
static ol_status refuse_text(const part *p, const char *name)
{
    const json_t *value = json_object_get(p->json, name);

    OL_CHECK(!value || json_is_null(value) ||
                 (json_is_string(value) && json_string_length(value) == 0),
             OL_EDATA, "%s: \"%s\" is not supported", p->where, name);
    return OL_OK;
}

/* A merge written as one text, "LEFT RIGHT". */
static ol_status merge_of_text(vocabulary *v, merge_place place, const char *text, json_t *vocab,
                               ol_text *joined)
{
    const char *space = text ? strchr(text, ' ') : NULL;
    char left[1024];

    OL_CHECK(space && space > text && space[1] && !strchr(space + 1, ' '), OL_EDATA,
             "%s: model.merges[%d]: a merge is a pair of tokens, or two with one space between",
             place.path, place.number);
    OL_CHECK((size_t)(space - text) < sizeof left, OL_EDATA,
             "%s: model.merges[%d]: a token of %zu bytes", place.path, place.number,
             (size_t)(space - text));
    memcpy(left, text, (size_t)(space - text));
    left[space - text] = '\0';
    return vocabulary_merge(v, place, left, space + 1, vocab, joined);
}

static ol_status read_merge(vocabulary *v, merge_place place, const json_t *json, json_t *vocab,
                            ol_text *joined)
{
    const char *left = json_string_value(json_array_get(json, 0));
    const char *right = json_string_value(json_array_get(json, 1));

    if (json_array_size(json) == 2 && left && *left && right && *right)
        return vocabulary_merge(v, place, left, right, vocab, joined);
    return merge_of_text(v, place, json_string_value(json), vocab, joined);
}

static ol_status read_merges(vocabulary *v, const char *path, const json_t *merges, json_t *vocab)
{
    OL_AUTO_TEXT joined = {0};

    OL_CHECK(json_is_array(merges) && json_array_size(merges) < INT32_MAX, OL_EDATA,
             "%s: model.merges is no list", path);
    OL_TRY(vocabulary_start_merges(v, path, json_array_size(merges)));
    for (size_t i = 0; i < json_array_size(merges); i++)
        OL_TRY(read_merge(v, (merge_place){.path = path, .number = (int)i, .in_json = true},
                          json_array_get(merges, i), vocab, &joined));
    return OL_OK;
}

/* byte_fallback writes a character without a token as "<0xC4><0xA0>", where there are such tokens;
 * the characters that spell bytes begin with four values. */
static ol_status check_fallback(const part *p, const json_t *vocab)
{
    static const char *const tokens[] = {"<0xC2>", "<0xC3>", "<0xC4>", "<0xC5>"};

    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        if (json_object_get(vocab, tokens[i]))
            OL_TRY(refuse_flag(p, "byte_fallback"));
    return OL_OK;
}

/* Bytes without a token: Hugging Face's tokenizers drop them from the text, or put unk_token in
 * their place. Published vocabularies lack bytes that their training text never had; one without
 * a byte of plain English is not of this kind. */
static ol_status check_bytes(vocabulary *v, const part *p, json_t *vocab)
{
    const char *unknown = json_string_value(json_object_get(p->json, "unk_token"));
    const json_t *id = unknown && *unknown ? json_object_get(vocab, unknown) : NULL;

    if (vocabulary_lacks(v) == BYTES)
        return OL_OK;
    for (int byte = ' '; byte <= '~'; byte++)
        OL_CHECK(v->byte_id[byte] >= 0, OL_EDATA,
                 "%s.vocab: has no token for byte 0x%02X; is it a byte-level vocabulary?", p->where,
                 (unsigned)byte);
    OL_TRY(check_fallback(p, vocab));
    if (!unknown || !*unknown)
        return OL_OK;
    OL_TRY(read_flag(p, "fuse_unk", false, &v->fuse_unknown));
    OL_CHECK(id, OL_EDATA, "%s: unk_token \"%s\" is not in the vocabulary", p->where, unknown);
    for (int byte = 0; byte < BYTES; byte++)
        if (v->byte_id[byte] < 0) {
            v->byte_id[byte] = (int32_t)json_integer_value(id);
            v->unknown[byte] = true;
        }
    return OL_OK;
}

static ol_status read_model(tokenizer_parts *parts, const char *path, const json_t *root)
{
    part p = {.json = json_object_get(root, "model")};
    const json_t *dropout = json_object_get(p.json, "dropout");
    json_t *vocab = json_object_get(p.json, "vocab");
    vocabulary *v = &parts->vocabulary;
    bool whole = false;

    name_part(&p, "%s: model", path);
    OL_CHECK(json_is_object(p.json), OL_EDATA,
             "%s: there is none; is this a tokenizer.json of Hugging Face's?", p.where);
    OL_CHECK(!json_object_get(p.json, "type") || strcmp(type_of(p.json), "BPE") == 0, OL_EDATA,
             "%s: type \"%s\" is not supported; BPE is", p.where, type_of(p.json));
    OL_TRY(CHECK_MEMBERS(&p, "type", "dropout", "unk_token", "continuing_subword_prefix",
                         "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges",
                         "vocab", "merges"));
    OL_CHECK(!dropout || json_is_null(dropout) ||
                 (json_is_number(dropout) && json_number_value(dropout) == 0),
             OL_EDATA, "%s: \"dropout\" is not supported", p.where);
    OL_TRY(refuse_text(&p, "continuing_subword_prefix"));
    OL_TRY(refuse_text(&p, "end_of_word_suffix"));
    OL_TRY(read_flag(&p, "ignore_merges", false, &whole));
    OL_TRY(vocabulary_place(v, p.where, vocab));
    OL_TRY(check_bytes(v, &p, vocab));
    OL_TRY(read_merges(v, path, json_object_get(p.json, "merges"), vocab));
    return whole ? vocabulary_index(v, path, vocab) : OL_OK;
}

/* One step of the pre-tokenizer. @param spelt  set by ByteLevel, behind which nothing may stand:
 * the text is then in another alphabet. */
static ol_status read_step(tokenizer_parts *parts, const part *p, int depth, bool *spelt);

static ol_status read_byte_level(tokenizer_parts *parts, const part *p, bool *spelt)
{
    bool split = true;

    OL_TRY(CHECK_MEMBERS(p, "type", "add_prefix_space", "trim_offsets", "use_regex"));
    OL_TRY(refuse_flag(p, "add_prefix_space"));
    OL_TRY(read_flag(p, "use_regex", true, &split));
    *spelt = true;
    return split ? ol_splitter_add(parts->splitter, p->where, OL_GPT2_PATTERN) : OL_OK;
}

static ol_status read_split(tokenizer_parts *parts, const part *p)
{
    const char *behavior = json_string_value(json_object_get(p->json, "behavior"));
    const json_t *pattern = json_object_get(p->json, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));

    OL_TRY(CHECK_MEMBERS(p, "type", "pattern", "behavior", "invert"));
    OL_CHECK(behavior && strcmp(behavior, "Isolated") == 0, OL_EDATA,
             "%s: behavior \"%s\" is not supported; Isolated is", p->where,
             behavior ? behavior : "");
    OL_TRY(refuse_flag(p, "invert"));
    OL_CHECK(regex && json_object_size(pattern) == 1, OL_EDATA,
             "%s: a pattern other than {\"Regex\": ...} is not supported", p->where);
    return ol_splitter_add(parts->splitter, p->where, regex);
}

static ol_status read_digits(tokenizer_parts *parts, const part *p)
{
    bool single = false;

    OL_TRY(CHECK_MEMBERS(p, "type", "individual_digits"));
    OL_TRY(read_flag(p, "individual_digits", false, &single));
    return ol_splitter_add(parts->splitter, p->where, single ? "\\p{N}" : "\\p{N}+");
}

static ol_status read_sequence(tokenizer_parts *parts, const part *p, int depth, bool *spelt)
{
    const json_t *steps = json_object_get(p->json, "pretokenizers");

    OL_TRY(CHECK_MEMBERS(p, "type", "pretokenizers"));
    OL_CHECK(json_is_array(steps), OL_EDATA, "%s: has no list \"pretokenizers\"", p->where);
    OL_CHECK(depth < DEEPEST, OL_EDATA, "%s: more than %d Sequences in each other", p->where,
             DEEPEST);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        part step = {.json = json_array_get(steps, i)};

        name_part(&step, "%s.pretokenizers[%zu]", p->where, i);
        OL_TRY(read_step(parts, &step, depth + 1, spelt));
    }
    return OL_OK;
}

static ol_status read_step(tokenizer_parts *parts, const part *p, int depth, bool *spelt)
{
    const char *type = type_of(p->json);

    OL_CHECK(!*spelt, OL_EDATA, "%s: a step behind ByteLevel is not supported", p->where);
    if (strcmp(type, "Sequence") == 0)
        return read_sequence(parts, p, depth, spelt);
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(parts, p, spelt);
    if (strcmp(type, "Split") == 0)
        return read_split(parts, p);
    if (strcmp(type, "Digits") == 0)
        return read_digits(parts, p);
    return ol_fail(OL_EDATA,
                   "%s: \"%.80s\" is not supported; ByteLevel, Split, Digits and a Sequence of "
                   "them are",
                   p->where, type);
}

static ol_status read_pre_tokenizer(tokenizer_parts *parts, const char *path, const json_t *root)
{
    part p = {.json = json_object_get(root, "pre_tokenizer")};
    bool spelt = false;

    name_part(&p, "%s: pre_tokenizer", path);
    OL_TRY(ol_splitter_create(&parts->splitter));
    OL_TRY(read_step(parts, &p, 0, &spelt));
    OL_CHECK(spelt, OL_EDATA, "%s: has no ByteLevel; only byte-level BPE is supported", p.where);
    return OL_OK;
}

static ol_status read_normalizer(tokenizer_parts *parts, const part *p, int depth)
{
    const json_t *steps = json_object_get(p->json, "normalizers");
    const char *type = type_of(p->json);

    if (strcmp(type, "Sequence") != 0 || !json_is_array(steps) || depth == DEEPEST) {
        OL_CHECK(strcmp(type, "null") == 0 || strcmp(type, "NFC") == 0, OL_EDATA,
                 "%s: \"%.80s\" is not supported; NFC is", p->where, type);
        parts->nfc |= strcmp(type, "NFC") == 0;
        return OL_OK;
    }
    for (size_t i = 0; i < json_array_size(steps); i++) {
        part step = {.json = json_array_get(steps, i)};

        name_part(&step, "%s.normalizers[%zu]", p->where, i);
        OL_TRY(read_normalizer(parts, &step, depth + 1));
    }
    return OL_OK;
}

static ol_status check_decoder(const part *p, int depth)
{
    const json_t *steps = json_object_get(p->json, "decoders");
    part only = {.json = json_array_get(steps, 0)};

    if (depth < DEEPEST && strcmp(type_of(p->json), "Sequence") == 0 &&
        json_array_size(steps) == 1) {
        name_part(&only, "%s.decoders[0]", p->where);
        return check_decoder(&only, depth + 1);
    }
    OL_CHECK(strcmp(type_of(p->json), "ByteLevel") == 0, OL_EDATA,
             "%s: \"%.80s\" is not supported; ByteLevel is", p->where, type_of(p->json));
    return OL_OK;
}

/* Put a token into the vocabulary and where the text is searched for it, in normal form if that
 * is what is searched. @param normal  scratch */
static ol_status keep_added(tokenizer_parts *parts, const part *p, json_t *vocab, bool normalized,
                            added_token token, ol_text *normal)
{
    const char *content = json_string_value(json_object_get(p->json, "content"));
    const int64_t id = json_integer_value(json_object_get(p->json, "id"));

    if (normalized && parts->nfc)
        OL_TRY(normal_append(content, strlen(content), normal));
    else
        OL_TRY(ol_text_append(normal, content, strlen(content)));
    OL_TRY(vocabulary_add(&parts->vocabulary, p->where, vocab, content, normal->data, id));
    token.id = (int32_t)id;
    return added_append(normalized ? &parts->normal : &parts->raw, normal->data, normal->size,
                        token);
}

static ol_status read_added_token(tokenizer_parts *parts, const part *p, json_t *vocab)
{
    const char *content = json_string_value(json_object_get(p->json, "content"));
    bool normalized = false, special = false;
    added_token token = {0};
    OL_AUTO_TEXT normal = {0};

    OL_CHECK(content && *content && json_is_integer(json_object_get(p->json, "id")), OL_EDATA,
             "%s: has no \"id\" and \"content\"", p->where);
    OL_TRY(CHECK_MEMBERS(p, "id", "content", "single_word", "lstrip", "rstrip", "normalized",
                         "special"));
    OL_TRY(refuse_flag(p, "single_word"));
    OL_TRY(read_flag(p, "special", false, &special));
    OL_TRY(read_flag(p, "normalized", !special, &normalized));
    OL_TRY(read_flag(p, "lstrip", false, &token.lstrip));
    OL_TRY(read_flag(p, "rstrip", false, &token.rstrip));
    return keep_added(parts, p, vocab, normalized, token, &normal);
}

static ol_status read_added(tokenizer_parts *parts, const char *path, const json_t *root)
{
    const json_t *list = json_object_get(root, "added_tokens");
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const added_token *twice;

    OL_CHECK(!list || json_is_null(list) || json_is_array(list), OL_EDATA,
             "%s: added_tokens is no list", path);
    for (size_t i = 0; i < json_array_size(list); i++) {
        part p = {.json = json_array_get(list, i)};

        name_part(&p, "%s: added_tokens[%zu]", path, i);
        OL_TRY(read_added_token(parts, &p, vocab));
    }
    twice = added_sort(&parts->raw);
    if (!twice)
        twice = added_sort(&parts->normal);
    OL_CHECK(!twice, OL_EDATA, "%s: added_tokens: \"%.*s\" stands twice", path,
             (int)(twice ? twice->n : 0), twice ? twice->content : "");
    return OL_OK;
}

ol_status tokenizer_json_read(tokenizer_parts *parts, const char *path, const json_t *root)
{
    part normalizer = {.json = json_object_get(root, "normalizer")};
    part decoder = {.json = json_object_get(root, "decoder")};

    OL_CHECK(json_is_object(root), OL_EDATA, "%s: is no object; is it a tokenizer.json?", path);
    name_part(&normalizer, "%s: normalizer", path);
    name_part(&decoder, "%s: decoder", path);
    OL_TRY(read_pre_tokenizer(parts, path, root));
    OL_TRY(read_normalizer(parts, &normalizer, 0));
    OL_TRY(check_decoder(&decoder, 0));
    OL_TRY(read_model(parts, path, root));
    return read_added(parts, path, root);
}

void tokenizer_parts_finish(tokenizer_parts *parts)
{
    vocabulary_finish(&parts->vocabulary);
    ol_splitter_destroy(parts->splitter);
    added_finish(&parts->raw);
    added_finish(&parts->normal);
    *parts = (tokenizer_parts){0};
}
