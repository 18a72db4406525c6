# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop bench`: its last line, the same work by either storage, impossible shapes. TAP.

usage: test_bench.py PROGRAM
"""
import os
import re
import subprocess
import sys

PROGRAM = sys.argv[1]
SMALL = ("--layers", "2", "--width", "32", "--heads", "2", "--vocab", "100", "--seq", "16",
         "--batch", "2", "--labels", "2", "--reps", "2")
PAIRS = ("best_s", "gflops", "sgemm_share", "peak_rss_mib")


class Failed(Exception):
    """A check that did not hold."""


def check(holds, text):
    if not holds:
        raise Failed(text)


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


def main():
    tests = [item for name, item in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except (Failed, subprocess.TimeoutExpired) as failure:
            failed += 1
            for line in str(failure).splitlines():
                print("#", line)
            print(f"not ok {number} - {test.__name__}", flush=True)
    return 1 if failed else 0


sys.exit(main())
