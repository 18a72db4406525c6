# SPDX-License-Identifier: BSD-3-Clause
"""A run is the same bits on any number of ranks, and after stops, kills and torn checkpoints. TAP.

usage: test_resume.py PROGRAM
"""
import os
import resource
import signal
import subprocess
from pathlib import Path

import h5py

from harness import ARMS, ARM_NAMES, check, column, digests, journal_lines, main, run, start, wait_for

RATES = ("learner.algorithm=meta-sgd", "learner.inner.optimizer=sgd", "learner.inner.lr=0.05")
LONG = ("train.steps=300", "train.checkpoint_every=50", 'stages=["train"]')


def losses(folder):
    return [value.tolist() for value in
            h5py.File(Path(folder) / "metrics.h5", "r")["eval/prediction/option_losses"][...]]


def tensors(path):
    """All parameters and moments of a checkpoint as bytes."""
    found = {}
    with h5py.File(path, "r") as file:
        for part in ("params", "moments"):
            file[part].visititems(lambda name, item: found.update({f"{part}/{name}": item[...].tobytes()})
                                  if isinstance(item, h5py.Dataset) else None)
    return found


def newest(folder):
    return max((Path(folder) / "checkpoints").glob("step-*.h5"))


def check_whole(folder, reference, steps):
    """Metrics without gaps or repeats, and the state of an unbroken run."""
    check(column(folder, "train/step/step") == list(range(1, steps + 1)), "train/step has gaps")
    check(len(journal_lines(folder)) == steps, "metrics.jsonl has gaps or repeats")
    check(len(column(folder, "train/episode/step")) == 4 * steps, "train/episode has gaps")
    check(digests(folder) == digests(reference), "the digests of θ differ")
    check(tensors(newest(folder)) == tensors(newest(reference)), "the last checkpoints differ")


def test_ranks_do_not_change_bits(place):
    job = place.job(more=ARMS)
    out = [place.path / f"r{n}" for n in range(5)]
    for n in range(5):
        run(n, job, out[n])
    for arm in ARM_NAMES:
        check(len(digests(out[0] / arm)) >= 40, f"{arm}: too few meta-steps")
        for n in range(1, 5):
            check(digests(out[n] / arm) == digests(out[0] / arm), f"{arm}: {n} ranks differ")
            check(losses(out[n] / arm) == losses(out[0] / arm), f"{arm}: scores on {n} ranks differ")
    check(losses(out[4] / "untrained") == losses(out[0] / "untrained"), "untrained scores differ")
    check(digests(out[0] / "maml") != digests(out[0] / "first"), "order 1 and 2 are the same")
    run(2, job, place.path / "other", sets=["seed=6"])
    check(digests(place.path / "other" / "maml")[-1] != digests(out[0] / "maml")[-1],
          "another seed gives the same bits")


def stop_and_resume(place, stop, ranks, then, more=()):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = (*LONG, *more)
    process = start(ranks, job, out, sets=sets)
    wait_for(lambda: len(journal_lines(out)) > 20, process)
    stop(process, out)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    check(len([line for line in said.splitlines() if "outerloop: " in line]) == 1, said)
    check(20 < len(digests(out)) < 300, "it did not stop on the way")
    said = run(then, job, out, "--resume", sets=sets).stderr
    check("going on from" in said, f"nothing was gone on with:\n{said}")
    run(1, job, unbroken, sets=sets)
    check_whole(out, unbroken, 300)


def test_learned_rates(place):
    """Outer parameters of the learner's own stop and resume as θ does."""
    stop_and_resume(place, lambda process, out: (out / "STOP").touch(), 2, 3, RATES)
    out, unbroken = place.path / "broken", place.path / "unbroken"
    check(any("rates." in name for name in tensors(newest(out))), "no rates in the checkpoint")
    for name in ("step", "least", "mean", "most"):
        values = column(out, f"train/own/{name}")
        check(len(values) == 300 and values == column(unbroken, f"train/own/{name}"), name)


def test_sigusr1(place):
    stop_and_resume(place, lambda process, out: process.send_signal(signal.SIGUSR1), 2, 3)


def test_sigterm_of_one_process(place):
    stop_and_resume(place, lambda process, out: process.send_signal(signal.SIGTERM), 0, 2)


def test_interrupt_of_one_process(place):
    stop_and_resume(place, lambda process, out: process.send_signal(signal.SIGINT), 0, 1)


def test_stop_file(place):
    stop_and_resume(place, lambda process, out: (out / "STOP").touch(), 3, 1)
    check(not (place.path / "broken" / "STOP").exists(), "the STOP file is still there")


def children(process):
    ran = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], text=True,
                         capture_output=True, check=True)
    return [int(word) for word in ran.stdout.split()]


def test_killed_rank(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    process = start(2, job, out, sets=LONG)
    wait_for(lambda: len(journal_lines(out)) > 120, process)
    os.kill(children(process)[-1], signal.SIGKILL)
    process.communicate(timeout=60)
    check(process.returncode not in (0, 85), "nobody noticed")
    check(len(list((out / "checkpoints").glob("step-*.h5"))) == 2, "keep_last = 2 was not heeded")
    run(2, job, out, "--resume", sets=LONG)
    run(0, job, unbroken, sets=LONG)
    check_whole(out, unbroken, 300)


def test_killed_before_the_first_checkpoint(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = ("train.steps=300", 'stages=["train"]')
    process = start(2, job, out, sets=sets)
    wait_for(lambda: len(journal_lines(out)) > 20, process)
    os.kill(children(process)[0], signal.SIGKILL)
    process.communicate(timeout=60)
    run(2, job, out, "--resume", sets=sets)
    run(0, job, unbroken, sets=sets)
    check_whole(out, unbroken, 300)


def test_torn_newest_checkpoint(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = ("train.steps=60", "train.checkpoint_every=20", 'stages=["train"]')
    run(0, job, out, sets=sets)
    run(0, job, unbroken, sets=sets)
    torn = newest(out)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    said = run(2, job, out, "--resume", sets=sets).stderr
    check(torn.name in said and "step-000040.h5" in said, f"the torn one is not named:\n{said}")
    check_whole(out, unbroken, 60)


def test_altered_byte(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = ("train.steps=60", "train.checkpoint_every=20", 'stages=["train"]')
    run(0, job, out, sets=sets)
    run(0, job, unbroken, sets=sets)
    with h5py.File(newest(out), "r") as file:
        at = file["params/wte.weight"].id.get_chunk_info(0).byte_offset
    with open(newest(out), "r+b") as file:
        file.seek(at + 100)
        byte = file.read(1)[0]
        file.seek(at + 100)
        file.write(bytes([byte ^ 1]))
    run(1, job, out, "--resume", sets=sets)
    check_whole(out, unbroken, 60)


def test_checkpoints_that_cannot_be_written(place):
    """A limit on the size of files, set on the way: below a checkpoint's and above all others."""
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = ("train.steps=400", "train.checkpoint_every=150", "model.width=96", 'stages=["train"]')
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the run inherits it
    process = start(0, job, out, sets=sets)
    signal.signal(signal.SIGXFSZ, former)
    wait_for(lambda: len(journal_lines(out)) > 3, process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1500000, 1500000))
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 1, f"exit code {process.returncode}, not 1:\n{said}")
    check(said.count("warning: no checkpoint at meta-step") == 1, said)
    check(said.count("outerloop: ") == 1, said)
    check(len(digests(out)) == 400, "training did not go on")
    check(not list((out / "checkpoints").glob("step-*")), "something is there")
    run(1, job, out, "--resume", sets=sets)
    run(2, job, unbroken, sets=sets)
    check_whole(out, unbroken, 400)


def test_lost_metrics_are_made_again(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    short, long = ("train.steps=30",), ("train.steps=60",)
    for folder in (out, unbroken):
        run(0, job, folder, sets=("learner.outer.schedule=constant", *short))
    (out / "metrics.h5").write_bytes(b"not HDF5")
    for folder in (out, unbroken):
        run(2, job, folder, "--resume", sets=("learner.outer.schedule=constant", *long))
    check_whole(out, unbroken, 60)
    check(losses(out) == losses(unbroken), "scores differ")


def test_finished_run_prints_its_table_again(place):
    job, out = place.job(more=ARMS), place.path / "out"
    table = run(2, job, out).stdout
    before = {path: path.read_bytes() for path in out.glob("*/checkpoints/*")}
    again = run(3, job, out, "--resume").stdout
    check("mean" in table and again == table, f"{table}\nbecame\n{again}")
    check({path: path.read_bytes() for path in out.glob("*/checkpoints/*")} == before,
          "checkpoints changed")
    check(len(column(out / "maml", "eval/score/score")) == 12, "scores are there twice")


def test_resume_goes_on_with_the_arm_that_broke_off(place):
    job, out, unbroken = place.job(more=ARMS), place.path / "out", place.path / "unbroken"
    sets = ("train.steps=150", "train.checkpoint_every=50")
    process = start(2, job, out, sets=sets)
    wait_for(lambda: len(journal_lines(out / "reptile")) > 10, process)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}")
    check(not (out / "metaicl" / "metrics.h5").exists(), "the last arm had begun")
    first = newest(out / "maml").stat().st_mtime_ns
    run(1, job, out, "--resume", sets=sets)
    check(newest(out / "maml").stat().st_mtime_ns == first, "a finished arm was trained again")
    run(2, job, unbroken, sets=sets)
    for arm in ARM_NAMES:
        check(digests(out / arm) == digests(unbroken / arm), f"{arm}: digests differ")
        check(losses(out / arm) == losses(unbroken / arm), f"{arm}: scores differ")


def test_stop_while_scoring(place):
    job, out, unbroken = place.job(), place.path / "out", place.path / "unbroken"
    sets = ("train.steps=2", "learner.outer.warmup=0")
    process = start(2, job, out, sets=(*sets, "eval.adapt_steps=[1, 3000]"))
    wait_for(lambda: (out / "untrained" / "metrics.h5").exists(), process)
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    run(3, job, out, "--resume", sets=sets)
    run(1, job, unbroken, sets=sets)
    for folder in ("", "untrained"):
        check(losses(out / folder) == losses(unbroken / folder), f"{folder}: scores differ")


if __name__ == "__main__":
    main([test for name, test in sorted(globals().items()) if name.startswith("test_")])
