# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop score` and models from Hugging Face folders: the reference's losses, and files that lie. TAP.

usage: test_score.py PROGRAM
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy

from cases import Skipped, check, main

PROGRAM = sys.argv[1]
REFERENCE = os.environ.get("OUTERLOOP_REFERENCE")
SHAPE = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 4,
         "num_key_value_heads": 2, "intermediate_size": 24, "vocab_size": 30, "rms_norm_eps": 1e-5,
         "max_position_embeddings": 40, "tie_word_embeddings": False, "hidden_act": "silu"}


def score(folder, prompts, out, *more, code=0):
    done = subprocess.run([PROGRAM, "score", str(folder), "--prompts", str(prompts), "--out", str(out), *more],
                          text=True, capture_output=True, timeout=120)
    check(done.returncode == code, f"exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stderr


# --- the reference -------------------------------------------------------------------------------

def cases():
    if not REFERENCE:
        raise Skipped("configure with -Dreference=FOLDER to run this test")
    root = Path(REFERENCE, "oracle")
    for path in sorted((root / "models" / "scores").glob("*.h5")):
        name, prompts = path.name.split("--")
        adapter = ["--adapter", str(root / "models" / "tiny-llama-lora")] * name.endswith("+lora")
        yield path, root / "models" / name.split("+")[0], root / "prompts" / prompts, adapter
    for path in sorted((root / "scores").glob("*.h5")):
        yield path, root / "scores" / "tiny-gpt2", root / "prompts" / path.name, []


def compare(expected, ours, rows, tolerance):
    with h5py.File(expected) as a, h5py.File(ours) as b:
        y, picked = b["option_losses"][...], b["picked"][...]
        x = a["option_losses"][:len(y)]
        error = (((x - y) ** 2).sum() / (x ** 2).sum()) ** 0.5
        check(error <= tolerance, f"{expected.name}: losses differ by {error:.1e}")
        check(len(picked) == rows and (a["picked"][:rows] == picked).all(), f"{expected.name}: other picks")


def cut(prompts, rows, out):
    """The first rows of a file of prompts."""
    with h5py.File(prompts) as a, h5py.File(out, "w") as b:
        b["options_per_row"] = a["options_per_row"][:rows]
        b["offsets"] = a["offsets"][:b["options_per_row"][...].sum() + 1]
        for name in ("tokens", "loss_mask"):
            b[name] = a[name][:b["offsets"][-1]]
    return out


def test_reference_losses(folder):
    """All rows in float32; in float64, which takes four times as long, the first ones."""
    # The adapter's file was made with rotary frequencies rounded to float32.
    for expected, model, prompts, adapter in cases():
        few = cut(prompts, 10, folder / "few.h5")
        for precision, file, rows, tolerance in (("f32", prompts, 40, 1e-5),
                                                 ("f64", few, 10, 1e-7 if adapter else 1e-10)):
            score(model, file, folder / "out.h5", *adapter, "--precision", precision)
            compare(expected, folder / "out.h5", rows, tolerance)


# --- folders made here ---------------------------------------------------------------------------

def tensors(prefix="model."):
    """Names and shapes of the model of SHAPE."""
    found = {f"{prefix}embed_tokens.weight": [30, 16], f"{prefix}norm.weight": [16], "lm_head.weight": [30, 16]}
    for layer in range(2):
        at = f"{prefix}layers.{layer}."
        found |= {at + "input_layernorm.weight": [16], at + "post_attention_layernorm.weight": [16],
                  at + "self_attn.q_proj.weight": [16, 16], at + "self_attn.k_proj.weight": [8, 16],
                  at + "self_attn.v_proj.weight": [8, 16], at + "self_attn.o_proj.weight": [16, 16],
                  at + "mlp.gate_proj.weight": [24, 16], at + "mlp.up_proj.weight": [24, 16],
                  at + "mlp.down_proj.weight": [16, 24]}
    return found


def count(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def half(value):
    """The upper half of a float32: bfloat16 by cutting."""
    return struct.pack("<f", value)[2:]


def pack(shapes, stored="F32", seed=1):
    """A header and the data of a safetensors file; values are bfloat16 in any case."""
    header, data, rng = {"__metadata__": {"format": "pt"}}, b"", random.Random(seed)
    for name, shape in sorted(shapes.items()):
        halves = [half(rng.gauss(0, 0.3)) for _ in range(count(shape))]
        body = b"".join(halves if stored == "BF16" else [b"\0\0" + h for h in halves])
        header[name] = {"dtype": stored, "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    return header, data


def write(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def make(folder, name, stored="F32", prefix="model.", **config):
    model = folder / name
    model.mkdir()
    (model / "config.json").write_text(json.dumps(SHAPE | config))
    write(model / "model.safetensors", *pack(tensors(prefix), stored))
    return model


def make_prompts(folder):
    path, rng = folder / "prompts.h5", random.Random(3)
    lengths = [7, 9, 12, 5, 5, 20]
    with h5py.File(path, "w") as file:
        file["tokens"] = numpy.array([rng.randrange(30) for _ in range(sum(lengths))], "i4")
        file["offsets"] = numpy.cumsum([0, *lengths]).astype("i8")
        file["loss_mask"] = numpy.concatenate([[0] * (n - 2) + [1, 1] for n in lengths]).astype("u1")
        file["options_per_row"] = numpy.array([3, 2, 1], "i4")
    return path


def losses(path):
    with h5py.File(path) as file:
        return file["option_losses"][...].tolist(), file["picked"][...].tolist()


def test_one_model_in_many_files(folder):
    """BF16 or F32, a shard or two, with the prefix or without, tied or with a head beside: equal losses."""
    prompts, seen = make_prompts(folder), []
    plain = make(folder, "plain")
    variants = [plain, make(folder, "bf16", stored="BF16")]
    shards = folder / "shards"
    shutil.copytree(plain, shards)
    (shards / "model.safetensors").unlink()
    header, data = pack(tensors())
    names = sorted(n for n in header if n != "__metadata__")
    index = {}
    for part, some in enumerate((names[:8], names[8:])):
        own, body = {}, b""
        for name in some:
            begin, end = header[name]["data_offsets"]
            own[name] = header[name] | {"data_offsets": [len(body), len(body) + end - begin]}
            body += data[begin:end]
            index[name] = f"part-{part}.safetensors"
        write(shards / f"part-{part}.safetensors", own, body)
    (shards / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    variants.append(shards)
    bare = folder / "bare"
    shutil.copytree(plain, bare)
    write(bare / "model.safetensors", {k.removeprefix("model."): v for k, v in header.items()}, data)
    variants.append(bare)
    for model in variants:
        score(model, prompts, folder / "out.h5", "--precision", "f64")
        seen.append(losses(folder / "out.h5"))
    for model, one in zip(variants, seen):
        check(one == seen[0], f"{model.name}: other losses")


def test_what_is_missing_or_too_many(folder):
    prompts = make_prompts(folder)
    for name, change, word in (
            ("missing", lambda t: t.pop("model.norm.weight"), "model.norm.weight"),
            ("extra", lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": [16]}), "q_proj.bias"),
            ("turned", lambda t: t.update({"model.layers.1.mlp.down_proj.weight": [24, 16]}), "[24,16]")):
        shapes = tensors()
        change(shapes)
        model = make(folder, name)
        write(model / "model.safetensors", *pack(shapes))
        said = score(model, prompts, folder / "out.h5", code=2)
        check(word in said, f"{name}: no {word} in {said}")
    for config, word in (({"hidden_act": "gelu"}, "hidden_act"), ({"attention_bias": True}, "attention_bias"),
                         ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "yarn"),
                         ({"model_type": "mamba"}, "mamba"), ({"num_hidden_layers": "two"}, "num_hidden_layers"),
                         ({"hidden_size": 17}, "17")):
        model = make(folder, "config-" + next(iter(config)), **config)
        said = score(model, prompts, folder / "out.h5", code=2)
        check(word in said, f"{config}: no {word} in {said}")


def test_prompts_that_cannot_be_scored(folder):
    """A message names the file, and the prompt where it is one's fault."""
    model, prompts = make(folder, "model"), make_prompts(folder)
    for name, change, reason in (("loss_mask", lambda v: v * 0, "prompt 0 scores no token; its loss is undefined"),
                                 ("offsets", lambda v: v[:1], "has no prompts")):
        path = folder / f"{name}.h5"
        shutil.copy(prompts, path)
        with h5py.File(path, "a") as file:
            values = change(file[name][...])
            del file[name]
            file[name] = values
        said = score(model, path, folder / "out.h5", code=2)
        check(said == f"outerloop: {path}: {reason}\n", said)


def test_files_that_lie(folder):
    """Every one is refused with its reason; none crashes, hangs or takes memory."""
    prompts, model = make_prompts(folder), make(folder, "model")
    path, (header, data) = model / "model.safetensors", pack(tensors())
    name = "model.norm.weight"
    begin, end = header[name]["data_offsets"]

    def entry(**changes):
        return header | {name: header[name] | changes}

    text = json.dumps(header)
    lies = {
        "past the end": (entry(data_offsets=[len(data), len(data) + 64]), data),
        "backwards": (entry(data_offsets=[end, begin]), data),
        "negative": (entry(data_offsets=[-64, 0]), data),
        "of other length": (entry(data_offsets=[begin, end - 4]), data),
        "a shape that overflows": (entry(shape=[2**62, 2**62]), data),
        "a negative shape": (entry(shape=[-16]), data),
        "a shape of text": (entry(shape=["16"]), data),
        "a type of its own": (entry(dtype="I63"), data),
        "overlapping": (entry(data_offsets=[0, 64]), data),
        "a byte too many": (header, data + b"x"),
        "cut short": (header, data[:-10]),
        "a name twice": (text.replace("{", '{"%s": %s,' % (name, json.dumps(header[name])), 1).encode(), data),
        "no JSON": (b"{" * 1000, data),
        "no object": (b"[]", data),
    }
    for lie, (head, body) in lies.items():
        write(path, head, body)
        said = score(model, prompts, folder / "out.h5", code=2)
        check(str(path) in said, f"{lie}: {said}")
    for length in (0, 2**63, len(text) + len(data) + 9):
        path.write_bytes(struct.pack("<Q", length) + text.encode() + data)
        score(model, prompts, folder / "out.h5", code=2)
    path.write_bytes(b"abc")
    score(model, prompts, folder / "out.h5", code=2)
    path.unlink()
    os.mkfifo(path)
    score(model, prompts, folder / "out.h5", code=2)
    path.unlink()
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../plain/model.safetensors"}}')
    check("weight_map" in score(model, prompts, folder / "out.h5", code=2), "a shard outside of the folder")


if __name__ == "__main__":
    main([test_reference_losses, test_one_model_in_many_files, test_what_is_missing_or_too_many,
                   test_prompts_that_cannot_be_scored, test_files_that_lie])
