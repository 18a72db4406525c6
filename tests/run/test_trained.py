# SPDX-License-Identifier: BSD-3-Clause
"""Jobs that train a part of a model: an adapter, some tensors, an inner loop that moves a part. TAP.

usage: test_trained.py PROGRAM
"""
import signal
import subprocess
from pathlib import Path

import h5py

from cases import check
from harness import (ARMS, ENV, FOREVER, PROGRAM, digests, journal_lines, losses, main, newest, run, start, tensors,
                     wait_for)

LLAMA = ("model.arch=llama", "model.layers=2", "model.width=24", "model.heads=4", "model.kv_heads=2",
         "model.hidden=40")
LORA = (*LLAMA, "model.trained=lora", "model.lora.rank=3", "model.lora.alpha=6",
        "model.lora.targets=[q_proj,v_proj,down_proj]", "learner.inner.lr=0.01")
TRAIN = ('stages=["train"]', "train.steps=12", "train.checkpoint_every=4")
SMALL = ("learner.outer.warmup=0", "eval.rows=4", "eval.adapt_steps=[1]")


def test_lora_bits_on_any_ranks(place):
    job = place.job()
    out = {n: place.path / f"r{n}" for n in (0, 3)}
    for n in out:
        run(n, job, out[n], sets=[*LORA, *SMALL, "train.steps=6"])
        check(digests(out[n]) == digests(out[0]), f"{n} ranks differ")
        check(losses(out[n]) == losses(out[0]), f"scores on {n} ranks differ")
    check(len(set(digests(out[0]))) == 6, "training moves nothing")


def test_lora_resumes(place):
    job, stopped, sets = place.job(), place.path / "stopped", (*LORA, *TRAIN, "learner.outer.schedule=constant")
    run(0, job, stopped, sets=[*sets, "train.steps=5"])
    run(3, job, stopped, "--resume", sets=sets)
    check(digests(stopped) == digests(place.undisturbed(*sets)), "a resumed run is another")
    check(tensors(newest(stopped)) == tensors(newest(place.undisturbed(*sets))), "the last checkpoints differ")


def test_storage_changes_no_bit(place):
    job = place.job()
    for name, sets in (("lora", LORA), ("llama", LLAMA), ("gpt2", ())):
        out = [place.path / f"{name}-{storage}" for storage in ("keep", "recompute")]
        for path in out:
            storage = path.name.split("-")[1]
            run(0, job, path, sets=[*sets, 'stages=["train"]', "train.steps=3",
                                    f"learner.inner.storage={storage}"])
        check(digests(out[0]) == digests(out[1]), f"{name}: keep and recompute differ")


def test_checkpoint_holds_what_is_trained(place):
    out = place.undisturbed(*LORA, *TRAIN, "learner.outer.schedule=constant")
    with h5py.File(newest(out), "r") as file:
        names = sorted(file["params"])
        check(len(names) == 2 * 3 * 2, f"{len(names)} tensors")
        for name in names:
            check(name.startswith("base_model.model.model.layers.") and ".lora_" in name, name)
        A = file["params/base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"]
        B = file["params/base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"]
        check(A.shape == (3, 40) and B.shape == (24, 3), f"A {A.shape}, B {B.shape}")
        check(len(file["model"].attrs["frozen_digest"]) == 32, "no digest of the frozen part")


def test_a_steep_start_is_told(place):
    """Where A of a new adapter has gradient 0, a step from empty moments has the slope lr/sqrt(eps_root)."""
    job, words = place.job(), "a new adapter's A has gradient 0"
    steep = [*LORA, "train.steps=1", 'stages=["train"]', "learner.inner.moments=separate"]
    for name, sets, told in (("steep", ["learner.inner.eps_root=1e-8"], True),
                             ("flat", ["learner.inner.eps_root=1e-4"], False),
                             ("first", ["learner.inner.eps_root=1e-8", "learner.order=1"], False)):
        said = run(0, job, place.path / name, sets=[*steep, *sets]).stderr
        check((words in said) == told, f"{name}: {said}")


def bf16_is_there(program):
    """Whether this program and processor make products in bfloat16."""
    done = subprocess.run([program, "bench", "--layers=1", "--width=16", "--heads=1", "--vocab=8",
                           "--seq=4", "--labels=1", "--reps=1", "--precision=bf16"],
                          capture_output=True, text=True, env=ENV)
    return done.returncode == 0


def test_bf16_bits_on_any_ranks(place):
    job = place.job()
    wide = ["model.width=128", *TRAIN, "train.steps=4", "learner.outer.schedule=constant"]
    if not bf16_is_there(PROGRAM):
        done = run(0, job, place.path / "refused", sets=[*wide, "precision=bf16"], code=2)
        check("precision" in done.stderr, done.stderr)
        return
    out = [place.path / name for name in ("f32", "one", "two", "resumed")]
    run(0, job, out[0], sets=wide)
    run(0, job, out[1], sets=[*wide, "precision=bf16"])
    run(2, job, out[2], sets=[*wide, "precision=bf16"])
    run(0, job, out[3], sets=[*wide, "precision=bf16", "train.steps=2"])
    run(2, job, out[3], "--resume", sets=[*wide, "precision=bf16"])
    check(digests(out[0]) != digests(out[1]), "bf16 changes nothing")
    check(digests(out[1]) == digests(out[2]), "two ranks differ")
    check(digests(out[1]) == digests(out[3]), "a resumed run differs")
    with h5py.File(out[1] / "metrics.h5", "r") as file:
        check("products in bf16 (oneDNN" in file.attrs["blas"], file.attrs["blas"])
    run(0, job, out[1], "--resume", sets=[*wide, "precision=f32"], code=2)


def test_bf16_is_refused_where_it_is_slower(place):
    if not bf16_is_there(PROGRAM):
        return
    older = dict(ENV, DNNL_MAX_CPU_ISA="AVX512_CORE")
    done = subprocess.run([PROGRAM, "run", place.job(), "--set", "precision=bf16", "--set",
                           f"output={place.path / 'older'}"], capture_output=True, text=True, env=older)
    check(done.returncode == 2 and "avx512_core" in done.stderr and '"auto"' in done.stderr,
          f"{done.returncode}: {done.stderr}")
    check(not (place.path / "older").exists(), "a refused run left a folder")


def test_another_base_is_refused(place):
    job = place.job()
    first, second, out = (place.path / name for name in ("first", "second", "out"))
    base = place.path / "base.h5"
    adapter = [*LORA, *TRAIN, "model.init=checkpoint", f"model.path={base}"]
    short = [*TRAIN, "train.steps=2"]
    run(0, job, first, sets=[*LLAMA, *short])
    run(0, job, second, sets=[*LLAMA, *short, "seed=6"])
    base.write_bytes(newest(first).read_bytes())
    run(0, job, out, sets=adapter)
    base.write_bytes(newest(second).read_bytes())
    done = run(2, job, out, "--resume", sets=[*adapter, "train.steps=16"], code=1)
    check("another frozen part" in done.stderr, done.stderr)
    base.write_bytes(newest(first).read_bytes())
    run(0, job, out, "--resume", sets=[*adapter, "train.steps=16"])
    check(len(digests(out)) == 16, "the run did not go on beside its own base")


def test_adapter_as_a_start(place):
    """An adapter's checkpoint brings its base along: scored again, it scores the same."""
    job, out = place.job(), place.path / "out"
    again, refused = place.path / "again", place.path / "refused"
    run(0, job, out, sets=[*LORA, "train.steps=4", "eval.rows=4", 'stages=["train", "eval"]'])
    start_at = ["model.init=checkpoint", f"model.path={newest(out)}", "seed=99", "eval.rows=4"]
    run(2, job, again, sets=[*LORA, *start_at, 'stages=["eval"]'])
    check(losses(again) == losses(out), "other losses")
    done = run(0, job, refused, sets=[*LORA, *start_at, "model.width=32"], code=2)
    check("width 24 and not 32" in done.stderr, done.stderr)


def test_inner_loop_moves_a_part(place):
    job = place.job(more="""
arms = ( { name = "maml"; },
         { name = "anil"; learner = { inner = { adapts = [ "h.1.*", "ln_f.*" ]; }; }; } );
""")
    out = {n: place.path / f"r{n}" for n in (0, 2)}
    for n in out:
        run(n, job, out[n], sets=["model.layers=2", "train.steps=5", *SMALL])
        for arm in ("maml", "anil"):
            check(digests(out[n] / arm) == digests(out[0] / arm), f"{arm}: {n} ranks differ")
            check(losses(out[n] / arm) == losses(out[0] / arm), f"{arm}: scores on {n} ranks differ")
    check(digests(out[0] / "maml")[-1] != digests(out[0] / "anil")[-1], "the part makes no difference")
    with h5py.File(newest(out[0] / "anil"), "r") as file, \
            h5py.File(newest(out[0] / "maml"), "r") as maml:
        check(sorted(file["params"]) == sorted(maml["params"]), "the outer loop moves all")


def test_tensors_by_pattern(place):
    job, out = place.job(more=ARMS), place.path / "out"
    some = "model.trained=[ln_*,h.*.ln_*,h.0.mlp.*]"
    run(0, job, out, sets=[some, "train.steps=3", 'stages=["train"]'])
    with h5py.File(newest(out / "maml"), "r") as file:
        names = sorted(file["params"])
    check(names and all("ln_" in n or ".mlp." in n for n in names), str(names))
    for bad, word in (("model.trained=[h.7.*]", "h.7.*"), ("model.lora.rank=2", "model.lora.rank"),
                      ("learner.inner.adapts=[wte.*]", "wte.*")):
        done = run(0, job, place.path / "bad", sets=[some, bad][bad.startswith("model.t"):], code=2)
        check(word in done.stderr, done.stderr)


def proportional_kib(output):
    """Memory of the ranks of a run, pages that they share counted once."""
    total = ranks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"outerloop") and f"output={output}".encode() in words:
                rollup = (process / "smaps_rollup").read_text()
                total += int(rollup.split("\nPss:")[1].split()[0])
                ranks += 1
        except OSError:
            pass
    return ranks, total


def memory_of(ranks, job, output, sets):
    """MiB of a run in the middle of its training."""
    process = start(ranks, job, output, sets=(*sets, FOREVER))
    wait_for(lambda: len(journal_lines(output)) > 2, process)
    there, kib = proportional_kib(output)
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85 and there == ranks, f"{there} ranks:\n{said}")
    return kib / 1024


def test_frozen_part_stands_once_a_node(place):
    """A base of 94 MiB: a second rank brings its own work, and no second base."""
    job = place.job()
    sets = ('stages=["train"]', "model.trained=lora", "model.width=48", "model.context=512000")
    one, two, half = (memory_of(ranks, job, place.path / f"{frozen}{ranks}", [*sets, f"model.frozen={frozen}"])
                      for ranks, frozen in ((1, "f32"), (2, "f32"), (2, "bf16")))
    check(one > 94, f"{one:.0f} MiB with one rank are too few to hold the base")
    check(two - one < 0.6 * 94, f"{one:.0f} MiB with one rank, {two:.0f} with two")
    check(two - half > 0.8 * 47, f"bf16 saves too little: {two:.0f} MiB, {half:.0f}")


if __name__ == "__main__":
    main([test_a_steep_start_is_told, test_lora_bits_on_any_ranks, test_lora_resumes, test_storage_changes_no_bit,
          test_checkpoint_holds_what_is_trained, test_another_base_is_refused,
          test_adapter_as_a_start, test_inner_loop_moves_a_part, test_tensors_by_pattern,
          test_bf16_bits_on_any_ranks, test_bf16_is_refused_where_it_is_slower,
          test_frozen_part_stands_once_a_node])
