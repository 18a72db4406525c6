# SPDX-License-Identifier: BSD-3-Clause
"""Models in and out: import, starts from it, adapters, export. Tensors are compared bit by bit. TAP.

usage: test_models.py PROGRAM
"""
import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np

from cases import check
from harness import ENV, PROGRAM, main, run
from gguf_files import decode, encode

REFERENCE = os.environ.get("OUTERLOOP_REFERENCE")
TOKENIZER_TEXTS = ("vocab.json", "merges.txt")


def command(*words, code=0):
    done = subprocess.run([PROGRAM, *map(str, words)], text=True, capture_output=True, timeout=120, env=ENV)
    check(done.returncode == code, f"{words}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stderr if code else done.stdout


# --- folders -----------------------------------------------------------------------------------

def write_tensors(path, tensors):
    """tensors: name -> (type, shape, bytes)"""
    header, data = {}, b""
    for name, (kind, shape, raw) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def read_tensors(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        n = struct.unpack("<Q", raw[:8])[0]
        for name, entry in json.loads(raw[8:8 + n]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                found[name] = (entry["dtype"], entry["shape"], raw[8 + n + begin:8 + n + end])
    return found


def shapes(family, prefix=True):
    C, F, V, T, G, D = 16, 24, 256, 160, 2, 6 if family == "qwen3" else 4
    found, at = {}, "transformer." if prefix else ""
    if family == "gpt2":
        found = {at + "wte.weight": [V, C], at + "wpe.weight": [T, C], at + "ln_f.weight": [C], at + "ln_f.bias": [C]}
        for module, shape in (("ln_1", [C]), ("ln_2", [C]), ("attn.c_attn", [C, 3 * C]), ("attn.c_proj", [C, C]),
                              ("mlp.c_fc", [C, 4 * C]), ("mlp.c_proj", [4 * C, C])):
            found |= {f"{at}h.0.{module}.weight": shape, f"{at}h.0.{module}.bias": shape[-1:]}
        return found
    at = "model." if prefix else ""
    found = {at + "embed_tokens.weight": [V, C], at + "norm.weight": [C], "lm_head.weight": [V, C]}
    block = at + "layers.0."
    for name, rows in (("q", 4 * D), ("k", G * D), ("v", G * D)):
        found[f"{block}self_attn.{name}_proj.weight"] = [rows, C]
        if family == "qwen2":
            found[f"{block}self_attn.{name}_proj.bias"] = [rows]
        if family == "qwen3" and name != "v":
            found[f"{block}self_attn.{name}_norm.weight"] = [D]
    return found | {block + "self_attn.o_proj.weight": [C, 4 * D], block + "input_layernorm.weight": [C],
                    block + "post_attention_layernorm.weight": [C], block + "mlp.gate_proj.weight": [F, C],
                    block + "mlp.up_proj.weight": [F, C], block + "mlp.down_proj.weight": [C, F]}


def config(family):
    if family == "gpt2":
        return {"model_type": "gpt2", "n_layer": 1, "n_head": 4, "n_embd": 16, "n_positions": 160, "vocab_size": 256,
                "eos_token_id": 7}
    return {"model_type": family, "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 24, "vocab_size": 256, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 160, "tie_word_embeddings": False, "head_dim": 6 if family == "qwen3" else 4,
            "eos_token_id": [7, 8], "rope_theta": 30000.0}


def make(place, family, kind="F32", seed=1):
    """A folder of that family, of numbers of that type, with a tokenizer and settings beside."""
    folder, rng = place.path / f"{family}-{kind}", np.random.default_rng(seed)
    folder.mkdir()
    write_tensors(folder / "model.safetensors",
                  {name: (kind, shape, encode(kind, rng.normal(0, 0.3, shape).astype(np.float32)))
                   for name, shape in shapes(family).items()})
    (folder / "config.json").write_text(json.dumps(config(family)))
    (folder / "generation_config.json").write_text('{"eos_token_id": 7}')
    for name in TOKENIZER_TEXTS:
        (folder / name).write_bytes((tokenizer(place) / name).read_bytes())
    return folder


def values(tensor):
    kind, shape, raw = tensor
    return decode(kind, raw, shape)


# --- import and export -----------------------------------------------------------------------------

def given_back(place, folder, kind):
    """Imported and exported as the same type: the same names, shapes and bits."""
    file, out = place.path / "m.h5", place.path / f"out-{folder.name}"
    command("import", folder, "--out", file)
    check("all whole" in command("inspect", file, "--check"), "the file is not whole")
    command("export", file, "--out", out, "--dtype", kind.lower())
    found, expected = read_tensors(out), read_tensors(folder)
    check(found == expected, f"{folder.name}: other tensors {sorted(set(found) ^ set(expected))}")
    return out


def test_import_gives_back(place):
    for family in ("gpt2", "llama", "qwen2", "qwen3"):
        for kind in ("F32", "BF16", "F16"):
            folder = make(place, family, kind)
            out = given_back(place, folder, kind)
            for name in (*TOKENIZER_TEXTS, "generation_config.json"):
                check((out / name).read_bytes() == (folder / name).read_bytes(), f"{folder.name}: another {name}")
            ids = json.loads((out / "config.json").read_text())["eos_token_id"]
            check(ids == config(family)["eos_token_id"], f"{folder.name}: eos_token_id {ids}")
    # float32 is the default, and shards hold the same
    out = place.path / "shards"
    command("export", place.path / "m.h5", "--out", out, "--shard-size", "0M", code=2)
    command("import", place.path / "qwen3-F32", "--out", place.path / "m.h5")
    command("export", place.path / "m.h5", "--out", out, "--shard-size", "1MB")
    check(read_tensors(out) == read_tensors(place.path / "qwen3-F32"), "another default")
    check(len(list(out.glob("*.safetensors"))) == 1, "1 MB holds all of it")
    for path in (Path(REFERENCE, "oracle", "models").glob("tiny-*") if REFERENCE else []):
        if (path / "config.json").exists():
            given_back(place, path, next(iter(read_tensors(path).values()))[0])


def test_what_import_refuses(place):
    folder = make(place, "llama")
    said = command("import", place.path / "tasks", "--out", place.path / "m.h5", code=2)
    check("is no model" in said, said)
    said = command("import", folder, "--out", place.path / "none" / "m.h5", code=2)
    check("none" in said, said)
    check(not list(place.path.glob("m.h5*")), "a file is left")
    (folder / "config.json").write_text(json.dumps(config("llama") | {"num_attention_heads": 2000, "head_dim": 2}))
    check("model.heads" in command("import", folder, "--out", place.path / "m.h5", code=2), "a shape of no job")


def losses(model, place):
    """Option losses of a target task's prompts."""
    import h5py
    prompts, out = place.path / "prompts.h5", place.path / "scores.h5"
    if not prompts.exists():
        command("prompts", "--data", place.root, "--task", "third", "--seed", "13", "--k", "2", "--variant", "direct",
                "--tokenizer", tokenizer(place), "--out", prompts)
    command("score", model, "--prompts", prompts, "--out", out)
    with h5py.File(out) as file:
        return file["option_losses"][...].tolist()


JOB = """
seed = 5;
data = { root = "%s"; setting = "mini"; shots = 2; max_tokens = 160; max_tokens_per_example = 80; };
learner = { episodes = 2; support = 2; query = 2; inner = { steps = 1; lr = 0.01; }; outer = { lr = 2e-2; warmup = 1; }; };
train = { steps = 4; checkpoint_minutes = 0.0; };
eval = { seeds = [13]; adapt_steps = [1]; rows = 4; };
"""


def job(place):
    """A job that says nothing of a shape or a tokenizer."""
    path = place.path / "job.cfg"
    path.write_text(JOB % place.root)
    return path


def tokenizer(place):
    """Not where a job looks for it by itself."""
    if (place.root / "tokenizer").exists():
        (place.root / "tokenizer").rename(place.path / "tokenizer")
    return place.path / "tokenizer"


def newest(folder):
    return sorted((folder / "checkpoints").glob("step-*.h5"))[-1]


def test_start_from_import(place):
    """A job on an imported file: its shape and tokenizer come along, and go out again with the results."""
    folder, file, out, exported = (make(place, "qwen2"), *(place.path / n for n in ("m.h5", "run", "exported")))
    command("import", folder, "--out", file)
    check(losses(file, place) == losses(folder, place), "the file scores otherwise than its folder")
    cfg, start = job(place), ["model.init=checkpoint", f"model.path={file}"]
    run(2, cfg, out, sets=start)
    said = run(0, cfg, place.path / "no", sets=[*start, "model.width=32"], code=2).stderr
    check("width 16 and not 32" in said, said)
    torn = make(place, "llama")
    (torn / "model.safetensors").unlink()
    said = run(0, cfg, place.path / "no", sets=["model.init=import", f"model.path={torn}", "data.root=nowhere"], code=2).stderr
    check("llama-F32/model.safetensors: cannot open" in said, f"data are read before the model's files are looked at: {said}")
    command("export", out, "--out", exported)
    for name in (*TOKENIZER_TEXTS, "generation_config.json"):
        check((exported / name).read_bytes() == (folder / name).read_bytes(), f"another {name}")
    card = (exported / "README.md").read_text()
    check("learner maml, 4 meta-steps" in card and "\nstart " in card and "digest" in card and "path =" in card, card)
    check("in context" in card, f"no table of results:\n{card}")
    check(losses(exported, place) == losses(newest(out), place), "the export scores otherwise")
    bits = read_tensors(exported)
    changed = [n for n, t in read_tensors(folder).items() if bits[n] != t]
    check(len(changed) == len(bits), f"training moved {changed} alone")


# --- adapters --------------------------------------------------------------------------------------

LORA = ["model.trained=lora", "model.lora.rank=3", "model.lora.alpha=5", "model.lora.targets=[q_proj,down_proj]"]


def narrowed(values, kind):
    """float64 to a type, once; by the neighbours, not by cutting bits."""
    single = values.astype(np.float32)
    if kind == "F32":
        return single
    bits = single.view(np.uint32) & np.uint32(0xffff0000)
    around = [((bits.astype(np.int64) + (step << 16)).astype(np.uint32)).view(np.float32) for step in (-1, 0, 1, 2)]
    gaps = [np.abs(a.astype(np.float64) - values) for a in around]
    best = around[0]
    gap = gaps[0]
    for a, g in zip(around[1:], gaps[1:]):
        even = (a.view(np.uint32) >> 16) % 2 == 0
        take = (g < gap) | ((g == gap) & even)
        best, gap = np.where(take, a, best), np.where(take, g, gap)
    return best


def test_adapters(place):
    """Out as peft has it, in as a start, and merged: W + s B A in float64, rounded once."""
    for family, targets, sets in (("llama", ("self_attn.q_proj", "mlp.down_proj"), LORA),
                                  ("gpt2", ("attn.c_attn",), [*LORA[:3], "model.lora.rslora=true"])):
        base, out = make(place, family), place.path / f"run-{family}"
        start = ["model.init=import", f"model.path={base}"]
        cfg = job(place)
        run(0, cfg, out, sets=[*start, *sets, 'stages=["train", "eval"]'])
        adapter = place.path / f"adapter-{family}"
        command("export", out, "--out", adapter)
        settings = json.loads((adapter / "adapter_config.json").read_text())
        check((settings["r"], settings["lora_alpha"]) == (3, 5) and not (adapter / "model.safetensors").exists(), settings)
        low = read_tensors(adapter)
        check(len(low) == 2 * len(targets), sorted(low))
        scale = 5 / 3 ** 0.5 if family == "gpt2" else 5 / 3
        at = "h.0." if family == "gpt2" else "model.layers.0."
        hf = "transformer." if family == "gpt2" else ""
        for kind in ("F32", "BF16"):
            merged = place.path / f"merged-{family}-{kind}"
            command("export", out, "--out", merged, "--merge", "--dtype", kind.lower())
            found, before = read_tensors(merged), read_tensors(base)
            for name, tensor in before.items():
                module = name.removeprefix(hf).removeprefix(at).removesuffix(".weight")
                want = values(tensor).astype(np.float64)
                if module in targets:
                    A, B = (values(low[f"base_model.model.{hf}{at}{module}.lora_{x}.weight"]).astype(np.float64) for x in "AB")
                    check(np.abs(B).max() > 0, "B was not trained")
                    product = scale * (B @ A)
                    want = want + (product.T if family == "gpt2" else product)
                ours, close = values(found[name]), narrowed(want, kind)
                check(np.mean(ours != close) < 1e-3 and np.allclose(ours, close, rtol=1e-2), f"{kind} {name}")
        check(np.allclose(losses(place.path / f"merged-{family}-F32", place), losses(newest(out), place), atol=1e-5),
              f"{family}: the merged model scores otherwise")
        # the same adapter as the start of another run: step 0 of it is the end of the first
        again = place.path / f"again-{family}"
        begin = [*start, "model.trained=lora", f"model.lora.path={adapter}"]
        run(0, cfg, again, sets=[*begin, "train.steps=1", "learner.outer.lr=0", "learner.outer.weight_decay=0", 'stages=["train"]'])
        command("export", again, "--out", place.path / f"back-{family}")
        check(read_tensors(place.path / f"back-{family}") == low, f"{family}: the adapter did not begin where it was")
        check(json.loads((place.path / f"back-{family}" / "adapter_config.json").read_text()) == settings, "other settings")
    for key, value, word in (("rank", "4", "r = 3"), ("alpha", "6", "lora_alpha = 5"), ("rslora", "true", "use_rslora = false"),
                             ("targets", "[q_proj]", "target_modules = q_proj, down_proj")):
        said = run(0, cfg, place.path / "no", code=2, sets=[
            "model.init=import", f"model.path={place.path}/llama-F32", "model.trained=lora",
            f"model.lora.path={place.path}/adapter-llama", f"model.lora.{key}={value}"]).stderr
        check(word in said and f"model.lora.{key}" in said, said)
    said = command("export", place.path / "run-llama", "--out", place.path / "x", "--merge", "--dtype", "q4", code=2)
    check("f32, bf16 or f16" in said, said)


def test_prefixes_and_buffers(place):
    """GPT-2 with and without "transformer.", with the buffers of old libraries; all others are named."""
    folder = make(place, "gpt2")
    whole, before = read_tensors(folder), losses(folder, place)
    old = {name.removeprefix("transformer."): t for name, t in whole.items()}
    old |= {"h.0.attn.bias": ("F32", [1, 1, 4, 4], b"\0" * 64), "h.0.attn.masked_bias": ("F32", [], b"\0" * 4)}
    old |= {"lm_head.weight": whole["transformer.wte.weight"]}
    write_tensors(folder / "model.safetensors", old)
    check(losses(folder, place) == before, "other losses without the prefix")
    for kind in ("BOOL", "U8"):  # as torch keeps masks
        write_tensors(folder / "model.safetensors", old | {"h.0.attn.bias": (kind, [1, 1, 4, 4], b"\1" * 16)})
        check(losses(folder, place) == before, f"a mask of type {kind} is not passed over")
    name, (_, shape, raw) = next((n, t) for n, t in old.items() if n.startswith("h.0.attn.c"))
    write_tensors(folder / "model.safetensors", old | {name: ("I32", shape, raw)})
    said = command("score", folder, "--prompts", place.path / "prompts.h5", "--out", place.path / "o.h5", code=2)
    check("dtype I32" in said and "c_attn" in said, said)
    write_tensors(folder / "model.safetensors", old | {f"h.0.extra.{i}": ("F32", [1], b"\0" * 4) for i in range(14)})
    said = command("score", folder, "--prompts", place.path / "prompts.h5", "--out", place.path / "o.h5", code=2)
    check("14 tensors" in said and "h.0.extra.0" in said and said.count("h.0.extra.") == 12 and "..." in said, said)
    write_tensors(folder / "model.safetensors", {n: t for n, t in old.items() if "ln_1" not in n})
    said = command("score", folder, "--prompts", place.path / "prompts.h5", "--out", place.path / "o.h5", code=2)
    check("2 tensors missing: h.0.ln_1.weight, h.0.ln_1.bias" in said, said)
    llama = make(place, "llama")
    before = losses(llama, place)
    write_tensors(llama / "model.safetensors", read_tensors(llama) | {
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [2], b"\0" * 8)})
    check(losses(llama, place) == before, "inv_freq is not passed over")


if __name__ == "__main__":
    main([test_import_gives_back, test_what_import_refuses, test_start_from_import, test_adapters,
          test_prefixes_and_buffers])
