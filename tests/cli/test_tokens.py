# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop tokens`: the reference encodings, token for token; random Unicode against Hugging
Face's `tokenizers`, where that package is; what is refused. TAP.

usage: test_tokens.py PROGRAM       (reference folder from OUTERLOOP_REFERENCE)
"""
import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

from cases import Skipped, main

PROGRAM = sys.argv[1]
REFERENCE = os.environ.get("OUTERLOOP_REFERENCE", "")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": True}
WORDS = ("the quick I'LL don't we'Ve 12345 3.14 naïve café e\u0301 ﬁ 你好 こんにちは 안녕 مرحبا नमस्ते 👩‍👩‍👧 "
         "\u1100\u1161 \u212b \u0344 <x> <x>y <l> <r> <|im_end|> <|endoftext|>").split(" ")
SPACES = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u180e", "\u200b", "\x85", "\x1c"]


def run(text, *words):
    return subprocess.run([PROGRAM, "tokens", *map(str, words)], input=text, capture_output=True,
                          text=True, encoding="utf-8", timeout=60)


def tokens_of(folder, texts):
    """What the command says of texts: (lines, complaints)."""
    done = run("".join(json.dumps({"text": text}) + "\n" for text in texts), "--tokenizer", folder)
    if done.returncode != 0:
        return [], [f"exit {done.returncode}: {done.stderr}"]
    lines = [json.loads(line) for line in done.stdout.split("\n") if line]
    return lines, [] if len(lines) == len(texts) else [f"{len(lines)} lines of {len(texts)}"]


def alphabet():
    """The characters that spell the 256 bytes, in GPT-2's order."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, printed), *(chr(256 + i) for i in range(68))]


def smollm(folder):
    """A made-up tokenizer of SmolLM's kind, with added tokens of every kind and two lacking
    bytes."""
    merges = ["e r", "t h", "Ġ t", "Ġt h", "1 2", "Ġ 1", "i n", "à ¤", "Ċ Ċ", "Ġ Ġ", "Ã ©", "' s"]
    tokens = [c for c in alphabet() if c not in "ñò"] + [m.replace(" ", "") for m in merges]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": False}
    added = [("<|endoftext|>", {"special": True}), ("<x>", {}), ("<x>y", {"normalized": True}),
             ("<l>", {"lstrip": True}), ("<r>", {"rstrip": True, "normalized": True}), ("  ", {})]
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": len(tokens) + i, "content": content, **flags, **more}
                         for i, (content, more) in enumerate(added)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, BYTE_LEVEL]},
        "post_processor": None, "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}}
    Path(folder).mkdir()
    Path(folder, "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def random_texts(count):
    """Texts of characters that every Unicode since 9.0 reads alike: unassigned ones are left
    out, and so are combining marks that Hugging Face's normal forms do not know."""
    rng = random.Random(7)
    old = unicodedata.ucd_3_2_0
    known = [chr(c) for c in range(0x110000) if old.category(chr(c)) not in ("Cn", "Cs", "Co")]

    def piece():
        kind = rng.randrange(8)
        if kind < 3:
            return rng.choice(WORDS)
        if kind < 5:
            return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 5))
        return rng.choice((rng.choice(known), chr(rng.randrange(128)),
                           chr(rng.randrange(0x300, 0x370))))
    return ["".join(piece() for _ in range(rng.randrange(30))) for _ in range(count)]


def folders(made):
    found = [smollm(f"{made}/smollm")]
    if REFERENCE:
        found += sorted(Path(REFERENCE, "oracle", "models", "tokenizers").glob("*-style"))
    return found


def test_reference_encodings():
    if not REFERENCE:
        raise Skipped("configure with -Dreference=FOLDER")
    for folder in sorted(Path(REFERENCE, "oracle", "models", "tokenizers").glob("*-style")):
        lines = Path(folder, "encodings.jsonl").read_text(encoding="utf-8").split("\n")
        expected = [json.loads(line) for line in lines if line]
        got, wrong = tokens_of(folder, [line["text"] for line in expected])
        for number, (want, have) in enumerate(zip(expected, got), 1):
            wrong += [f"line {number}: {key} {have[key]!a}, not {want[key]!a}"
                      for key in ("ids", "decoded") if have[key] != want[key]]
        yield f"{folder.name}: {len(expected)} reference encodings", wrong


def test_against_hugging_face(made):
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise Skipped("needs the Python package tokenizers") from None
    texts = random_texts(1000)
    for folder in folders(made):
        theirs = Tokenizer.from_file(f"{folder}/tokenizer.json")
        got, wrong = tokens_of(folder, texts)
        for text, have in zip(texts, got):
            ids = theirs.encode(text, add_special_tokens=False).ids
            if have["ids"] != ids:
                wrong.append(f"{text!a}: {have['ids']}, not {ids}")
            elif have["decoded"] != theirs.decode(ids, skip_special_tokens=False):
                wrong.append(f"{text!a}: decoded {have['decoded']!a}")
        yield f"{Path(folder).name}: {len(texts)} random texts as Hugging Face's", wrong[:5]


def test_made_up(made):
    """The rules that need no reference, on a tokenizer of SmolLM's kind."""
    vocab = json.loads(Path(smollm(f"{made}/smollm"), "tokenizer.json").read_text(encoding="utf-8"))
    vocab = vocab["model"]["vocab"]
    cases = {"12 12": ["1", "2", "Ġ", "1", "2"], "there's": ["th", "er", "e", "'s"],
             "": [], "th\u00e9": ["th", "Ã©"], "\U00040000": ["Ģ", "Ģ", "Ģ"]}
    got, wrong = tokens_of(f"{made}/smollm", list(cases))
    for (text, tokens), have in zip(cases.items(), got):
        if have["ids"] != [vocab[token] for token in tokens]:
            wrong.append(f"{text!a}: {have['ids']}, not {tokens}")
    if got and got[-1]["decoded"] != "\ufffd\ufffd\ufffd":
        wrong.append(f"a cut character decodes to {got[-1]['decoded']!a}")
    yield "digits apart, merges, bytes without a token", wrong


def test_refusals(made):
    """Each ends with exit 2 and says these words."""
    good, smol = '{"text": "a"}\n', ("--tokenizer", smollm(f"{made}/smollm"))
    Path(f"{made}/broken").mkdir()
    Path(f"{made}/broken/tokenizer.json").write_text('{"model": {"type": "Unigram"}}')
    Path(f"{made}/empty").mkdir()
    cases = [
        ("no --tokenizer", good, (), "--tokenizer is missing"),
        ("a word too many", good, (*smol, "file"), 'unexpected "file"'),
        ("an empty folder", good, ("--tokenizer", f"{made}/empty"), "tokenizer.json"),
        ("a tokenizer of another kind", good, ("--tokenizer", f"{made}/broken"),
         "broken/tokenizer.json: pre_tokenizer"),
        ("not JSON", good + "{\n", smol, "line 2: not JSON"),
        ("an empty line", good + good + "\n" + good, smol, "line 3: the line is empty"),
        ("no text", '{"txt": "a"}\n', smol, 'line 1: has no "text"'),
        ("a text that is a number", good + '{"text": 1}\n', smol, 'line 2: has no "text"'),
        ("a line without end", good + "x" * (17 << 20), smol, "line 2: is longer than 16 MiB"),
        ("half a surrogate pair", '{"text": "\\ud800"}\n', smol, "line 1: not JSON"),
    ]
    for name, text, words, said in cases:
        done = run(text, *words)
        wrong = [] if done.returncode == 2 else [f"exit {done.returncode}, not 2"]
        if said not in done.stderr:
            wrong.append(f"{said!r} is not in {done.stderr!r}")
        yield "refused: " + name, wrong
    done = run("", "--help")
    yield "--help", [] if done.returncode == 0 and "--tokenizer=DIR" in done.stdout else [done.stdout]
    done = run(good + "[]\n", *smol)
    yield "what stands before a bad line is written", (
        [] if done.stdout.startswith('{"ids": [') and done.stdout.count("\n") == 1
        else [done.stdout])


main(globals())
