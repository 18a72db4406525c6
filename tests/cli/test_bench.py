# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop bench`: its last line, the same work by either storage, impossible shapes. TAP.

usage: test_bench.py PROGRAM
"""
import os
import re
import random
import subprocess
import sys

import h5py
import numpy

from cases import check, main

PROGRAM = sys.argv[1]
SMALL = ("--layers", "2", "--width", "32", "--heads", "2", "--vocab", "100", "--seq", "16",
         "--batch", "2", "--labels", "2", "--reps", "2")
PAIRS = ("best_s", "gflops", "sgemm_share", "peak_rss_mib")


def bench(*words):
    return subprocess.run([PROGRAM, "bench", *SMALL, *words], capture_output=True, text=True,
                          timeout=60, env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))


def result(*words):
    """The figures of a run: the pairs of the last line, and what the episode computed."""
    done = bench(*words)
    check(done.returncode == 0, f"exit {done.returncode}: {done.stderr}")
    pairs = dict(pair.split("=") for pair in done.stdout.splitlines()[-1].split())
    found = re.search(r"query loss (\S+), \|meta-gradient\| (\S+), scratch (\S+) MiB", done.stdout)
    check(found, f"no loss and gradient in:\n{done.stdout}")
    return {name: float(value) for name, value in pairs.items()} | {
        "loss": found[1], "gradient": found[2], "scratch": float(found[3])}


def test_last_line():
    for words in ((), ("--precision", "f64"), ("--precision", "auto"), ("--inner", "sgd"), ("--order", "1"),
                  ("--steps", "3"), ("--storage", "recompute"), ("--threads", "2")):
        figures = result(*words)
        for name in PAIRS:
            check(figures.get(name, 0) > 0, f"{words}: no {name} above 0 in {figures}")


def test_storage_changes_nothing_but_memory():
    for steps in ("1", "2"):
        keep = result("--steps", steps, "--storage", "keep")
        again = result("--steps", steps, "--storage", "recompute")
        check(keep["loss"] == again["loss"], f"{keep} {again}")
        check(keep["gradient"] == again["gradient"], f"{keep} {again}")
    passes = [result("--steps", "3", "--storage", *words)["passes"] for words in
              (("recompute",), ("keep",), ("auto", "--storage-mib", "1"), ("auto",))]
    check(passes == sorted(passes, reverse=True) and passes[1] > passes[3] + 3, f"passes {passes}")
    many = ("--batch", "24", "--seq", "100", "--reps", "1")
    check(result(*many, "--storage", "recompute")["scratch"] <
          result(*many, "--storage", "keep")["scratch"], "recompute saves no memory")


def test_what_was_foretold():
    """The count of products, within a tenth."""
    size = ("--width", "64", "--heads", "4", "--seq", "64", "--layers", "3", "--reps", "1")
    for words in ((), ("--order", "1"), ("--steps", "3"), ("--steps", "2", "--storage", "recompute"),
                  ("--arch", "llama", "--kv-heads", "2"), ("--vocab", "4000", "--labels", "16"),
                  ("--arch", "llama", "--lora", "4", "--vocab", "2000")):
        done = bench(*size, *words)
        found = re.search(r"foretold / measured: (\S+) / (\S+) Gflop", done.stdout)
        check(found, f"{words}: {done.stdout}{done.stderr}")
        ratio = float(found[1]) / float(found[2])
        check(0.9 < ratio < 1.1, f"{words}: foretold / measured {ratio:.3f}")


def phases(*words):
    """Seconds and calls of each phase, and the seconds that the episode took."""
    done = bench("--timers", *words)
    check(done.returncode == 0, f"exit {done.returncode}: {done.stderr}")
    rows = re.findall(r"^(\w+) +([\d.]+) +[\d.]+ %(?: +(\d+))?$", done.stdout, re.M)
    table = {name: (float(seconds), int(calls or 0)) for name, seconds, calls in rows}
    return table, float(re.search(r"best_s=(\S+)", done.stdout)[1])


def test_timers_account_for_every_second():
    size = ("--width", "64", "--seq", "64", "--batch", "4", "--steps", "2")
    for storage, again in (("keep", 1), ("recompute", 2)):
        table, seconds = phases(*size, "--storage", storage)
        all_of_it = table.pop("all")[0]
        check(abs(sum(s for s, _ in table.values()) - all_of_it) < 1e-3, f"sum: {table} {all_of_it}")
        check(seconds - 1e-3 < all_of_it < 1.1 * seconds + 5e-3, f"{table} of {seconds} s")
        check(table["hvp"][1] == 2 and table["recompute"][1] == again, f"{storage}: {table}")
        check(table["forward"][1] == table["backward"][1] == 3, f"a chunk a gradient: {table}")
        check(table["other"][0] < 0.5 * all_of_it, f"{table}")
    check("recompute" not in phases("--steps", "1")[0], "something was kept in vain")


def test_timers_change_nothing():
    with_timers, without = result("--timers"), result()
    check(with_timers["gradient"] == without["gradient"] and with_timers["loss"] == without["loss"],
          f"{with_timers} {without}")


def test_precisions_agree():
    single, double = result(), result("--precision", "f64")
    check(abs(float(single["gradient"]) / float(double["gradient"]) - 1) < 1e-4,
          f"{single['gradient']} and {double['gradient']}")
    check(float(single["loss"]) - float(double["loss"]) < 1e-4, "losses differ")


def write_prompts(path, shared):
    """Five rows of two options: 30 tokens that all begin with, or none, then some of their own."""
    rng = random.Random(1)
    draw = lambda n: [rng.randrange(100) for _ in range(n)]
    start = draw(30)
    prompts = [(start if shared else draw(30)) + draw(3 + 2 * i) for i in range(10)]
    with h5py.File(path, "w") as file:
        file["tokens"] = numpy.array(sum(prompts, []), "i4")
        file["offsets"] = numpy.cumsum([0, *map(len, prompts)]).astype("i8")
        file["loss_mask"] = numpy.concatenate([[0] * (len(p) - 2) + [1, 1] for p in prompts]).astype("u1")
        file["options_per_row"] = numpy.full(5, 2, "i4")
    return "--prompts", str(path)


def test_prompts_of_files(folder):
    a, b = (write_prompts(folder / name, shared) for name, shared in (("a", True), ("b", False)))
    both = result(*a, *b)
    # The first of two options of rows 0 and 1 of both, of 33 + 2 p tokens each, p the prompt
    check(both["tokens"] == 4 * 32 + 2 * 2 * (0 + 2), f"{both}")
    check(result(*a)["tokens"] == 4 * 32 + 2 * (0 + 2 + 4 + 6), "not the first of each row")
    check(both["gradient"] != result(*a)["gradient"], "the second file was not read")
    few = bench(*a, "--batch", "3")
    check(few.returncode == 2 and "has 5 rows" in few.stderr, f"{few.returncode}: {few.stderr}")


def test_scoring_together_and_apart(folder):
    words = write_prompts(folder / "a", True)
    for precision, tolerance in (("f32", 1e-5), ("f64", 1e-12)):
        done = bench("--scoring", *words, "--precision", precision)
        check(done.returncode == 0, f"exit {done.returncode}: {done.stderr}")
        found = dict(pair.split("=") for pair in done.stdout.splitlines()[-1].split())
        check(found["prompts"] == "10" and found["tokens"] == str(10 * 32 + 2 * 45), f"{found}")
        check(float(found["difference"]) < tolerance, f"losses differ: {found}")
        check(float(found["best_s"]) > 0 and float(found["apart_s"]) > 0, f"{found}")
    done = bench("--scoring")
    check(done.returncode == 2 and "--prompts" in done.stderr, f"{done.returncode}: {done.stderr}")


def test_order_matters():
    check(result("--order", "1")["gradient"] != result("--order", "2")["gradient"],
          "both orders give the same")


def test_impossible_shapes():
    for words, said in ((("--labels", "17"), "labels (17)"), (("--heads", "5"), "heads 5"),
                        (("--seq", "0"), "seq"), (("--batch", "-1"), "batch"),
                        (("--reps", "0"), "reps"), (("--steps", "two"), "two"),
                        (("--inner", "lion"), "lion"), (("--order", "3"), "3"),
                        (("--storage", "disk"), "disk"), (("extra",), "extra")):
        done = bench(*words)
        check(done.returncode == 2, f"{words}: exit {done.returncode}: {done.stderr}")
        check(said in done.stderr, f"{words}: no {said!r} in {done.stderr}")
        check("best_s=" not in done.stdout, f"{words}: it ran")


main(globals())
