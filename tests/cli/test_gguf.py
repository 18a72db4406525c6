# SPDX-License-Identifier: BSD-3-Clause
"""GGUF files: every type and architecture against numpy, tokenizers, and files that lie. TAP.

usage: test_gguf.py PROGRAM
"""
import json
import struct
import subprocess
from pathlib import Path

import h5py
import numpy as np

from cases import Skipped, check, main
from gguf_files import ARRAY, BLOCK, STRING, U32, build, decode, encode, random_blocks
from test_score import PROGRAM, REFERENCE, losses, make_prompts, score

LAYERS, V, CONTEXT = 2, 96, 64
FTYPES = ("F32", "F16", "BF16")


def command(*words, code=0, given=None):
    done = subprocess.run([PROGRAM, *map(str, words)], text=True, capture_output=True, timeout=120, input=given)
    check(done.returncode == code, f"{words}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stderr if code else done.stdout


# --- models, by Hugging Face's names and by GGUF's --------------------------------------------------

def names(arch, C, heads, groups, D, F):
    """Ours -> (GGUF's, shape, how it lies)."""
    if arch == "gpt2":
        block = {"ln_1": ("attn_norm", [C], 0), "attn.c_attn": ("attn_qkv", [C, 3 * C], "turned"),
                 "attn.c_proj": ("attn_output", [C, C], "turned"), "ln_2": ("ffn_norm", [C], 0),
                 "mlp.c_fc": ("ffn_up", [C, F], "turned"), "mlp.c_proj": ("ffn_down", [F, C], "turned")}
        found = {"wte.weight": ("token_embd.weight", [V, C], 0), "wpe.weight": ("position_embd.weight", [CONTEXT, C], 0),
                 "ln_f.weight": ("output_norm.weight", [C], 0), "ln_f.bias": ("output_norm.bias", [C], 0)}
        for l in range(LAYERS):
            for ours, (theirs, shape, lie) in block.items():
                found[f"h.{l}.{ours}.weight"] = (f"blk.{l}.{theirs}.weight", shape, lie)
                found[f"h.{l}.{ours}.bias"] = (f"blk.{l}.{theirs}.bias", shape[-1:], 0)
        return found
    block = {"input_layernorm": ("attn_norm", [C]), "post_attention_layernorm": ("ffn_norm", [C]),
             "self_attn.q_proj": ("attn_q", [heads * D, C]), "self_attn.k_proj": ("attn_k", [groups * D, C]),
             "self_attn.v_proj": ("attn_v", [groups * D, C]), "self_attn.o_proj": ("attn_output", [C, heads * D]),
             "mlp.gate_proj": ("ffn_gate", [F, C]), "mlp.up_proj": ("ffn_up", [F, C]), "mlp.down_proj": ("ffn_down", [C, F])}
    if arch == "qwen3":
        block |= {"self_attn.q_norm": ("attn_q_norm", [D]), "self_attn.k_norm": ("attn_k_norm", [D])}
    found = {"model.embed_tokens.weight": ("token_embd.weight", [V, C], 0), "model.norm.weight": ("output_norm.weight", [C], 0),
             "lm_head.weight": ("output.weight", [V, C], 0)}
    for l in range(LAYERS):
        for ours, (theirs, shape) in block.items():
            lie = "paired" if arch == "llama" and theirs in ("attn_q", "attn_k") else 0
            found[f"model.layers.{l}.{ours}.weight"] = (f"blk.{l}.{theirs}.weight", shape, lie)
            if arch == "qwen2" and theirs in ("attn_q", "attn_k", "attn_v"):
                found[f"model.layers.{l}.{ours}.bias"] = (f"blk.{l}.{theirs}.bias", shape[:1], 0)
    return found


def laid(values, lie, D):
    """As the converter lays them: halves of a head's rows interleaved, or the matrix turned."""
    if lie == "turned":
        return np.ascontiguousarray(values.T)
    if lie == "paired":
        rows, cols = values.shape
        return values.reshape(rows // D, 2, D // 2, cols).swapaxes(1, 2).reshape(rows, cols)
    return values


def unlaid(values, lie, D):
    if lie == "turned":
        return values.T
    if lie == "paired":
        rows, cols = values.shape
        return values.reshape(rows // D, D // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)
    return values


def shape_of(arch):
    return dict(C=16, heads=4, groups=4 if arch == "gpt2" else 2, D=6 if arch == "qwen3" else 4, F=24)


def metadata(arch, C, heads, groups, D, F):
    keys = {"general.architecture": arch, f"{arch}.block_count": LAYERS, f"{arch}.context_length": CONTEXT,
            f"{arch}.embedding_length": C, f"{arch}.feed_forward_length": F, f"{arch}.attention.head_count": heads}
    if arch == "gpt2":
        return keys | {"gpt2.attention.layer_norm_epsilon": 1e-5}
    keys |= {f"{arch}.attention.head_count_kv": groups, f"{arch}.attention.layer_norm_rms_epsilon": 1e-6,
             f"{arch}.rope.freq_base": 50000.0}
    return keys | ({"qwen3.attention.key_length": D, "qwen3.attention.value_length": D} if arch == "qwen3" else {})


def model(arch, seed=1):
    """Metadata, tensors of F types as in the file, and values by our names."""
    s, rng = shape_of(arch), np.random.default_rng(seed)
    tensors, ours = {}, {}
    for i, (name, (theirs, shape, lie)) in enumerate(sorted(names(arch, **s).items())):
        kind = FTYPES[i % 3]
        raw = encode(kind, laid(rng.normal(0, 0.3, shape).astype(np.float32), lie, s["D"]))
        stored = decode(kind, raw, shape[::-1] if lie == "turned" else shape)
        tensors[theirs] = (kind, list(stored.shape), raw)
        ours[name] = unlaid(stored, lie, s["D"])
    return metadata(arch, **s), tensors, ours


def params(path):
    with h5py.File(path) as file:
        return {name: file["params"][name][...] for name in file["params"]}


def same(found, expected, what):
    check(sorted(found) == sorted(expected), f"{what}: {sorted(set(found) ^ set(expected))}")
    for name, values in expected.items():
        check(found[name].shape == values.shape and found[name].tobytes() == np.ascontiguousarray(values).tobytes(),
              f"{what}: {name} has other bits")


def write_safetensors(folder, config, values):
    header, data = {}, b""
    for name, v in values.items():
        raw = np.ascontiguousarray(v, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    (folder / "config.json").write_text(json.dumps(config))


def config(arch):
    s = shape_of(arch)
    if arch == "gpt2":
        return {"model_type": "gpt2", "n_layer": LAYERS, "n_head": 4, "n_embd": 16, "n_positions": CONTEXT,
                "vocab_size": V, "n_inner": 24, "layer_norm_epsilon": 1e-5}
    return {"model_type": arch, "num_hidden_layers": LAYERS, "hidden_size": 16, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 24, "vocab_size": V, "rms_norm_eps": 1e-6,
            "max_position_embeddings": CONTEXT, "tie_word_embeddings": False, "hidden_act": "silu",
            "rope_theta": 50000.0, "head_dim": s["D"]}


def test_architectures(folder):
    """Bits of F types, and the losses of the same numbers in a Hugging Face folder."""
    prompts = make_prompts(folder)
    for arch in ("gpt2", "llama", "qwen2", "qwen3"):
        keys, tensors, ours = model(arch)
        path = folder / f"{arch}.gguf"
        path.write_bytes(build(keys, tensors))
        seen = []
        write_safetensors(folder / arch, config(arch), ours)
        for source in (path, folder / arch):
            score(source, prompts, folder / "out.h5", "--precision", "f64")
            seen.append(losses(folder / "out.h5"))
        check(seen[0] == seen[1], f"{arch}: other losses")


def test_import_of_types(folder):
    """Every type decodes to numpy's bits, wherever it stands."""
    s = dict(C=256, heads=4, groups=2, D=64, F=512)
    rng, kinds = np.random.default_rng(2), sorted(BLOCK)
    for arch in ("llama", "gpt2"):
        tensors, ours = {}, {}
        for i, (name, (theirs, shape, lie)) in enumerate(sorted(names(arch, **(s | {"groups": 4 if arch == "gpt2" else 2})).items())):
            stored_shape = shape[::-1] if lie == "turned" else shape
            if len(shape) == 1:
                kind, raw = "F32", encode("F32", rng.normal(0, 1, shape))
            else:
                kind = kinds[i % len(kinds)]
                raw = random_blocks(kind, shape[0] * shape[1], rng)
            tensors[theirs] = (kind, stored_shape, raw)
            ours[name] = unlaid(decode(kind, raw, stored_shape), lie, s["D"])
        path = folder / "types.gguf"
        path.write_bytes(build(metadata(arch, **s) | tokenizer(), tensors, alignment=32))
        command("import", path, "--out", folder / "types.h5")
        same(params(folder / "types.h5"), ours, arch)


def test_heads_and_frequencies(folder):
    """A head that is the embedding again is tied; Llama 3's divisors are found out; small things of the format."""
    keys, tensors, ours = model("llama")
    keys |= tokenizer()
    again = dict(tensors) | {"output.weight": tensors["token_embd.weight"]}
    alone = {k: v for k, v in tensors.items() if k != "output.weight"}
    tied = {k: v for k, v in ours.items() if k != "lm_head.weight"}
    for name, file in (("again", again), ("alone", alone)):
        (folder / "m.gguf").write_bytes(build(keys, file, version=2, alignment=32))
        command("import", folder / "m.gguf", "--out", folder / "m.h5")
        same(params(folder / "m.h5"), tied, name)
    keys["general.alignment"] = 64
    plain = 50000.0 ** (-np.arange(0, 4, 2) / 4.0)
    smooth = np.clip((16 * plain / (2 * np.pi) - 1) / 3, 0, 1)
    divisors = 1 / ((1 - smooth) / 8 + smooth)  # one between the two ends
    (folder / "m.gguf").write_bytes(build(keys, {"rope_freqs.weight": ("F32", [2], encode("F32", divisors))} | tensors, alignment=64))
    command("import", folder / "m.gguf", "--out", folder / "m.h5")
    with h5py.File(folder / "m.h5") as file:
        found = file["model"].attrs
        check(found["rope_scaling"] == 1 and found["rope_factor"] == 8 and found["rope_theta"] == 50000
              and found["norm_eps"] == 1e-6, dict(found))
        check(found["rope_original_context"] == 16, dict(found))
    divisors[0] *= 1.5
    (folder / "m.gguf").write_bytes(build(keys, {"rope_freqs.weight": ("F32", [2], encode("F32", divisors))} | tensors, alignment=64))
    check("rope_freqs.weight" in command("import", folder / "m.gguf", "--out", folder / "m.h5", code=2), "wild divisors")


# --- tokenizers ------------------------------------------------------------------------------------

def tokenizer(pre="gpt-2", **more):
    """A vocabulary of bytes alone."""
    spelt = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b else chr(256 + n)
             for n, b in zip(byte_numbers(), range(256))]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": spelt + ["Ġt", "<|x|>"],
            "tokenizer.ggml.token_type": [1] * 257 + [3], "tokenizer.ggml.merges": ["Ġ t"]} | more


def byte_numbers():
    n = 0
    for b in range(256):
        yield n
        n += not (33 <= b <= 126 or 161 <= b <= 172 or 174 <= b)


def vocabulary(pieces):
    """Tokens and merges of bytes and of these pieces, each put together from the left."""
    words, merges = tokenizer()["tokenizer.ggml.tokens"][:256], []
    for piece in pieces:
        for end in range(2, len(piece) + 1):
            if piece[:end] not in words:
                words.append(piece[:end])
                merges.append(f"{piece[:end - 1]} {piece[end - 1]}")
    return words, merges


def tokens(path, lines):
    given = "".join(json.dumps({"text": line}) + "\n" for line in lines)
    return [json.loads(line) for line in command("tokens", "--tokenizer", path, given=given).split("\n") if line]


def test_tokenizers(folder):
    """Of the same vocabulary: ids as tokenizer.json gives them, for every name of a splitting."""
    lines = ["Hello there", "12345 67  x\n\n y\t", "it's O'RE, 'LL…é", "the <|x|> 3/4 (a+b)=c", "  trailing  "]
    words, merges = vocabulary("Hello Ġthere the 12345 Ġ67 67 ĠĠ ĠĠx ĊĊ Ġy 's it's ĠO'RE 're 'LL âĢ¦ Ġ3/4 Ġ( +b )=".split())
    vocab = {word: i for i, word in enumerate(words)}
    split = {"gpt-2": None, "smollm": ["\\p{N}"],
             "qwen2": ["(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"],
             "llama-bpe": ["(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"]}
    for pre, patterns in split.items():
        steps = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in patterns or []]
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": pre in ("gpt-2", "smollm")}
        (folder / pre).mkdir()
        (folder / pre / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "normalizer": {"type": "NFC"} if pre == "qwen2" else None, "decoder": {"type": "ByteLevel"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*steps, level]},
            "added_tokens": [{"id": len(words), "content": "<|x|>", "special": True, "normalized": False}],
            "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": pre == "llama-bpe"}}))
        keys = {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
                "tokenizer.ggml.tokens": [*words, "<|x|>", "[PAD]"], "tokenizer.ggml.merges": merges,
                "tokenizer.ggml.token_type": [1] * len(words) + [3, 5]}
        path = folder / f"{pre}.gguf"
        path.write_bytes(build(keys, {}))
        check(tokens(path, lines) == tokens(folder / pre, lines), f"{pre}: other tokens")
    for keys, word in ((tokenizer("falcon"), "falcon"), (tokenizer() | {"tokenizer.ggml.model": "llama"}, "llama"),
                       (tokenizer() | {"tokenizer.ggml.merges": ["Ġ zz"]}, "zz"),
                       (tokenizer() | {"tokenizer.ggml.tokens": ["a", "a"], "tokenizer.ggml.token_type": [1, 1]}, "twice"),
                       (tokenizer() | {"tokenizer.ggml.token_type": [1]}, "token_type"),
                       (tokenizer() | {"tokenizer.ggml.tokens": [b"\xff", "b"], "tokenizer.ggml.token_type": [1, 1]}, "UTF-8"),
                       ({"general.architecture": "llama"}, "no tokenizer")):
        (folder / "bad.gguf").write_bytes(build(keys, {}))
        said = command("tokens", "--tokenizer", folder / "bad.gguf", code=2, given="")
        check(word in said and "bad.gguf" in said, f"no {word} in {said}")


def test_reference_tokenizers(folder):
    if not REFERENCE:
        raise Skipped("configure with -Dreference=FOLDER to run this test")
    for style, pre in (("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2")):
        source = Path(REFERENCE, "oracle/models/tokenizers", f"{style}-style")
        whole = json.loads((source / "tokenizer.json").read_text())
        ids = whole["model"]["vocab"] | {t["content"]: t["id"] for t in whole["added_tokens"]}
        words = sorted(ids, key=ids.get)
        kinds = [3 if any(w == t["content"] for t in whole["added_tokens"]) else 1 for w in words]
        merges = [m if isinstance(m, str) else " ".join(m) for m in whole["model"]["merges"]]
        path = folder / f"{style}.gguf"
        path.write_bytes(build({"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
                                "tokenizer.ggml.tokens": words, "tokenizer.ggml.merges": merges,
                                "tokenizer.ggml.token_type": kinds}, {}))
        lines = [json.loads(line) for line in (source / "encodings.jsonl").read_text().split("\n") if line]
        for line, ours in zip(lines, tokens(path, [line["text"] for line in lines])):
            check(ours["ids"] == line["ids"], f"{style}: {line['text']!r}")


# --- files that lie --------------------------------------------------------------------------------

def refused(path, raw, prompts, word):
    path.write_bytes(raw)
    said = score(path, prompts, path.parent / "out.h5", code=2)
    check(str(path) in said and word in said, f"no {word!r} in {said}")


def test_files_that_lie(folder):
    """Every one is refused with its name and the reason; none crashes, hangs or takes memory."""
    prompts, path = make_prompts(folder), folder / "m.gguf"
    keys, tensors, _ = model("llama")
    whole = build(keys, tensors)

    def lie(word, change=None, more=None, **options):
        refused(path, build(keys | (more or {}), tensors, change=change, **options), prompts, word)

    def entry(i, at, to):
        def change(entries):
            entries[i][at] = to
        return change

    lie("lie within", entry(3, 3, 1 << 40))
    lie("lie within", entry(3, 3, 2**64 - 32))
    lie("overlap", entry(3, 3, 0))
    lie("gap", lambda entries: entries.pop(3))
    lie("dimension", entry(3, 2, [2**62, 2**62]))
    lie("dimension", entry(3, 2, [0, 16]))
    lie("dimension", entry(3, 2, [2**63]))
    lie("dimensions", entry(3, 2, []))
    lie("dimensions", entry(3, 2, [1] * 5))
    lie("settings make it", entry(3, 2, [12, 32]))
    lie("twice", entry(3, 0, "blk.0.attn_norm.weight"))
    lie("name of a tensor", entry(3, 0, "x" * 200))
    lie("name of a tensor", entry(3, 0, "a\0b"))
    lie("Q2_K", entry(3, 1, 10))
    lie("number 77", entry(3, 1, 77))
    lie("whole blocks", entry(3, 1, "Q4_0"))
    lie("alignment", more={"general.alignment": 3})
    lie("alignment", more={"general.alignment": 1 << 30})
    lie("version", version=1)
    lie("big-endian", version=3 << 24)
    lie("unknown type", more={"x": (99, b"")})
    lie("values", more={"x": (ARRAY, struct.pack("<IQ", U32, 2**62))})
    lie("cut short", more={"x": (ARRAY, struct.pack("<IQ", STRING, 2**60))})
    lie("lists in each other", more={"x": (ARRAY, b"".join(struct.pack("<IQ", ARRAY, 1) for _ in range(20)))})
    refused(path, build([*keys.items(), ("llama.block_count", 2)], tensors), prompts, "twice")
    refused(path, whole + b"\0" * 64, prompts, "belong to no tensor")
    for n in (24, 40, 300, 1200, len(whole) // 2, len(whole) - 64):
        refused(path, whole[:n], prompts, "")
    for at, word in ((8, "tensors"), (16, "values")):
        refused(path, whole[:at] + struct.pack("<Q", 2**61) + whole[at + 8:], prompts, word)
    refused(path, whole[:24] + struct.pack("<Q", 2**64 - 1) + whole[32:], prompts, "cut short")
    path.write_bytes(b"GGUF")
    check("m.gguf" in score(path, prompts, folder / "out.h5", code=2), "a file of four bytes")


def test_what_is_not_supported(folder):
    prompts, path = make_prompts(folder), folder / "m.gguf"
    keys, tensors, _ = model("llama")
    for more, word in (({"general.architecture": "mamba"}, "mamba"), ({"general.type": "adapter"}, "adapter"),
                       ({"llama.expert_count": 8}, "expert_count"), ({"llama.attention.sliding_window": 128}, "sliding_window"),
                       ({"llama.rope.scaling.type": "yarn"}, "yarn"), ({"llama.rope.scaling.factor": 4.0}, "rope.scaling.factor"),
                       ({"split.count": 2}, "split.count"), ({"llama.rope.dimension_count": 2}, "rope.dimension_count"),
                       ({"llama.block_count": 0}, "block_count"), ({"llama.block_count": "two"}, "block_count"),
                       ({"llama.attention.head_count": [4, 4]}, "head_count"), ({"llama.embedding_length": 2**31}, "embedding_length"),
                       ({"llama.attention.layer_norm_rms_epsilon": -1.0}, "layer_norm_rms_epsilon")):
        refused(path, build(keys | more, tensors), prompts, word)
    for key in ("llama.context_length", "general.architecture"):
        refused(path, build({k: v for k, v in keys.items() if k != key}, tensors), prompts, key)
    less = {k: v for k, v in tensors.items() if "ffn_up" not in k and "attn_v" not in k}
    refused(path, build(keys, less), prompts, "4 tensors missing")
    refused(path, build(keys, tensors | {"blk.0.attn_q.bias": ("F32", [16], b"\0" * 64)}), prompts, "blk.0.attn_q.bias")


if __name__ == "__main__":
    main([test_architectures, test_import_of_types, test_heads_and_frequencies, test_tokenizers,
                   test_reference_tokenizers, test_files_that_lie, test_what_is_not_supported])
