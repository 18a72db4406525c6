/* SPDX-License-Identifier: BSD-3-Clause */
#include "tokenizer_texts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/log.h"   /* ol_log_warn     */
#include "outerloop/text/split.h" /* OL_GPT2_PATTERN */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORDS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define THE_REST " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

enum { MOST_STEPS = 4, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, MOST_TOKENS = 1 << 21 };

/* How text is split: patterns in turn. */
typedef struct splitting {
    const char *names; /* separated and ended by spaces */
    bool nfc, ignore_merges;
    const char *patterns[MOST_STEPS + 1];
} splitting;

static const splitting splittings[] = {
    {"gpt-2 gpt2 ", false, false, {OL_GPT2_PATTERN}},
    {"llama-bpe llama3 llama-v3 ", false, true, {CONTRACTIONS "|" WORDS "|\\p{N}{1,3}|" THE_REST}},
    {"qwen2 deepseek-r1-qwen ", true, false, {CONTRACTIONS "|" WORDS "|\\p{N}|" THE_REST}},
    {"smollm ", false, false, {"\\p{N}", OL_GPT2_PATTERN}},
    {"default ",
     false,
     false,
     {"[\\p{P}\\$\\+<=>\\^~\\|]+", OL_GPT2_PATTERN, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

static bool is_named(const splitting *s, ol_gguf_text name)
{
    for (const char *at = s->names; *at; at = strchr(at, ' ') + 1)
        if ((size_t)(strchr(at, ' ') - at) == name.n && memcmp(at, name.bytes, name.n) == 0)
            return true;
    return false;
}

static ol_status find_splitting(const ol_gguf *file, const splitting **out)
{
    static const char key[] = "tokenizer.ggml.pre";
    ol_gguf_text name = {"default", strlen("default")};

    if (ol_gguf_has(file, key))
        OL_TRY(ol_gguf_get_text(file, key, &name));
    else
        ol_log_warn("%s: %s is missing: text is split in the default way, which may not be the "
                    "model's own",
                    ol_gguf_path(file), key);
    for (size_t i = 0; i < sizeof splittings / sizeof *splittings; i++)
        if (is_named(&splittings[i], name)) {
            *out = &splittings[i];
            return OL_OK;
        }
    return ol_fail(OL_EDATA,
                   "%s: %s \"%.*s\" is not supported; gpt-2, llama-bpe, qwen2, smollm and default "
                   "are: name a folder with the model's tokenizer.json instead",
                   ol_gguf_path(file), key, (int)(name.n < 40 ? name.n : 40), name.bytes);
}

static ol_status check_model(const ol_gguf *file)
{
    ol_gguf_text model;

    OL_CHECK(ol_gguf_has(file, "tokenizer.ggml.model"), OL_EDATA, "%s: brings no tokenizer along",
             ol_gguf_path(file));
    OL_TRY(ol_gguf_get_text(file, "tokenizer.ggml.model", &model));
    OL_CHECK(model.n == 4 && memcmp(model.bytes, "gpt2", 4) == 0, OL_EDATA,
             "%s: tokenizer.ggml.model \"%.*s\" is not supported; \"gpt2\" (byte-level BPE) is",
             ol_gguf_path(file), (int)(model.n < 40 ? model.n : 40), model.bytes);
    return OL_OK;
}

/* What the file says of its tokens. */
typedef struct tokens {
    ol_gguf_text *texts, *merges; /* [n], [n_merges] owned  */
    int64_t *kinds;               /* [n] or NULL, owned     */
    size_t n, n_merges;
} tokens;

static void tokens_finish(tokens *t)
{
    free(t->texts);
    free(t->merges);
    free(t->kinds);
}

static ol_status read_tokens(const ol_gguf *file, tokens *t)
{
    size_t n = 0;

    OL_TRY(ol_gguf_get_texts(file, "tokenizer.ggml.tokens", &t->texts, &t->n));
    OL_TRY(ol_gguf_get_texts(file, "tokenizer.ggml.merges", &t->merges, &t->n_merges));
    OL_CHECK(t->n > 0 && t->n <= MOST_TOKENS, OL_EDATA, "%s: %zu tokens; 1 to %d are wanted",
             ol_gguf_path(file), t->n, MOST_TOKENS);
    if (ol_gguf_has(file, "tokenizer.ggml.token_type")) {
        OL_TRY(ol_gguf_get_i64s(file, "tokenizer.ggml.token_type", &t->kinds, &n));
        OL_CHECK(n == t->n, OL_EDATA,
                 "%s: tokenizer.ggml.token_type has %zu entries for %zu tokens", ol_gguf_path(file),
                 n, t->n);
    }
    return OL_OK;
}

static int64_t kind_of(const tokens *t, size_t i)
{
    return t->kinds ? t->kinds[i] : 0;
}

/* The object token -> id. */
static ol_status make_vocab(const ol_gguf *file, const tokens *t, json_t *vocab)
{
    OL_AUTO_TEXT name = {0};

    for (size_t i = 0; i < t->n; i++) {
        if (kind_of(t, i) == UNUSED)
            continue;
        name.size = 0;
        OL_TRY(ol_text_append(&name, t->texts[i].bytes, t->texts[i].n));
        OL_CHECK(t->texts[i].n > 0 && !memchr(name.data, '\0', name.size), OL_EDATA,
                 "%s: token %zu is empty, or has a NUL", ol_gguf_path(file), i);
        OL_CHECK(!json_object_get(vocab, name.data), OL_EDATA,
                 "%s: token %zu, \"%.80s\", stands twice", ol_gguf_path(file), i, name.data);
        OL_CHECK(json_object_set_new(vocab, name.data, json_integer((json_int_t)i)) == 0, OL_EDATA,
                 "%s: token %zu is not UTF-8", ol_gguf_path(file), i);
    }
    return OL_OK;
}

static ol_status make_merges(const ol_gguf *file, const tokens *t, json_t *merges)
{
    for (size_t i = 0; i < t->n_merges; i++)
        OL_CHECK(json_array_append_new(merges, json_stringn(t->merges[i].bytes, t->merges[i].n)) ==
                     0,
                 OL_EDATA, "%s: merge %zu is not UTF-8", ol_gguf_path(file), i);
    return OL_OK;
}

static ol_status make_added(const tokens *t, json_t *added)
{
    for (size_t i = 0; i < t->n; i++) {
        const int64_t kind = kind_of(t, i);
        json_t *entry;

        if (kind != CONTROL && kind != USER_DEFINED)
            continue;
        entry = json_pack("{s:I,s:o,s:b,s:b,s:b,s:b,s:b}", "id", (json_int_t)i, "content",
                          json_stringn(t->texts[i].bytes, t->texts[i].n), "single_word", 0,
                          "lstrip", 0, "rstrip", 0, "normalized", 0, "special", kind == CONTROL);
        OL_CHECK(json_array_append_new(added, entry) == 0, OL_ENOMEM, "no memory for a tokenizer");
    }
    return OL_OK;
}

static json_t *byte_level(bool split)
{
    return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", split);
}

static json_t *make_steps(const splitting *s)
{
    json_t *steps = json_array();

    for (const char *const *p = s->patterns; *p; p++)
        json_array_append_new(steps, json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern",
                                               "Regex", *p, "behavior", "Isolated", "invert", 0));
    json_array_append_new(steps, byte_level(false));
    return json_pack("{s:s,s:o}", "type", "Sequence", "pretokenizers", steps);
}

/* Of three lists, which stay the caller's. */
static json_t *make_root(const splitting *s, json_t *added, json_t *vocab, json_t *merges)
{
    json_t *normal = s->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    json_t *model = json_pack("{s:s,s:n,s:n,s:n,s:n,s:b,s:b,s:b,s:O,s:O}", "type", "BPE", "dropout",
                              "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                              "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", s->ignore_merges,
                              "vocab", vocab, "merges", merges);

    return json_pack("{s:s,s:n,s:n,s:O,s:o,s:o,s:n,s:o,s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added, "normalizer", normal, "pre_tokenizer",
                     make_steps(s), "post_processor", "decoder", byte_level(true), "model", model);
}

/* Append an object as text. */
static ol_status put(const json_t *root, size_t flags, ol_text *out)
{
    OL_AUTO_FREE char *text = root ? json_dumps(root, flags) : NULL;

    OL_CHECK(text, OL_ENOMEM, "no memory for the text of a tokenizer");
    return ol_text_append(out, text, strlen(text));
}

ol_status ol_gguf_tokenizer_json(const ol_gguf *file, ol_text *out)
{
    json_auto_t *added = json_array(), *vocab = json_object(), *merges = json_array();
    json_auto_t *root = NULL;
    const splitting *s = NULL;
    OL_AUTO(tokens_finish) tokens t = {0};

    OL_TRY(check_model(file));
    OL_TRY(find_splitting(file, &s));
    OL_TRY(read_tokens(file, &t));
    OL_TRY(make_vocab(file, &t, vocab));
    OL_TRY(make_merges(file, &t, merges));
    OL_TRY(make_added(&t, added));
    root = make_root(s, added, vocab, merges);
    return put(root, JSON_COMPACT, out);
}

/* Tokens that have a part to play, by GGUF's word and Hugging Face's. */
static const struct {
    const char *key, *name, *id;
} parts[] = {{"tokenizer.ggml.bos_token_id", "bos_token", "bos_token_id"},
             {"tokenizer.ggml.eos_token_id", "eos_token", "eos_token_id"},
             {"tokenizer.ggml.unknown_token_id", "unk_token", "unk_token_id"},
             {"tokenizer.ggml.padding_token_id", "pad_token", "pad_token_id"}};

/* The id of part i, or -1. */
static ol_status part_id(const ol_gguf *file, size_t i, int64_t *id)
{
    *id = -1;
    return ol_gguf_has(file, parts[i].key) ? ol_gguf_get_i64(file, parts[i].key, id) : OL_OK;
}

static json_t *new_config(void)
{
    return json_pack("{s:s,s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                     "clean_up_tokenization_spaces", 0);
}

ol_status ol_gguf_tokenizer_config(const ol_gguf *file, ol_text *out)
{
    json_auto_t *root = new_config();
    OL_AUTO(tokens_finish) tokens t = {0};
    ol_gguf_text template;
    int64_t id;

    OL_TRY(read_tokens(file, &t));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        OL_TRY(part_id(file, i, &id));
        if (id >= 0 && (size_t)id < t.n)
            json_object_set_new(root, parts[i].name,
                                json_stringn(t.texts[id].bytes, t.texts[id].n));
    }
    if (ol_gguf_has(file, "tokenizer.chat_template")) {
        OL_TRY(ol_gguf_get_text(file, "tokenizer.chat_template", &template));
        json_object_set_new(root, "chat_template", json_stringn(template.bytes, template.n));
    }
    return put(root, JSON_INDENT(2), out);
}

ol_status ol_gguf_token_ids(const ol_gguf *file, ol_text *out)
{
    json_auto_t *root = json_object();
    int64_t id;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        OL_TRY(part_id(file, i, &id));
        if (id >= 0)
            json_object_set_new(root, parts[i].id, json_integer((json_int_t)id));
    }
    return put(root, JSON_INDENT(2), out);
}

/* Lines "LEFT RIGHT" but for a first one that tells the version. */
static json_t *list_merges(const char *text)
{
    json_t *merges = json_array();
    size_t n;

    for (const char *at = text, *line; (line = ol_text_line(&at, &n));) {
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0 && !(line == text && strncmp(line, "#version", strlen("#version")) == 0))
            json_array_append_new(merges, json_stringn(line, n));
    }
    return merges;
}

ol_status ol_pair_tokenizer_json(const char *vocab, const char *merges, ol_text *out)
{
    json_auto_t *added = json_array(), *ids = json_loads(vocab, 0, NULL);
    json_auto_t *pairs = list_merges(merges), *root = make_root(&splittings[0], added, ids, pairs);

    return put(root, JSON_COMPACT, out);
}

ol_status ol_pair_tokenizer_config(ol_text *out)
{
    json_auto_t *root = new_config();

    return put(root, JSON_INDENT(2), out);
}
