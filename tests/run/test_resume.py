# SPDX-License-Identifier: BSD-3-Clause
"""A run is the same bits on any number of ranks, and after stops, kills and torn checkpoints. TAP.

usage: test_resume.py PROGRAM
"""
import json
import os
import resource
import shutil
import signal
import subprocess

import h5py

from cases import check
from harness import (ARMS, ARM_NAMES, ENV, FOREVER, check_whole, children, column, command, digests, go_on,
                     journal_lines, losses, main, newest, read_to, run, start, start_held, tensors, wait_for,
                     write_rows)

RATES = ("learner.algorithm=meta-sgd", "learner.inner.optimizer=sgd", "learner.inner.lr=0.05")
TRAIN = ('stages=["train"]', "learner.outer.schedule=constant", "train.checkpoint_every=20")
THREE_ARMS = """
arms = ( { name = "maml"; }, { name = "reptile"; learner = { algorithm = "reptile"; inner = { moments = "read"; }; }; },
         { name = "metaicl"; learner = { algorithm = "metaicl"; }; } );
"""
SMALL = ("learner.outer.warmup=0", "eval.rows=4", "eval.adapt_steps=[1]")


def test_ranks_do_not_change_bits(place):
    sets = ("train.steps=5", *SMALL)
    out = {n: place.undisturbed(*sets, more=ARMS, ranks=n) for n in (0, 3, 4)}
    for arm in ARM_NAMES:
        check(len(digests(out[0] / arm)) >= 5, f"{arm}: too few meta-steps")
        for n in (3, 4):
            check(digests(out[n] / arm) == digests(out[0] / arm), f"{arm}: {n} ranks differ")
            check(losses(out[n] / arm) == losses(out[0] / arm), f"{arm}: scores on {n} ranks differ")
    check(losses(out[4] / "untrained") == losses(out[0] / "untrained"), "untrained scores differ")
    check(digests(out[0] / "maml") != digests(out[0] / "first"), "order 1 and 2 are the same")
    run(0, place.job(), place.path / "other", sets=["seed=6", *sets])
    check(digests(place.path / "other")[-1] != digests(out[0] / "maml")[-1],
          "another seed gives the same bits")


def stopped(place, stop, ranks, more=()):
    """A run of so many ranks, 0 for a process by itself, that was stopped at work: its folder and its job."""
    job, out, sets = place.job(), place.path / "broken", (*TRAIN, *more)
    if ranks:
        process = start(ranks, job, out, sets=(*sets, FOREVER))
        wait_for(lambda: len(journal_lines(out)) > 10, process)
    else:
        process = start_held(job, out, sets=(*sets, FOREVER))
        read_to(process, " 11/50000 ")
    stop(process, out)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    check(len([line for line in said.splitlines() if "outerloop: " in line]) == 1, said)
    check(len(digests(out)) > 10, "not all is saved")
    return out, sets


def stop_and_resume(place, stop, ranks, then, more=()):
    out, sets = stopped(place, stop, ranks, more)
    steps, said = go_on(place, out, then, sets)
    check("going on from" in said, f"nothing was gone on with:\n{said}")
    return out, place.undisturbed(*sets, f"train.steps={steps}")


def test_learned_rates(place):
    """Outer parameters of the learner's own stop and resume as θ does."""
    out, unbroken = stop_and_resume(place, lambda process, out: (out / "STOP").touch(), 2, 3, RATES)
    check(any("rates." in name for name in tensors(newest(out))), "no rates in the checkpoint")
    for name in ("step", "least", "mean", "most"):
        values = column(out, f"train/own/{name}")
        check(len(values) == len(digests(out)) and values == column(unbroken, f"train/own/{name}"), name)


def test_sigusr1(place):
    stop_and_resume(place, lambda process, out: process.send_signal(signal.SIGUSR1), 2, 3)


def test_sigterm_of_one_process(place):
    stop_and_resume(place, lambda process, out: process.send_signal(signal.SIGTERM), 0, 2)


def test_interrupt_of_one_process(place):
    """It is kept as SIGTERM is; from there on all is the same."""
    out, _ = stopped(place, lambda process, out: process.send_signal(signal.SIGINT), 0)
    check(int(newest(out).stem.split("-")[1]) == len(digests(out)), "the last meta-step is not in a checkpoint")


def test_stop_file(place):
    stop_and_resume(place, lambda process, out: (out / "STOP").touch(), 3, 1)
    check(not (place.path / "broken" / "STOP").exists(), "the STOP file is still there")


def test_killed_rank(place):
    job, out = place.job(), place.path / "broken"
    process = start(2, job, out, sets=(*TRAIN, FOREVER))
    wait_for(lambda: len(journal_lines(out)) > 60, process)
    os.kill(children(process, "outerloop")[-1], signal.SIGKILL)
    process.communicate(timeout=60)
    check(process.returncode not in (0, 85), "nobody noticed")
    check(len(list((out / "checkpoints").glob("step-*.h5"))) == 2, "keep_last = 2 was not heeded")
    go_on(place, out, 2, TRAIN)


def test_killed_before_the_first_checkpoint(place):
    job, out = place.job(), place.path / "broken"
    sets = (*TRAIN[:2], "train.checkpoint_every=0")
    process = start(2, job, out, sets=(*sets, FOREVER))
    wait_for(lambda: len(journal_lines(out)) > 10, process)
    os.kill(children(process, "outerloop")[0], signal.SIGKILL)
    process.communicate(timeout=60)
    check(not list((out / "checkpoints").glob("step-*.h5")), "there was a checkpoint")
    go_on(place, out, 2, sets)


def test_killed_while_it_scores(place):
    """What is scored stays, and the next start says where it goes on: slurm/run.sbatch takes it for progress."""
    job, out, sets = place.job(), place.path / "broken", ('stages=["eval"]', "eval.seeds=[13]")
    tasks = [f"third-{i}" for i in range(9)]  # one more than a rank scores at a time
    for task in tasks:
        write_rows(place.root, task, 16, 13, "train", range(13, 29))
        write_rows(place.root, task, 16, 13, "test", range(100, 2100 if task == tasks[-1] else 103))
        shutil.copy(place.root / "config" / "tasks" / "third.json", place.root / "config" / "tasks" / f"{task}.json")
    (place.root / "config" / "mini.json").write_text(json.dumps({"train": ["even"], "test": tasks}))
    process = start_held(job, out, sets=sets)
    read_to(process, " 8/9 ")
    process.kill()
    process.communicate()
    said = run(0, job, out, "--resume", sets=sets).stderr
    check("going on from 8 of 9 target tasks scored" in said, said)
    check(column(out, "eval/score/task") == tasks, "tasks are missing or there twice")


def test_torn_newest_checkpoint(place):
    sets = (*TRAIN, "train.steps=80")
    out = shutil.copytree(place.undisturbed(*sets), place.path / "broken")
    torn = newest(out)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    said = run(2, place.job(), out, "--resume", sets=sets).stderr
    check(torn.name in said and "step-000060.h5" in said, f"the torn one is not named:\n{said}")
    check_whole(out, place.undisturbed(*sets), 80)


def test_altered_byte(place):
    sets = (*TRAIN, "train.steps=80")
    out = shutil.copytree(place.undisturbed(*sets), place.path / "broken")
    with h5py.File(newest(out), "r") as file:
        at = file["params/wte.weight"].id.get_chunk_info(0).byte_offset
    with open(newest(out), "r+b") as file:
        file.seek(at + 100)
        byte = file.read(1)[0]
        file.seek(at + 100)
        file.write(bytes([byte ^ 1]))
    said = run(0, place.job(), out, "--resume", sets=sets).stderr
    check("step-000080.h5" in said and "step-000060.h5" in said, f"it is not named:\n{said}")
    check_whole(out, place.undisturbed(*sets), 80)


def test_checkpoints_that_cannot_be_written(place):
    """A limit on the size of files: below a checkpoint's and above all others."""
    job, out = place.job(), place.path / "broken"
    sets = ("train.steps=6", "train.checkpoint_every=2", "model.width=96", 'stages=["train"]')

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500000, 1500000))

    done = subprocess.run(command(0, job, out, sets=sets), env=ENV, text=True, capture_output=True, timeout=60,
                          preexec_fn=limit)
    check(done.returncode == 1, f"exit code {done.returncode}, not 1:\n{done.stderr}")
    check(done.stderr.count("warning: no checkpoint at meta-step") == 1, done.stderr)
    check(done.stderr.count("outerloop: ") == 1, done.stderr)
    check(len(digests(out)) == 6, "training did not go on")
    check(not list((out / "checkpoints").glob("step-*")), "something is there")
    run(2, job, out, "--resume", sets=sets)
    check_whole(out, place.undisturbed(*sets), 6)


def test_lost_metrics_are_made_again(place):
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    flat = ("learner.outer.schedule=constant", "eval.rows=4", "eval.adapt_steps=[1]")
    short, long = (*flat, "train.steps=10"), (*flat, "train.steps=20")
    shutil.copytree(place.undisturbed(*short), out)
    shutil.copytree(place.undisturbed(*short), unbroken)
    (out / "metrics.h5").write_bytes(b"not HDF5")
    run(2, job, out, "--resume", sets=long)
    run(0, job, unbroken, "--resume", sets=long)
    check_whole(out, unbroken, 20)
    check(losses(out) == losses(unbroken), "scores differ")


def test_finished_run_prints_its_table_again(place):
    sets = ("train.steps=5", *SMALL)
    finished, out = place.undisturbed(*sets, more=ARMS, ranks=3), place.path / "out"
    shutil.copytree(finished, out)
    before = {path: path.read_bytes() for path in out.glob("*/checkpoints/*")}
    table = run(2, place.job(more=ARMS), out, "--resume", sets=sets).stdout
    check("mean" in table and table.strip("\n") in (finished / "log.txt").read_text(), f"not what was said first:\n{table}")
    check({path: path.read_bytes() for path in out.glob("*/checkpoints/*")} == before,
          "checkpoints changed")
    check(len(column(out / "maml", "eval/score/score")) == 8, "scores are there twice")


def test_resume_goes_on_with_the_arm_that_broke_off(place):
    job, out = place.job(more=THREE_ARMS), place.path / "out"
    sets = (*SMALL, "train.steps=15", "train.checkpoint_every=10")
    process = start_held(job, out, sets=sets)
    read_to(process, "\nreptile  10/50 ")
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}:\n{said}")
    check(not (out / "metaicl" / "metrics.h5").exists(), "the last arm had begun")
    first = newest(out / "maml").stat().st_mtime_ns
    run(2, job, out, "--resume", sets=sets)
    check(newest(out / "maml").stat().st_mtime_ns == first, "a finished arm was trained again")
    unbroken = place.undisturbed(*sets, more=THREE_ARMS)
    for arm in ("maml", "reptile", "metaicl"):
        check(digests(out / arm) == digests(unbroken / arm), f"{arm}: digests differ")
        check(losses(out / arm) == losses(unbroken / arm), f"{arm}: scores differ")


if __name__ == "__main__":
    main(globals())
