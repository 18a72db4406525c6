# SPDX-License-Identifier: BSD-3-Clause
"""Write corpus/READER/*: small good files, and files that lie. What campaigns found is not made here: such
files are named found-*, and are left alone.

usage: make_corpus.py [READER...]
"""
import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))
from gguf_files import ARRAY, BLOCK, STRING, U32, U64, build, encode, random_blocks

CORPUS = Path(__file__).parent / "corpus"
RNG = np.random.default_rng(1)
BIG = (1 << 63) - 1


def put(reader, name, content):
    path = CORPUS / reader / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def small(value):
    return json.dumps(value, separators=(",", ":"))


# --- safetensors -----------------------------------------------------------------------------------------

def gpt2_shapes():
    C, block = 4, {}
    for module, shape in (("ln_1", [C]), ("ln_2", [C]), ("attn.c_attn", [C, 3 * C]), ("attn.c_proj", [C, C]),
                          ("mlp.c_fc", [C, 4 * C]), ("mlp.c_proj", [4 * C, C])):
        block |= {f"h.0.{module}.weight": shape, f"h.0.{module}.bias": shape[-1:]}
    return {"wte.weight": [8, C], "wpe.weight": [8, C], "ln_f.weight": [C], "ln_f.bias": [C]} | block


def header(shapes, kind):
    entries, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape)) * (4 if kind == "F32" else 2)
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return entries, at


def file_of(entries, data, length=None):
    head = entries if isinstance(entries, bytes) else small(entries).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


def safetensors():
    for kind in ("F32", "F16", "BF16"):
        entries, n = header(gpt2_shapes(), kind)
        put("safetensors", f"gpt2-{kind.lower()}", file_of(entries, RNG.bytes(n)))
    two = {"a": [2, 3], "b": [2]}
    entries, n = header(two, "F32")
    good = file_of(entries, RNG.bytes(n))
    put("safetensors", "two", good)
    put("safetensors", "metadata", file_of({"__metadata__": {"format": "pt"}} | entries, RNG.bytes(n)))
    put("safetensors", "empty", file_of({}, b""))
    put("safetensors", "no-values", file_of({"a": {"dtype": "F32", "shape": [0, BIG], "data_offsets": [0, 0]}}, b""))
    put("safetensors", "scalar", file_of({"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}, b"\0" * 4))
    # those that lie
    put("safetensors", "lie-cut-short", good[:-1])
    put("safetensors", "lie-length-only", good[:8])
    put("safetensors", "lie-header-length", file_of(entries, RNG.bytes(n), (1 << 64) - 1))
    put("safetensors", "lie-header-longer", file_of(entries, RNG.bytes(n), len(good) - 7))
    put("safetensors", "lie-trailing", good + b"\0")
    for name, change in {
            "past-end": {"b": {"dtype": "F32", "shape": [2], "data_offsets": [24, 1 << 40]}},
            "negative": {"b": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
            "backwards": {"b": {"dtype": "F32", "shape": [2], "data_offsets": [32, 24]}},
            "overlap": {"b": {"dtype": "F32", "shape": [2], "data_offsets": [20, 28]}},
            "gap": {"b": {"dtype": "F32", "shape": [1], "data_offsets": [28, 32]}},
            "overflow": {"b": {"dtype": "F32", "shape": [1 << 32, 1 << 32, 2], "data_offsets": [24, 32]}},
            "bytes-overflow": {"b": {"dtype": "F32", "shape": [1 << 62], "data_offsets": [24, 32]}},
            "rank": {"b": {"dtype": "F32", "shape": [1] * 9, "data_offsets": [24, 28]}},
            "dtype": {"b": {"dtype": "Q4_0", "shape": [2], "data_offsets": [24, 32]}},
            "no-list": {"b": {"dtype": "F32", "shape": 2, "data_offsets": {}}},
            "no-object": {"b": 3}}.items():
        put("safetensors", f"lie-{name}", file_of(entries | change, RNG.bytes(n)))
    twice = small(entries)[:-1] + ',"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    put("safetensors", "lie-twice", file_of(twice.encode(), RNG.bytes(n)))


def shards():
    for name, value in {
            "good": {"metadata": {"total_size": 8}, "weight_map": {"x": "a", "y": "b"}},
            "one": {"weight_map": {"x": "a"}},
            "lie-missing": {"weight_map": {"x": "a", "y": "c"}},
            "lie-outside": {"weight_map": {"x": "../a", "y": "/etc/passwd"}},
            "lie-self": {"weight_map": {"x": "model.safetensors.index.json"}},
            "lie-dots": {"weight_map": {"x": ".."}},
            "lie-empty-name": {"weight_map": {"x": ""}},
            "lie-long-name": {"weight_map": {"x": "a" * 4090}},
            "lie-no-text": {"weight_map": {"x": 3}},
            "lie-no-map": {"weight_map": ["a"]},
            "lie-list": ["a"]}.items():
        put("shards", name, small(value))
    put("shards", "lie-twice", '{"weight_map":{"x":"a","x":"b"}}')
    put("shards", "lie-cut-short", '{"weight_map":{"x":"a"')


# --- GGUF ------------------------------------------------------------------------------------------------

def gpt2_gguf():
    C, F = 4, 16
    shapes = {"token_embd.weight": [8, C], "position_embd.weight": [8, C], "output_norm.weight": [C],
              "output_norm.bias": [C], "blk.0.attn_norm.weight": [C], "blk.0.attn_norm.bias": [C],
              "blk.0.attn_qkv.weight": [3 * C, C], "blk.0.attn_qkv.bias": [3 * C], "blk.0.attn_output.weight": [C, C],
              "blk.0.attn_output.bias": [C], "blk.0.ffn_norm.weight": [C], "blk.0.ffn_norm.bias": [C],
              "blk.0.ffn_up.weight": [F, C], "blk.0.ffn_up.bias": [F], "blk.0.ffn_down.weight": [C, F],
              "blk.0.ffn_down.bias": [C]}
    keys = {"general.architecture": "gpt2", "gpt2.block_count": 1, "gpt2.context_length": 8, "gpt2.embedding_length": C,
            "gpt2.feed_forward_length": F, "gpt2.attention.head_count": 2, "gpt2.attention.layer_norm_epsilon": 1e-5}
    return keys, {n: ("F16", s, encode("F16", RNG.normal(0, 1, s).astype(np.float32))) for n, s in shapes.items()}


def llama_gguf(arch="llama"):
    C, D = 32, 16
    shapes = {"token_embd.weight": [2, C], "output.weight": [2, C], "output_norm.weight": [C],
              "rope_freqs.weight": [D // 2], "blk.0.attn_norm.weight": [C], "blk.0.ffn_norm.weight": [C]}
    shapes |= {f"blk.0.{n}.weight": [C, C] for n in ("attn_q", "attn_output")}
    shapes |= {f"blk.0.{n}.weight": [D, C] for n in ("attn_k", "attn_v")}
    shapes |= {"blk.0.ffn_gate.weight": [8, C], "blk.0.ffn_up.weight": [8, C], "blk.0.ffn_down.weight": [C, 8]}
    keys = {"general.architecture": arch, "general.type": "model", f"{arch}.block_count": 1, f"{arch}.context_length": 8,
            f"{arch}.embedding_length": C, f"{arch}.feed_forward_length": 8, f"{arch}.attention.head_count": 2,
            f"{arch}.attention.head_count_kv": 1, f"{arch}.attention.layer_norm_rms_epsilon": 1e-6,
            f"{arch}.rope.freq_base": 10000.0, f"{arch}.rope.dimension_count": D}
    tensors = {}
    for name, shape in shapes.items():
        kind = "Q4_0" if len(shape) == 2 and shape[1] % 32 == 0 else "F32"
        n = int(np.prod(shape))
        tensors[name] = (kind, shape, random_blocks(kind, n, RNG) if kind == "Q4_0" else encode(kind, np.ones(shape)))
    return keys, tensors


def byte_tokens(bytes_):
    """The letter that stands for each byte in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letter = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in plain)}
    return [letter[b] for b in bytes_]


def tokenizer_keys(**more):
    tokens = byte_tokens(range(32, 127)) + ["ab", "abab", "\u0120a", "<x>", "<|end|>"]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [1] * (len(tokens) - 2) + [4, 3], "tokenizer.ggml.merges": ["a b", "ab ab", "\u0120 a"],
            "tokenizer.ggml.bos_token_id": 98, "tokenizer.ggml.eos_token_id": 99} | more


def gguf():
    put("gguf", "gpt2", build(*gpt2_gguf()))
    put("gguf", "llama", build(*llama_gguf()))
    for pre in ("gpt-2", "llama-bpe", "qwen2", "smollm", "default"):
        put("gguf", f"tokenizer-{pre}", build(tokenizer_keys(**{"tokenizer.ggml.pre": pre}), {}))
    put("gguf", "template", build(tokenizer_keys(**{"tokenizer.chat_template": "{{ x }}"}), {}, version=2))
    put("gguf", "tokenizer-ids", build(tokenizer_keys(**{"tokenizer.ggml.bos_token_id": (U64, b"\xff" * 8),
                                                         "tokenizer.ggml.eos_token_id": 5000}), {}))
    kinds = {k.lower(): (k, [2, size], random_blocks(k, 2 * size, RNG)) for k, (size, _) in BLOCK.items()}
    kinds |= {k.lower(): (k, [2, 3], encode(k, np.ones((2, 3)))) for k in ("F32", "F16", "BF16")}
    put("gguf", "types", build({}, kinds))
    put("gguf", "aligned", build({"general.alignment": 8}, {"a": ("F32", [1], b"\0" * 4), "b": ("F32", [2], b"\1" * 8)},
                                 alignment=8))
    lists = (ARRAY, struct.pack("<IQIQIQ", ARRAY, 1, ARRAY, 1, U32, 1) + b"\0" * 4)
    put("gguf", "lists", build({"a": lists, "b": (U64, b"\xff" * 8), "c": 1.5, "d": True}, {}))
    # those that lie
    one = {"a": ("F32", [2, 4], b"\0" * 32), "b": ("F32", [8], b"\0" * 32)}
    good = build({"k": "v"}, one)
    put("gguf", "two", good)
    for n in (4, 23, 24, 40, len(good) - 32, len(good) - 1):
        put("gguf", f"lie-cut-{n}", good[:n])
    put("gguf", "lie-version", build({}, one, version=1))
    put("gguf", "lie-big-endian", b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + good[24:])
    for name, tensors, values in (("tensors", 1 << 60, 1), ("values", 2, 1 << 63), ("counts", (1 << 64) - 1, (1 << 64) - 1)):
        put("gguf", f"lie-{name}", b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + good[24:])
    for name, number in (("past-end", 1 << 40), ("wraps", (1 << 64) - 32), ("overlap", 0), ("gap", 64), ("misaligned", 33)):
        put("gguf", f"lie-{name}", build({}, one, change=lambda e, at=number: e[1].__setitem__(3, at)))
    for name, shape in (("overflow", [1 << 32, 1 << 32, 2]), ("negative", [1 << 63]), ("no-values", [0]),
                        ("rank", [1] * 5), ("no-rank", []), ("huge", [1 << 60])):
        put("gguf", f"lie-{name}", build({}, one, change=lambda e, s=shape: e[1].__setitem__(2, s)))
    put("gguf", "lie-half-block", build({}, {"a": (2, [1, 16], b"\0" * 18)}))
    put("gguf", "lie-type", build({}, {"a": (99, [8], b"\0" * 32)}))
    put("gguf", "lie-same-tensor", build({}, one, change=lambda e: e[1].__setitem__(0, "a")))
    put("gguf", "lie-same-key", build([("k", 1), ("k", 2)], {}))
    put("gguf", "lie-long-name", build({}, {"a" * 200: ("F32", [8], b"\0" * 32)}))
    put("gguf", "lie-alignment", build({"general.alignment": 0}, one))
    put("gguf", "lie-alignment-huge", build({"general.alignment": 1 << 30}, one))
    put("gguf", "lie-list", build({"k": (ARRAY, struct.pack("<IQ", U64, 1 << 61))}, {}))
    put("gguf", "lie-texts", build({"k": (ARRAY, struct.pack("<IQ", STRING, (1 << 64) - 1))}, {}))
    put("gguf", "lie-text", build({"k": (STRING, struct.pack("<Q", (1 << 64) - 1))}, {}))
    put("gguf", "lie-deep", build({"k": (ARRAY, struct.pack("<IQ", ARRAY, 1) * 50)}, {}))
    put("gguf", "lie-kind", build({"k": (77, b"\0" * 8)}, {}))
    for name, more in {"types-short": {"tokenizer.ggml.token_type": [1, 2]},
                       "no-utf8": {"tokenizer.ggml.tokens": [b"\xff\xfe", b"a"]},
                       "token-twice": {"tokenizer.ggml.tokens": ["a", "a"]},
                       "merges-no-list": {"tokenizer.ggml.merges": 7}}.items():
        put("gguf", f"lie-tokenizer-{name}", build(tokenizer_keys(**more), {}))
    keys, tensors = gpt2_gguf()
    for name, more in {"layers": {"gpt2.block_count": 0x7fffffff}, "width": {"gpt2.embedding_length": 0x7fffffff},
                       "heads": {"gpt2.attention.head_count": 3}}.items():
        put("gguf", f"lie-model-{name}", build(keys | more, tensors))


# --- tokenizers ------------------------------------------------------------------------------------------

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PATTERN = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?!\\S)|\\s+"


def vocabulary(bytes_, *more):
    return {t: i for i, t in enumerate([*byte_tokens(bytes_), *more])}


def tokenizer(added=(), model=None, **more):
    vocab = vocabulary(range(32, 127), "ab", "abab", "\u0120a")
    core = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": vocab, "merges": ["a b", ["ab", "ab"], "\u0120 a"]} | (model or {})
    tokens = [{"id": 98 + i, "content": c, "special": i % 2 == 0} | extra for i, (c, extra) in enumerate(added)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": None,
            "pre_tokenizer": BYTE_LEVEL, "post_processor": None, "decoder": BYTE_LEVEL, "model": core} | more


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def steps(*all_):
    return {"type": "Sequence", "pretokenizers": [*all_, BYTE_LEVEL | {"use_regex": False}]}


def tokenizer_json():
    added = [("<x>", {}), ("<|end|>", {"lstrip": True}), ("<x>y", {"rstrip": True}), ("e\u0301", {"normalized": True})]
    some = [t["content"] for t in tokenizer(added)["added_tokens"]]
    deep = BYTE_LEVEL
    for _ in range(12):
        deep = {"type": "Sequence", "pretokenizers": [deep]}
    for name, value in {
            "plain": tokenizer(),
            "added": tokenizer(added, normalizer={"type": "NFC"}),
            "split": tokenizer(pre_tokenizer=steps(split(PATTERN)), model={"ignore_merges": True}),
            "digits": tokenizer(pre_tokenizer=steps({"type": "Digits", "individual_digits": True}, split("\\w+|[^\\w\\s]"))),
            "unknown": tokenizer(model={"unk_token": "?", "fuse_unk": True}),
            "wild-pattern": tokenizer(pre_tokenizer=steps(split("(a|b|ab)*c|(?:a+)+$"))),
            "lie-empty-pattern": tokenizer(pre_tokenizer=steps(split("a*"))),
            "lie-bad-pattern": tokenizer(pre_tokenizer=steps(split("(?:[a-"))),
            "lie-deep": tokenizer(pre_tokenizer=deep),
            "lie-ids-twice": tokenizer(model={"vocab": vocabulary(range(32, 127)) | {"ab": 0}}),
            "lie-id-huge": tokenizer(model={"vocab": vocabulary(range(32, 127)) | {"ab": BIG}}),
            "lie-id-negative": tokenizer(model={"vocab": vocabulary(range(32, 127)) | {"ab": -1}}),
            "lie-bytes-missing": tokenizer(model={"vocab": {"a": 0, "b": 1}}),
            "lie-merge-unknown": tokenizer(model={"merges": ["q z"]}),
            "lie-merge-twice": tokenizer(model={"merges": ["a b", "a b"]}),
            "lie-merge-form": tokenizer(model={"merges": ["a b c", ["a"], 3]}),
            "lie-merge-long": tokenizer(model={"vocab": vocabulary(range(32, 127), "a" * 1500), "merges": ["a" * 1500 + " a"]}),
            "lie-added-twice": tokenizer([("<x>", {}), ("<x>", {"special": True})]),
            "lie-added-id": tokenizer([("<x>", {"id": BIG})]),
            "lie-unknown-missing": tokenizer(model={"unk_token": "none"}),
            "lie-no-model": {"version": "1.0"}, "lie-list": some}.items():
        put("tokenizer_json", name, small(value))
    put("tokenizer_json", "lie-cut-short", small(tokenizer())[:-40])
    put("tokenizer_json", "lie-nested", "[" * 3000)


def tokenizer_pair():
    vocab = small(vocabulary(range(256), "ab", "abab", "\u0120a"))
    for name, merges in {"plain": "#version: 0.2\na b\nab ab\n\u0120 a\n", "no-end": "a b\r\nab ab", "empty": "",
                         "lie-twice": "a b\na b\n", "lie-unknown": "a q\n", "lie-form": "a  b\n a\nb \n",
                         "lie-nul": "a b\n\0", "lie-blank": "a b\n\n\n"}.items():
        put("tokenizer_pair", name, vocab + "\0" + merges)
    put("tokenizer_pair", "lie-no-utf8", vocab.encode() + b"\0a b\n\xff \xfe\n")
    put("tokenizer_pair", "lie-bytes-missing", small(vocabulary(range(100))) + "\0a b\n")
    put("tokenizer_pair", "lie-id-huge", small({"a": 1 << 40}) + "\0")
    put("tokenizer_pair", "lie-cut-short", vocab[:-9])


# --- settings and rows -----------------------------------------------------------------------------------

def config():
    gpt2 = {"model_type": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 4, "n_positions": 8, "vocab_size": 8,
            "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
    llama = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 4,
             "num_key_value_heads": 2, "intermediate_size": 24, "vocab_size": 16, "rms_norm_eps": 1e-6, "head_dim": 4,
             "max_position_embeddings": 32, "tie_word_embeddings": False, "hidden_act": "silu"}
    scaled = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 16, "rope_theta": 500000.0}
    most = 2147483647
    for name, value in {
            "gpt2": gpt2, "llama": llama, "llama3": llama | {"rope_parameters": scaled},
            "llama3-older": llama | {"rope_scaling": scaled, "rope_theta": 5e5},
            "qwen2": llama | {"model_type": "qwen2", "use_sliding_window": False, "layer_types": ["full_attention"] * 2},
            "qwen3": llama | {"model_type": "qwen3", "attention_bias": False, "head_dim": 6},
            "lie-layers": gpt2 | {"n_layer": most}, "lie-width": gpt2 | {"n_embd": most},
            "lie-heads": llama | {"num_attention_heads": most, "num_key_value_heads": most},
            "lie-head-dim": llama | {"model_type": "qwen3", "head_dim": most, "num_attention_heads": most},
            "lie-vocab": gpt2 | {"vocab_size": BIG}, "lie-negative": gpt2 | {"n_embd": -4}, "lie-zero": gpt2 | {"n_head": 0},
            "lie-kv": llama | {"num_key_value_heads": 3}, "eps-large": llama | {"rms_norm_eps": 1e308},
            "theta-small": llama | {"rope_theta": 5e-324}, "lie-text": gpt2 | {"n_layer": "1"},
            "lie-factor": llama | {"rope_parameters": scaled | {"factor": 5e-324}},
            "lie-windows": llama | {"sliding_window": 5}, "lie-family": gpt2 | {"model_type": "t5"}, "lie-list": [1]}.items():
        put("config", name, small(value))
    put("config", "lie-twice", '{"model_type":"gpt2","model_type":"llama"}')
    put("config", "lie-nul", b'{"model_type":"gpt2"}\0')


def adapter():
    good = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "bias": "none", "use_rslora": False,
            "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": "x", "modules_to_save": None}
    for name, value in {
            "good": good, "rslora": good | {"use_rslora": True, "lora_alpha": 0.5},
            "linear": good | {"target_modules": "all-linear", "init_lora_weights": True},
            "lie-rank": good | {"r": BIG}, "rank-large": good | {"r": 1 << 20}, "lie-rank-zero": good | {"r": 0},
            "alpha-large": good | {"lora_alpha": 1e308}, "lie-targets": good | {"target_modules": ["q_proj"] * 65},
            "lie-target": good | {"target_modules": ["nothing", 3]}, "lie-pattern": good | {"target_modules": ".*[(_proj"},
            "lie-empty": good | {"target_modules": [""]}, "lie-dora": good | {"use_dora": True},
            "lie-kind": good | {"peft_type": "IA3"}, "lie-list": [good]}.items():
        put("adapter", name, small(value))
    put("adapter", "lie-cut-short", small(good)[:-3])


def rows():
    row = {"task": "t", "input": "win \u00e9 \U0001f600", "output": "spam", "options": ["bill", "spam"]}
    free = {"task": "t", "input": "a", "output": "b", "options": []}
    lines = {"good": [row, row | {"input": "x"}], "free": [free] * 3, "lie-task": [row | {"task": "u"}],
             "lie-output": [row | {"output": "none"}], "lie-options": [row | {"options": "spam"}],
             "lie-option": [row | {"options": ["spam", 1]}], "lie-missing": [{"task": "t"}], "lie-list": [[1, 2]]}
    for name, value in lines.items():
        put("rows", name, "".join(json.dumps(r) + "\n" for r in value))
    put("rows", "no-end", json.dumps(row, ensure_ascii=False))
    put("rows", "windows", json.dumps(row) + "\r\n")
    put("rows", "lie-empty", "")
    put("rows", "lie-blank", json.dumps(row) + "\n\n")
    put("rows", "lie-utf8", json.dumps(row).encode() + b"\n{\"task\": \"\xff\"}\n")
    put("rows", "lie-mark", b"\xef\xbb\xbf" + json.dumps(row).encode())
    put("rows", "lie-nul", json.dumps(row | {"input": "a\0b"}))
    put("rows", "lie-raw-nul", b'{"task": "t", \0}\n')
    put("rows", "lie-twice", '{"task":"t","task":"t","input":"a","output":"b","options":[]}\n')
    put("rows", "lie-surrogate", '{"task":"t","input":"\\ud800","output":"b","options":[]}\n')


def lines():
    for name, value in {"words": {"text": "the then that"}, "unicode": {"text": "na\u00efve \U0001f600 \u4f60"},
                        "nul": {"text": "a\0b"}, "more": {"other": [1], "text": ""}, "lie-none": {"texts": "a"},
                        "lie-number": {"text": 3}, "lie-list": ["text"]}.items():
        put("lines", name, json.dumps(value))
    put("lines", "raw", json.dumps({"text": "caf\u00e9 \u3000 the"}, ensure_ascii=False))
    put("lines", "lie-utf8", b'{"text": "\xff\xc3"}')
    put("lines", "lie-twice", '{"text":"a","text":"b"}')
    put("lines", "lie-cut-short", '{"text": "a')
    put("lines", "lie-empty", "")


# What the program wrote: no other reader of ours knows its sums.
SEALED = """\
{"table":"run","run_id":"r1","job":"x","seed":1,"nth":0,"line":1,"sum":"bc51669ce515fc86"}
{"table":"train/step","step":1,"loss":0.5,"digest":"caf\\u00e9","nth":0,"line":2,"sum":"eb5c0b126d62c4c5"}
{"table":"eval/prediction","row":0,"option_losses":[1.0,null,"inf"],"predicted":"gr\\u00f6\\u00dfer","nth":0,"line":3,\
"sum":"d360a598c0136d75"}
{"table":"train/step","step":2,"loss":null,"digest":"tea","nth":1,"line":4,"sum":"49dc41ef2bda2895"}
"""
FAR = """\
{"table":"train/step","step":3,"loss":1.0,"digest":"","nth":9223372036854775807,"line":5,"sum":"f1d3bb5b07e9d1f2"}
{"table":"train/step","step":3,"loss":1.0,"digest":"","nth":2,"line":9223372036854775807,"sum":"15d23c7cbaae0266"}
"""


def journal():
    lines = SEALED.splitlines(keepends=True)
    step = {"table": "train/step", "step": 1, "loss": 0.25, "digest": "a longer text"}
    put("journal", "sealed", SEALED)
    put("journal", "torn", SEALED + lines[1][:40])
    put("journal", "lie-altered", SEALED.replace("0.5", "0.6"))
    put("journal", "lie-dropped", "".join(lines[:1] + lines[2:]))
    put("journal", "lie-swapped", "".join([lines[0], lines[3], lines[2], lines[1]]))
    put("journal", "lie-twice", "".join(lines + lines[3:]))
    put("journal", "lie-far", SEALED + FAR)
    put("journal", "lie-half-sealed", SEALED + small(step) + "\n")
    put("journal", "lie-empty", "")
    # of before there were sums
    for name, rows in {"plain": [step, step | {"loss": "-inf"}], "other-version": [{"table": "train/step", "step": 1, "x": [{}]}],
                       "lie-table": [step | {"table": "train/none"}], "lie-index": [step | {"step": 1.5}],
                       "lie-text": [step | {"digest": 3}], "lie-list": [{"table": "eval/prediction", "row": 1, "option_losses": [[]]}],
                       "lie-huge": [step | {"step": 1 << 64}], "lie-no-object": [[1, 2]]}.items():
        put("journal", name, "".join(small(row) + "\n" for row in rows))
    put("journal", "lie-utf8", b'{"table":"train/step","step":1,"digest":"\xff\xc3"}\n')
    put("journal", "lie-nul", b'{"table":"train/step","step":1,"digest":"\0"}\n')
    put("journal", "lie-deep", '{"table":"train/step","step":' + "[" * 3000 + "}\n")


# --- HDF5 ------------------------------------------------------------------------------------------------

def hdf5():
    """What this program and h5py write, small; and what HDF5 can do that is not for us."""
    import h5py

    def made(make):
        with tempfile.NamedTemporaryFile(suffix=".h5") as file:
            with h5py.File(file.name, "w") as h5:
                make(h5)
            return Path(file.name).read_bytes()

    def plain(h5):
        h5.attrs["format"] = "outerloop-prompts"
        h5.attrs["rates"] = [0.5, 1.0]
        h5.create_dataset("group/tokens", data=np.arange(30, dtype="i4"), chunks=(10,), fletcher32=True)
        h5.create_dataset("group/deflated", data=np.zeros((20, 6)), chunks=(8, 4), compression="gzip", shuffle=True)
        h5["words"] = ["a", "two"]

    def large_group(h5):
        for i in range(12):  # a name that is no ASCII makes a group of the newer kind; nine members, a heap
            h5[f"m\u00e9mber.{i}"] = np.float32(i)

    def scales(h5):
        h5["x"], h5["y"] = np.arange(3), np.arange(3.0)
        h5["x"].make_scale("step")
        h5["y"].dims[0].attach_scale(h5["x"])
        lists = h5.create_dataset("lists", (2,), dtype=h5py.vlen_dtype("f8"), chunks=(4,), maxshape=(None,))
        lists[0], lists[1] = [1.0, 2.0], []

    def external(h5):
        h5.create_dataset("a", (4,), dtype="u1", external=[("/etc/passwd", 0, 4)])

    def virtual(h5):
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "a", (4,))
        h5.create_virtual_dataset("a", layout)

    def cycle(h5):
        h5.create_group("a")["b"] = h5["/"]

    for name, make in {
            "plain": plain, "large-group": large_group, "scales": scales, "empty": lambda h5: None,
            "lie-external": external, "lie-virtual": virtual, "lie-cycle": cycle,
            "lie-soft": lambda h5: h5.__setitem__("a", h5py.SoftLink("/b")),
            "lie-link": lambda h5: h5.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")),
            "lie-bomb": lambda h5: h5.create_dataset("a", (1 << 40,), dtype="u1", chunks=(1 << 10,)),
            "lie-record": lambda h5: h5.create_dataset("a", (2,), dtype=[("x", "f4")]),
            "lie-half": lambda h5: h5.create_dataset("a", data=np.zeros(2, "f2")),
            "lie-filter": lambda h5: h5.create_dataset("a", data=np.zeros(9), chunks=(9,), compression="lzf")}.items():
        put("hdf5", name, made(make))
    good = made(plain)
    put("hdf5", "lie-cut-short", good[:-1])
    put("hdf5", "lie-version", good[:8] + b"\2" + good[9:])
    at = good.index(b"GCOL")
    put("hdf5", "lie-collection", good[:at + 24] + struct.pack("<Q", (1 << 64) - 4) + good[at + 32:])


def conf():
    good = 'name = "j";\nseed = 1;\ntrain = { steps = 3; };\nlearner = { episodes = 2; inner = { lr = 1e-3; }; };\n'
    for name, value in {"good": good, "arms": good + 'arms = ( { name = "a"; learner = { algorithm = "reptile"; }; } );\n',
                        "lie-key": good + "sed = 2;", "lie-twice": good + "seed = 2;", "lie-type": 'seed = "x";',
                        "lie-huge": "seed = 99999999999999999999999;", "lie-cut-short": good[:-5],
                        "lie-deep": "a = " + "(" * 3000, "lie-nan": "learner = { inner = { lr = nan; }; };",
                        "lie-arm": good + 'arms = ( { name = "../a"; } );\n', "lie-include": '@include "/dev/zero"\n'}.items():
        put("conf", name, value)


def task():
    setting = {"train": ["a", "b"], "test": ["c"], "unseen_domain_test": ["c"], "groups": {"new": ["c"]}}
    for name, value in {"task": {"task_type": "classification", "options": ["x", "y"]}, "setting": setting,
                        "lie-type": {"task_type": "classificatoin", "options": []}, "lie-path": setting | {"train": ["../a"]},
                        "lie-twice": setting | {"train": ["a", "a"]}, "lie-group": setting | {"groups": {"new": ["d"]}},
                        "lie-number": setting | {"test": [3]}, "lie-list": [1]}.items():
        put("task", name, small(value))


for make in (safetensors, shards, gguf, tokenizer_json, tokenizer_pair, config, adapter, rows, lines, journal, hdf5, conf, task):
    if not sys.argv[1:] or make.__name__ in sys.argv[1:]:
        make()
