/* SPDX-License-Identifier: BSD-3-Clause */
/* tokenizer.json: what each setting does, bytes without loss, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "forms.h"
#include "outerloop/base/rng.h"
#include "outerloop/text/jsonl.h"
#include "outerloop/text/split.h"
#include "outerloop/text/tokenizer.h"

#define BYTE_LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true}"
#define SPLIT(regex)                                                                               \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": " \
    "\"" regex "\"}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", "   \
    "\"add_prefix_space\": false, \"use_regex\": false}]}"
#define LLAMA3                                                                                     \
    SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "   \
          "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+")

/* The parts of a file; NULL takes the usual one. Tokens 0..255 are the bytes in GPT-2's order,
 * and 256.. are "ab", "abc", "Ġa", "zz". */
typedef struct file_parts {
    const char *added, *normalizer, *pre_tokenizer, *decoder;
    const char *model;  /* settings before vocab, each with a comma          */
    const char *vocab;  /* more tokens, each after a comma                   */
    const char *merges; /* the list                                          */
    int without;        /* a byte that has no token; 0 for none              */
} file_parts;

static const char *either(const char *given, const char *usual)
{
    return given ? given : usual;
}

static bool is_printed(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
}

static void write_bytes(ol_text *out, int without)
{
    for (int id = 0, wanted = 1, other = 256; wanted >= 0; wanted--)
        for (int byte = 0; byte < 256; byte++) {
            if (is_printed(byte) != (wanted == 1))
                continue;
            const int c = wanted ? byte : other++;

            if (byte != without || without == 0)
                ol_text_format(out, "%s\"\\u%04x\": %d", id > 0 ? ", " : "", (unsigned)c, id);
            id++;
        }
}

static ol_text write_json(const file_parts *f)
{
    ol_text out = {0};

    ol_text_format(&out,
                   "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, "
                   "\"added_tokens\": [%s], \"normalizer\": %s, \"pre_tokenizer\": %s, "
                   "\"post_processor\": null, \"decoder\": %s, \"model\": {\"type\": \"BPE\", %s "
                   "\"vocab\": {",
                   either(f->added, ""), either(f->normalizer, "null"),
                   either(f->pre_tokenizer, BYTE_LEVEL), either(f->decoder, BYTE_LEVEL),
                   either(f->model, ""));
    write_bytes(&out, f->without);
    ol_text_format(&out,
                   ", \"ab\": 256, \"abc\": 257, \"\\u0120a\": 258, \"zz\": 259%s}, "
                   "\"merges\": %s}}",
                   either(f->vocab, ""),
                   either(f->merges, "[[\"a\", \"b\"], \"ab c\", [\"\\u0120\", \"a\"]]"));
    return out;
}

static ol_status parse(const file_parts *f, ol_tokenizer **out)
{
    ol_text json = write_json(f);
    const ol_status status = ol_tokenizer_parse("FILE", json.data, json.size, out);

    ol_text_finish(&json);
    return status;
}

static ol_tokenizer *make(const file_parts *f)
{
    ol_tokenizer *tokenizer;

    if (parse(f, &tokenizer) != OL_OK)
        fail_msg("%s", ol_status_message());
    return tokenizer;
}

/* The tokens of a text, each decoded, between bars: "|ab|c|". */
static void check_tokens(const file_parts *f, const char *text, const char *expected)
{
    ol_tokenizer *tokenizer = make(f);
    ol_tokens ids = {0};
    ol_text got = {0};

    assert_int_equal(ol_tokenizer_encode(tokenizer, text, strlen(text), &ids), OL_OK);
    for (size_t i = 0; i < ids.n; i++) {
        assert_int_equal(ol_text_append(&got, "|", 1), OL_OK);
        assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids + i, 1, &got), OL_OK);
    }
    assert_int_equal(ol_text_append(&got, "|", 1), OL_OK);
    assert_string_equal(got.data, expected);
    ol_text_finish(&got);
    ol_tokens_finish(&ids);
    ol_tokenizer_destroy(tokenizer);
}

static void merges_and_whole_pieces(void **state)
{
    const file_parts plain = {0}, whole = {.model = "\"ignore_merges\": true,"};

    (void)state;
    check_tokens(&plain, "abcab ac zz", "|abc|ab| a|c| |z|z|");
    check_tokens(&whole, "abcab ac", "|abc|ab| a|c|");
    check_tokens(&whole, "zz zz", "|zz| |z|z|"); /* a token that no merge makes */
}

static void splitting(void **state)
{
    const file_parts digits = {
        .pre_tokenizer = "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", "
                         "\"individual_digits\": true}, " BYTE_LEVEL "]}",
        .vocab = ", \"1\\u0120\": 260, \"12\": 261, \"\\u01201\": 262",
        .merges = "[\"\\u0120 1\", \"1 2\"]"};
    const file_parts gpt2 = {.vocab = digits.vocab, .merges = digits.merges};
    const file_parts threes = {.pre_tokenizer = LLAMA3,
                               .vocab = ", \"11\": 260, \"1111\": 261, \"'S\": 262, \"a'\": 263",
                               .merges = "[\"1 1\", \"11 11\", \"a '\", \"' S\"]"};

    (void)state;
    check_tokens(&digits, " 12", "| |1|2|");
    check_tokens(&gpt2, " 12", "| 1|2|");
    check_tokens(&threes, "1111", "|11|1|1|");
    check_tokens(&threes, "a'S", "|a|'S|");
    check_tokens(&(file_parts){.pre_tokenizer = SPLIT("b+")}, "abc", "|a|b|c|");
    check_tokens(&(file_parts){.pre_tokenizer = SPLIT("x+")}, "abc", "|abc|");
}

#define ADDED(id, content, more) "{\"id\": " #id ", \"content\": \"" content "\"" more "}"

static void added_tokens(void **state)
{
    static const char added[] = ADDED(300, "<x>", ", \"special\": true") "," /**/
        ADDED(301, "<x>y", ", \"special\": true") ","                        /**/
        ADDED(302, "<l>", ", \"lstrip\": true") ","                          /**/
        ADDED(303, "<r>", ", \"rstrip\": true");
    const file_parts f = {.added = added};
    ol_tokenizer *tokenizer = make(&f);

    (void)state;
    assert_int_equal(ol_tokenizer_size(tokenizer), 304);
    ol_tokenizer_destroy(tokenizer);
    check_tokens(&f, "a<x>b<x>yab<x", "|a|<x>|b|<x>y|ab|<|x|");
    check_tokens(&f, "a \xE3\x80\x80<l> b", "|a|<l>| |b|");
    check_tokens(&f, "a <r>\n\xC2\xA0 b<l>", "|a| |<r>|b|<l>|");
    check_tokens(&f, "  <l><r>  <l>", "|<l>|<r>|<l>|");
    check_tokens(&f, "\xFF<x>\xFE", "|\xFF|<x>|\xFE|"); /* between bytes that are not UTF-8 */
}

static void normal_form(void **state)
{
    static const char added[] = ADDED(300, "e\\u0301x", ", \"normalized\": false") "," /**/
        ADDED(301, "e\\u0301y", ", \"normalized\": true");
    const file_parts f = {
        .normalizer = "{\"type\": \"NFC\"}",
        .vocab = ", \"\\u00c3\\u00a9\": 260",
        .merges = "[\"\\u00c3 \\u00a9\"]",
        .added = added,
    };

    (void)state;
    check_tokens(&f, "e\xCC\x81", "|\xC3\xA9|");
    check_tokens(&f, "e\xFF\xCC\x81", "|e|\xFF|\xCC|\x81|");
    check_tokens(&f, "\xC3\xA9x\xC3\xA9y", "|\xC3\xA9|x|\xE9y|"); /* as Hugging Face decodes it */
    check_tokens(&f, "e\xCC\x81xe\xCC\x81y", "|e\xCC\x81x|\xE9y|");
}

/* Marks have one order, however they stand, and no text takes long: 400000 bytes of them here. */
static void many_marks(void **state)
{
    enum { PAIRS = 100000 };
    const file_parts f = {.normalizer = "{\"type\": \"NFC\"}"};
    static const char *const pairs[] = {"\xCC\x81\xCC\x96", "\xCC\x96\xCC\x81"};
    ol_tokenizer *tokenizer = make(&f);
    ol_tokens ids[2] = {{0}};
    ol_text text = {0};

    (void)state;
    for (int k = 0; k < 2; k++) {
        text.size = 0;
        for (int i = 0; i < PAIRS; i++)
            assert_int_equal(ol_text_append(&text, pairs[k], 4), OL_OK);
        assert_int_equal(ol_tokenizer_encode(tokenizer, text.data, text.size, &ids[k]), OL_OK);
    }
    assert_int_equal(ids[0].n, 4 * PAIRS);
    assert_int_equal(ids[1].n, 4 * PAIRS);
    assert_memory_equal(ids[0].ids, ids[1].ids, ids[0].n * sizeof *ids[0].ids);
    ol_tokens_finish(&ids[0]);
    ol_tokens_finish(&ids[1]);
    ol_text_finish(&text);
    ol_tokenizer_destroy(tokenizer);
}

static void bytes_without_token(void **state)
{
    file_parts f = {.without = 4, .pre_tokenizer = SPLIT("x+"), .vocab = ", \"<unk>\": 260"};

    (void)state;
    check_tokens(&f, "a\004b\004", "|ab|"); /* dropped, and the neighbours merge */
    f.model = "\"unk_token\": \"<unk>\", ";
    check_tokens(&f, "a\004\004b\004", "|a|<unk>|<unk>|b|<unk>|");
    f.model = "\"unk_token\": \"<unk>\", \"fuse_unk\": true, \"byte_fallback\": true, ";
    check_tokens(&f, "a\004\004b\004", "|a|<unk>|b|<unk>|");
}

static size_t put_code_point(char *at, uint32_t c)
{
    if (c < 0x80) {
        at[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3F));
    at[0] = (char)((n == 2 ? 0xC0u : n == 3 ? 0xE0u : 0xF0u) | c);
    return n;
}

/* Random characters, letters that merge, white space, and bytes that are not UTF-8. */
static size_t random_text(ol_rng *rng, char *text, size_t size)
{
    const size_t wanted = ol_rng_below(rng, (uint32_t)size - 8);
    size_t n = 0;

    while (n < wanted)
        switch (ol_rng_below(rng, 5)) {
        case 0:
            n += put_code_point(text + n, ol_rng_below(rng, 0x3000));
            break;
        case 1:
            n += put_code_point(text + n, 0xE000 + ol_rng_below(rng, 0x110000 - 0xE000));
            break;
        case 2:
            text[n++] = (char)ol_rng_below(rng, 256);
            break;
        default:
            text[n++] = "abc \n1<x>'s"[ol_rng_below(rng, 11)];
        }
    return n;
}

static void round_trip(void **state)
{
    const file_parts files[] = {
        {.added = ADDED(300, "<x>", "")},
        {.pre_tokenizer = LLAMA3, .model = "\"ignore_merges\": true,"},
        {.pre_tokenizer = SPLIT("\\\\w+|\\\\p{Han}|(?<=a)b|.x")},
    };
    ol_rng rng = ol_rng_stream(5, OL_RNG_TEST, 0, 0);
    char text[600];

    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        ol_tokenizer *tokenizer = make(&files[f]);

        for (int trial = 0; trial < 1000; trial++) {
            const size_t n = random_text(&rng, text, sizeof text);
            ol_tokens ids = {0};
            ol_text back = {0};

            assert_int_equal(ol_tokenizer_encode(tokenizer, text, n, &ids), OL_OK);
            assert_int_equal(ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &back), OL_OK);
            assert_int_equal(back.size, n);
            if (n > 0)
                assert_memory_equal(back.data, text, n);
            ol_tokens_finish(&ids);
            ol_text_finish(&back);
        }
        ol_tokenizer_destroy(tokenizer);
    }
}

/* Newlines in front of a text become tokens as the file has it: taken together, taken into the text, or split
 * off as GPT-2's pattern does. */
static void newlines_of_prompts(void **state)
{
#define NEWLINES                                                                                   \
    .vocab = ", \"\\u010a\\u010a\": 260, \"\\u010a\\u010a\\u010a\": 261",                          \
    .merges = "[\"\\u010a \\u010a\", \"\\u010a\\u010a \\u010a\"]"
    static const file_parts files[] = {
        {NEWLINES},
        {NEWLINES, .pre_tokenizer = LLAMA3},
        {NEWLINES,
         .pre_tokenizer =
             "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"}, " BYTE_LEVEL
             "]}"},
        {NEWLINES, .added = ADDED(300, "<x>", ", \"lstrip\": true")},
        {NEWLINES, .added = ADDED(300, "\\n", "")},
    };
    static const char *const leads[] = {"one", "7", "7a", "<x>", "<x>y", "!", " a", "\n", ""};

    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        ol_tokenizer *tokenizer = make(&files[f]);

        for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
            check_forms(tokenizer, leads[i]);
        ol_tokenizer_destroy(tokenizer);
    }
#undef NEWLINES
}

static void check_refused(file_parts f, const char *words)
{
    ol_tokenizer *tokenizer;
    ol_text json = write_json(&f);

    assert_int_equal(ol_tokenizer_parse("FILE", json.data, json.size, &tokenizer), OL_EDATA);
    assert_null(tokenizer);
    assert_int_equal(strncmp(ol_status_message(), "FILE", 4), 0);
    if (!strstr(ol_status_message(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, ol_status_message());
    ol_text_finish(&json);
}

#define REFUSED(words, ...) check_refused((file_parts){__VA_ARGS__}, words)

static void refused_settings(void **state)
{
    (void)state;
    REFUSED("normalizer: \"NFKC\" is not", .normalizer = "{\"type\": \"NFKC\"}");
    REFUSED("normalizers[0]: \"Lowercase\"",
            .normalizer = "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Lowercase\"}]}");
    REFUSED("pre_tokenizer: \"Metaspace\"", .pre_tokenizer = "{\"type\": \"Metaspace\"}");
    REFUSED("pre_tokenizer: \"null\"", .pre_tokenizer = "null");
    REFUSED("\"add_prefix_space\" is not",
            .pre_tokenizer = "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}");
    REFUSED("\"shout\" is not", .pre_tokenizer = "{\"type\": \"ByteLevel\", \"shout\": true}");
    REFUSED("[1]: a step behind", .pre_tokenizer =
                                      "{\"type\": \"Sequence\", \"pretokenizers\": [" BYTE_LEVEL
                                      ", " BYTE_LEVEL "]}");
    REFUSED("has no ByteLevel", .pre_tokenizer = "{\"type\": \"Digits\"}");
    REFUSED("behavior \"Removed\"",
            .pre_tokenizer = "{\"type\": \"Split\", \"behavior\": \"Removed\"}");
    REFUSED("\"invert\"", .pre_tokenizer = "{\"type\": \"Split\", \"behavior\": \"Isolated\", "
                                           "\"invert\": true}");
    REFUSED("{\"Regex\": ...}",
            .pre_tokenizer = "{\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": "
                             "{\"String\": \"a\"}}");
    REFUSED("decoder: \"Fuse\"", .decoder = "{\"type\": \"Fuse\"}");
    REFUSED("decoder: \"null\"", .decoder = "null");
    REFUSED("model: \"dropout\"", .model = "\"dropout\": 0.1,");
    REFUSED("\"continuing_subword_prefix\"", .model = "\"continuing_subword_prefix\": \"##\",");
    REFUSED("\"end_of_word_suffix\"", .model = "\"end_of_word_suffix\": \"</w>\",");
    REFUSED("\"byte_fallback\"", .model = "\"byte_fallback\": true,", .vocab = ", \"<0xC4>\": 260",
            .without = 4);
    REFUSED("unk_token \"none\"", .model = "\"unk_token\": \"none\",", .without = 4);
    REFUSED("no token for byte 0x41", .without = 'A');
    REFUSED("\"single_word\"", .added = ADDED(300, "x", ", \"single_word\": true"));
    REFUSED("\"x1\" stands twice", .added = ADDED(300, "x1", "") ", " ADDED(301, "x1", ""));
}

/* The pieces of a text under one pattern, separated by '|'. */
static void check_pieces(const char *pattern, const char *text, const char *expected)
{
    ol_splitter *splitter;
    ol_text got = {0};
    size_t length;

    assert_int_equal(ol_splitter_create(&splitter), OL_OK);
    if (ol_splitter_add(splitter, "pattern", pattern) != OL_OK)
        fail_msg("%s", ol_status_message());
    ol_splitter_start(splitter, text, strlen(text));
    for (const char *at = text; ol_splitter_next(splitter, &length) == OL_OK && length > 0;
         at += length)
        ol_text_format(&got, "%.*s|", (int)length, at);
    assert_string_equal(got.data, expected);
    ol_text_finish(&got);
    ol_splitter_destroy(splitter);
}

/* Where Oniguruma and PCRE2 differ, Oniguruma is followed: seen with Hugging Face's Split. */
static void patterns(void **state)
{
    (void)state;
    check_pieces("\\P{Nd}{1,2}\\P{Lu}\\S", "1 /_x1", "1| /_x|1|");
    check_pieces("\\w+", "a\xC2\xBD_ \xE2\x91\xA0", "a\xC2\xBD_| \xE2\x91\xA0|");
    check_pieces("[\\w]+", "a\xC2\xBD_", "a|\xC2\xBD|_|");
    check_pieces("\\s+", "a\xE1\xA0\x8E\xE3\x80\x80", "a\xE1\xA0\x8E|\xE3\x80\x80|");
    check_pieces("b$|.", "\nb\nbb", "\n|b|\n|b|b|");
    check_pieces("\\v|\\x{e9}|\\u00e8+", "a\x0B\xC3\xA9\n\xC3\xA8\xC3\xA8",
                 "a|\x0B|\xC3\xA9|\n|\xC3\xA8\xC3\xA8|");
    check_pieces("\\p{Greek}|\\p{^L}+", "a\xCE\xB1\xCC\x81 1", "a|\xCE\xB1|\xCC\x81 1|");
    check_pieces("(?i:'s|k)", "'\xC5\xBF\xE2\x84\xAA'", "'\xC5\xBF|\xE2\x84\xAA|'|");
}

static void refused_patterns(void **state)
{
    (void)state;
    REFUSED("does not compile", .pre_tokenizer = SPLIT("(a"));
    REFUSED("does not compile", .pre_tokenizer = SPLIT("((a{9999}){9999}){9999}"));
    REFUSED("does not compile", .pre_tokenizer = SPLIT("\\\\p{Nonsense}"));
    REFUSED("matches nothing", .pre_tokenizer = SPLIT("a*"));
    REFUSED("matches nothing", .pre_tokenizer = SPLIT(""));
    REFUSED("\"^\" is not supported, at character 2", .pre_tokenizer = SPLIT("a^b"));
    REFUSED("\\b is not", .pre_tokenizer = SPLIT("\\\\bab"));
    REFUSED("\\1 is not", .pre_tokenizer = SPLIT("(a)\\\\1"));
    REFUSED("a group of this kind", .pre_tokenizer = SPLIT("(?<n>a)"));
    REFUSED("a group of this kind", .pre_tokenizer = SPLIT("(*UTF)a"));
    REFUSED("a class in a class", .pre_tokenizer = SPLIT("[a[b]]"));
    REFUSED("\"&&\"", .pre_tokenizer = SPLIT("[a&&b]"));
    REFUSED("that begins no {n}", .pre_tokenizer = SPLIT("a{,2}"));
    REFUSED("under (?i:", .pre_tokenizer = SPLIT("(?i:'s|miss)x"));
    REFUSED("beyond ASCII under (?i:", .pre_tokenizer = SPLIT("(?i:a(b|\xC3\x9F))"));
    REFUSED("this escape is not", .pre_tokenizer = SPLIT("a\\\\"));
}

static void refused_tokens(void **state)
{
    (void)state;
    REFUSED("id 7 is given twice", .vocab = ", \"q7\": 7");
    REFUSED("\"q7\" has no id", .vocab = ", \"q7\": -1");
    REFUSED("\"q7\" has no id", .vocab = ", \"q7\": 16000000");
    REFUSED("\"q7\" has no id", .vocab = ", \"q7\": 1.5");
    REFUSED("not JSON: duplicate", .vocab = ", \"ab\": 260");
    REFUSED("added_tokens[0]: id 7 is given twice", .added = ADDED(7, "q7", ""));
    REFUSED("added_tokens[0]: token \"q7\" has no id", .added = ADDED(16000000, "q7", ""));
    REFUSED("added_tokens[0]: token \"q7\" has no id", .added = ADDED(-1, "q7", ""));
    REFUSED("has id 300 there, and id 256", .added = ADDED(300, "ab", ""));
    REFUSED("no \"id\" and \"content\"", .added = ADDED(300, "", ""));
    REFUSED("no \"id\" and \"content\"", .added = "7");
    REFUSED("model.merges[1]: \"qq\" is not in", .merges = "[\"a b\", \"a qq\"]");
    REFUSED("model.merges[1]: \"ac\" is not in", .merges = "[\"a b\", [\"a\", \"c\"]]");
    REFUSED("model.merges[1]: \"a b\" stands earlier", .merges = "[\"a b\", [\"a\", \"b\"]]");
    REFUSED("model.merges[0]: a merge is a pair", .merges = "[\"a b c\"]");
    REFUSED("model.merges[0]: a merge is a pair", .merges = "[[\"a\"]]");
    REFUSED("model.merges[0]: a merge is a pair", .merges = "[[\"\", \"\"]]");
    REFUSED("model.merges[0]: a merge is a pair", .merges = "[null]");
    REFUSED("model.merges is no list", .merges = "{}");
}

/* A pattern that looks at a text in exponentially many ways is stopped, and said so. */
static void wild_pattern(void **state)
{
    const file_parts f = {.pre_tokenizer = SPLIT("(?:a|a?b|aa|(?:a+)+)+(?!\\\\S)x")};
    ol_tokenizer *tokenizer = make(&f);
    ol_tokens ids = {0};
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'x';
    assert_int_equal(ol_tokenizer_encode(tokenizer, text, sizeof text, &ids), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "FILE: pre_tokenizer.pretokenizers[0]: a pattern "
                                                "gave up on a text of 3000 bytes"));
    assert_int_equal(ol_tokenizer_encode(tokenizer, "ab", 2, &ids), OL_OK);
    ol_tokens_finish(&ids);
    ol_tokenizer_destroy(tokenizer);
}

static ol_status parse_text(const char *text, size_t n)
{
    ol_tokenizer *tokenizer;
    ol_tokens ids = {0};
    const ol_status status = ol_tokenizer_parse("FILE", text, n, &tokenizer);

    if (status == OL_OK) {
        ol_tokenizer_encode(tokenizer, "abc <x> \xFF 12 e\xCC\x81", 16, &ids);
        ol_tokens_finish(&ids);
        ol_tokenizer_destroy(tokenizer);
    }
    return status;
}

/* No damage of a file does more than make it refused. */
static void damaged_files(void **state)
{
    const file_parts f = {.added = ADDED(300, "<x>", ", \"lstrip\": true"),
                          .normalizer = "{\"type\": \"NFC\"}",
                          .pre_tokenizer = LLAMA3,
                          .model = "\"ignore_merges\": true,"};
    ol_text json = write_json(&f);
    ol_rng rng = ol_rng_stream(6, OL_RNG_TEST, 0, 0);
    char *copy = malloc(json.size);

    (void)state;
    for (int trial = 0; trial < 1500; trial++) {
        const uint32_t changes = 1 + ol_rng_below(&rng, 3);

        memcpy(copy, json.data, json.size);
        for (uint32_t i = 0; i < changes; i++)
            copy[ol_rng_below(&rng, (uint32_t)json.size)] =
                (char)(ol_rng_below(&rng, 2) ? "0919-{}[]\",:\\"[ol_rng_below(&rng, 13)]
                                             : (int)ol_rng_below(&rng, 256));
        parse_text(copy, json.size);
        assert_int_equal(parse_text(copy, ol_rng_below(&rng, (uint32_t)json.size - 1)), OL_EDATA);
    }
    free(copy);
    ol_text_finish(&json);
}

static void hostile_files(void **state)
{
    enum { DEPTH = 1000000 };
    char *deep = malloc(DEPTH);
    ol_text nested = {0};

    (void)state;
    memset(deep, '[', DEPTH);
    assert_int_equal(parse_text(deep, DEPTH), OL_EDATA);
    free(deep);
    assert_int_equal(parse_text("", 0), OL_EDATA);
    assert_int_equal(parse_text("[]", 2), OL_EDATA);
    assert_int_equal(parse_text("{}", 2), OL_EDATA);
    for (int i = 0; i < 500; i++)
        ol_text_format(&nested, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    ol_text_format(&nested, BYTE_LEVEL);
    for (int i = 0; i < 500; i++)
        ol_text_format(&nested, "]}");
    REFUSED("Sequences in each other", .pre_tokenizer = nested.data);
    nested.size = 0;
    ol_text_format(&nested, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (int i = 0; i < 17; i++)
        ol_text_format(&nested, "{\"type\": \"Digits\"}, ");
    ol_text_format(&nested, BYTE_LEVEL "]}");
    REFUSED("more than 16 steps", .pre_tokenizer = nested.data);
    ol_text_finish(&nested);
}

static void check_line(ol_tokenizer *tokenizer, const char *line, const char *expected)
{
    ol_text out = {0};
    const ol_status status = ol_jsonl_tokens(tokenizer, line, strlen(line), &out);

    if (status == OL_OK)
        assert_string_equal(out.data, expected);
    else
        assert_non_null(strstr(ol_status_message(), expected));
    ol_text_finish(&out);
}

static void json_lines(void **state)
{
    ol_tokenizer *all = make(&(file_parts){0});
    ol_tokenizer *some = make(&(file_parts){.without = 0xF1});

    (void)state;
    check_line(all, "{\"text\": \"abc\"}", "{\"ids\": [257], \"decoded\": \"abc\"}\n");
    check_line(all, "{\"text\": \"\"}", "{\"ids\": [], \"decoded\": \"\"}\n");
    check_line(all, "{\"text\": \"\\u0000\"}", "{\"ids\": [188], \"decoded\": \"\\u0000\"}\n");
    check_line(all, "{\"text\": 7}", "has no \"text\"");
    check_line(all, "[]", "has no \"text\"");
    check_line(all, "{\"text\": \"\\ud800\"}", "not JSON");
    /* U+40000 is F1 80 80 80; without its first byte each of the others stands alone. */
    check_line(some, "{\"text\": \"\\ud8c0\\udc00\"}",
               "{\"ids\": [222, 222, 222], \"decoded\": \"\\uFFFD\\uFFFD\\uFFFD\"}\n");
    ol_tokenizer_destroy(all);
    ol_tokenizer_destroy(some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_and_whole_pieces),
        cmocka_unit_test(splitting),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(normal_form),
        cmocka_unit_test(many_marks),
        cmocka_unit_test(bytes_without_token),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(newlines_of_prompts),
        cmocka_unit_test(refused_settings),
        cmocka_unit_test(patterns),
        cmocka_unit_test(refused_patterns),
        cmocka_unit_test(refused_tokens),
        cmocka_unit_test(wild_pattern),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(json_lines),
    };

    return cmocka_run_group_tests_name("tokenizer_json", tests, NULL, NULL);
}
