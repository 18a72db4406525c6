# SPDX-License-Identifier: BSD-3-Clause
"""Damaged, removed and unwritable metrics: a run goes on, mends what it can, and says the rest. TAP.

usage: test_metrics_faults.py PROGRAM
"""
import os
import resource
import shutil
import subprocess

import h5py

from cases import check
from harness import PROGRAM, check_whole, digests, losses, main, read_to, run, start_held


def damage(path, at, n=1):
    """Change the bytes there: zeros for many, a flip for one."""
    data = bytearray(path.read_bytes())
    data[at:at + n] = bytes(n) if n > 1 else bytes([data[at] ^ 0x10])
    path.write_bytes(data)


def inspected(folder, how, code):
    done = subprocess.run([PROGRAM, "inspect", folder, how], capture_output=True, text=True, timeout=60)
    check(done.returncode == code, f"inspect {how}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def test_damaged_metrics_never_stop_a_run(place):
    """Zeros in the middle once made HDF5 spin for ever; a byte of any column ended every resume."""
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    short = ("learner.outer.schedule=constant", "train.steps=10", "learner.outer.warmup=0", "eval.rows=4",
             "eval.adapt_steps=[1]")
    long = (*short, "train.steps=12")
    for folder in (out, unbroken):
        run(0, job, folder, sets=short)
    run(0, job, unbroken, "--resume", sets=long)
    whole = {p: (out / p).read_bytes() for p in ("metrics.h5", "metrics.jsonl", "job.cfg")}
    last = {p: (out / "checkpoints" / p).read_bytes() for p in os.listdir(out / "checkpoints")}
    with h5py.File(out / "metrics.h5", "r") as file:
        column_at = file["train/episode/grad_norm"].id.get_chunk_info(0).byte_offset

    def again():
        shutil.rmtree(out / "checkpoints")
        (out / "checkpoints").mkdir()
        for name, data in last.items():
            (out / "checkpoints" / name).write_bytes(data)
        for name, data in whole.items():
            (out / name).write_bytes(data)

    def spun():
        damage(out / "metrics.h5", 4096, 4096)

    def flipped():
        damage(out / "metrics.h5", column_at + 3)

    def hollow():
        with open(out / "metrics.jsonl", "r+b") as file:
            file.truncate(1 << 40)

    def altered():
        lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
        lines[20] = lines[20].replace('"seconds":', '"seconds":1')
        (out / "metrics.jsonl").write_text("".join(lines))

    def dropped():
        lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
        (out / "metrics.jsonl").write_text("".join(lines[:20] + lines[21:]))

    def removed():
        (out / "metrics.jsonl").unlink()

    for wound, named in ((spun, "metrics.h5"), (flipped, "train/episode/grad_norm: cannot read"),
                         (altered, "metrics.jsonl:21: was altered"), (removed, "metrics.jsonl: is missing"),
                         (dropped, "metrics.jsonl:21: is missing"), (hollow, "metrics.jsonl:1: is almost all holes")):
        again()
        wound()
        check(named in inspected(out, "--check", 1), f"{wound.__name__} is not named")
        run(0, job, out, "--resume", sets=long, timeout=60)
        check_whole(out, unbroken, 12)
        check(losses(out) == losses(unbroken), f"{wound.__name__}: scores differ")
        inspected(out, "--check", 0)


def test_files_of_another_run_are_told(place):
    """Whole, but not of this run: its journal in the place of ours, and both files."""
    job, out, other = place.job(), place.path / "ours", place.path / "theirs"
    sets = ("learner.outer.schedule=constant", "train.steps=6", "learner.outer.warmup=0", 'stages=["train"]')
    run(0, job, out, sets=sets)
    run(0, job, other, sets=(*sets, "seed=9"))
    rows = losses(out)
    shutil.copy(other / "metrics.jsonl", out)
    said = inspected(out, "--check", 1)
    check("metrics.jsonl: is of another run" in said, said)
    said = run(0, job, out, "--resume", sets=sets).stderr
    check("metrics.jsonl: is of another run" in said and "come from metrics.h5" in said, said)
    check(losses(out) == rows, "rows of the other run were taken")
    inspected(out, "--check", 0)
    for name in ("metrics.jsonl", "metrics.h5"):
        shutil.copy(other / name, out)
    said = inspected(out, "--check", 1)
    check("metrics.jsonl: is of another run" in said and "metrics.h5: is of another run" in said, said)
    said = run(0, job, out, "--resume", sets=(*sets, "train.steps=8")).stderr
    check("rows of 0 of the 6 meta-steps" in said, said)
    check((out / "metrics.jsonl.damaged-1").exists() and (out / "metrics.h5.damaged-1").exists(), "not kept")


def test_rows_that_neither_file_has_are_said(place):
    """Both files gone; or the end of both, which leaves no gap: checkpoints tell how far rows have to go."""
    job, out, saved = place.job(), place.path / "out", place.path / "saved"
    short = ("learner.outer.warmup=0", "learner.outer.schedule=constant", "stages=[train]")
    run(0, job, saved, sets=(*short, "train.steps=10"))

    def both(folder):
        (folder / "metrics.jsonl").unlink()

    def end(folder):  # its last line is half there
        (folder / "metrics.jsonl").write_bytes((folder / "metrics.jsonl").read_bytes()[:-9])

    def middle(folder):
        lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        (folder / "metrics.jsonl").write_text("".join(line for line in lines if '/step","step":4,' not in line))

    for wound, lost, rows in ((both, "meta-steps 1 to 10 are lost", 0), (end, "meta-steps 10 to 10 are lost", 9),
                              (middle, "train/step: rows 3 to 3 are lost", 9)):
        for how in ("--check", "--rebuild", "--resume"):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(saved, out)
            (out / "metrics.h5").unlink()
            wound(out)
            if how == "--resume":
                said = run(2 if wound is both else 0, job, out, "--resume", sets=(*short, "train.steps=12")).stderr
                check(f"rows of {rows} of the 10 meta-steps" in said, said)
                inspected(out, "--check", 0)
            else:
                said = inspected(out, how, 1)
                check(lost in said or (wound is middle and how == "--check" and "is missing" in said), said)
                inspected(out, "--check", 1 if wound is both or how == "--check" else 0)


def test_results_that_are_missing_fail_the_run(place):
    """A disk with room for the journal alone: told once, exit 1, and --rebuild mends it."""
    job, out, unbroken = place.job(), place.path / "broken", place.path / "unbroken"
    sets = ("train.steps=100", "eval.rows=4", "eval.adapt_steps=[1]")
    process = start_held(job, out, sets=sets)
    read_to(process, " 4/100 ")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (300000, 300000))
    said, _ = process.communicate(timeout=120)
    check(process.returncode == 1, f"exit code {process.returncode}: {said}")
    check(said.count("the run goes on, metrics.h5 is written later") == 1, said)
    check("--rebuild" in said.splitlines()[-1] and "lacks the last" in said, said)
    check("lacks the last" in inspected(out, "--check", 0), "not missed")
    check("rebuilt" in inspected(out, "--rebuild", 0), "not rebuilt")
    inspected(out, "--check", 0)
    run(0, job, unbroken, sets=sets)
    check_whole(out, unbroken, 100)
    check(losses(out) == losses(unbroken), "scores differ")


def test_a_folder_that_is_removed_is_written_anew(place):
    job, out, sets = place.job(), place.path / "out", ("train.steps=20", 'stages=["train"]')
    process = start_held(job, out, sets=sets)
    read_to(process, " 4/20 ")
    shutil.rmtree(out)
    said, _ = process.communicate(timeout=120)
    check(process.returncode == 0, f"exit code {process.returncode}: {said}")
    check(len(digests(out)) == 20 and (out / "job.cfg").exists(), "not all is there")
    inspected(out, "--check", 0)
    run(0, job, out, "--resume", sets=sets)


if __name__ == "__main__":
    main(globals())
