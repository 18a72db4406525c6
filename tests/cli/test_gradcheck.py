# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop gradcheck`: every learner, family, adapter and inner optimizer holds against
differences; what has no gradient is said so; nothing is left behind. TAP.

usage: test_gradcheck.py PROGRAM
"""
import re
import subprocess
from pathlib import Path

from cases import check
from harness import ARMS, ENV, PROGRAM, main

LLAMA = ("model.arch=llama", "model.heads=4", "model.kv_heads=2", "model.hidden=40")
LORA = ("model.trained=lora", "model.lora.rank=3", "learner.inner.lr=0.01")
ROW = re.compile(r"^  (\S.*?) +(\d+)  (\S+)  (\S+)  (\S+) +(\S+)  (.*)$", re.M)


def gradcheck(job, *words, sets=(), code=0):
    flags = [word for s in sets for word in ("--set", s)]
    done = subprocess.run([PROGRAM, "gradcheck", str(job), *words, *flags], env=ENV, text=True,
                          capture_output=True, timeout=300)
    check(done.returncode == code, f"{words} {sets}: exit {done.returncode}, not {code}:\n"
          f"{done.stdout}{done.stderr}")
    return done


def rows(done):
    """Names and errors of the table, and that all of it holds."""
    found = ROW.findall(done.stdout)
    check(found, f"no table in:\n{done.stdout}")
    check(all(row[6] == "ok" for row in found), done.stdout)
    return {row[0]: float(row[5]) for row in found}


def test_every_learner(place):
    job = place.job(more=ARMS)
    done = gradcheck(job, "--directions", "1")
    errors = rows(done)
    check("all hold" in done.stdout, done.stdout)
    check("reptile: reptile steps towards" in done.stdout, "reptile is not explained")
    check("Order 1 takes inner gradients as constants" in done.stdout, "order 1 is not explained")
    check("rates.h.0.mlp.c_fc.weight" in errors, "learned rates are not checked")
    check(done.stdout.count("second order ") == 2, "the share of second order is not told")
    check(max(errors.values()) < 1e-6, str(errors))


def test_every_family(place):
    job = place.job()
    for family in ("gpt2", "llama", "qwen2", "qwen3"):
        sets = LLAMA[1:] if family != "gpt2" else ()
        errors = rows(gradcheck(job, "--directions", "1",
                                sets=(f"model.arch={family}", *sets)))
        check(len(errors) > 8 and max(errors.values()) < 1e-6, f"{family}: {errors}")


def test_adapters_and_parts(place):
    job = place.job()
    for sets in ((*LLAMA, *LORA), LORA, (*LLAMA, *LORA, "model.frozen=bf16"),
                 ("learner.inner.adapts=[h.*.mlp.*]",),
                 ("model.trained=[ln_*,h.*.ln_*]",)):
        errors = rows(gradcheck(job, "--directions", "1", sets=sets))
        check(max(errors.values()) < 1e-6, f"{sets}: {errors}")


def test_every_inner_loop(place):
    job = place.job()
    for sets in (("learner.inner.optimizer=sgd", "learner.inner.lr=0.1"),
                 ("learner.inner.moments=separate", "learner.inner.steps=3"),
                 ("learner.inner.moments=carry_v", "learner.inner.weight_decay=0.1"),
                 ("learner.order=1", "learner.inner.weight_decay=0.1"),
                 ("learner.inner.eps_root=1e-12",)):
        errors = rows(gradcheck(job, "--after", "2", "--episodes", "2", "--directions", "1",
                                "--tensors", "3", sets=sets))
        check(len(errors) == 4, f"{sets}: {errors}")


def test_learners_without_inner_loop(place):
    job = place.job()
    for learner in ("metaicl", "multitask"):
        rows(gradcheck(job, "--episodes", "5", "--directions", "1", "--tensors", "2",
                       sets=[f"learner.algorithm={learner}"]))


def test_arms(place):
    job = place.job(more=ARMS)
    done = gradcheck(job, "--arm", "metaicl", "--tensors", "1", "--directions", "1")
    check(len(rows(done)) == 2 and "maml" not in done.stdout, done.stdout)
    check("did you mean \"metaicl\"" in gradcheck(job, "--arm", "metaicle", code=2).stderr, "arm")
    done = gradcheck(job, "--arm", "reptile", code=2)
    check("no learner of this job follows a gradient" in done.stderr, done.stderr)


def test_nothing_is_written(place):
    job, out = place.job(), place.path / "out"
    before = set(Path("/tmp").glob("outerloop-gradcheck-*"))
    gradcheck(job, "--tensors", "1", "--directions", "1", sets=[f"output={out}"])
    check(not out.exists(), "the output folder was made")
    check(set(Path("/tmp").glob("outerloop-gradcheck-*")) <= before, "a folder is left in /tmp")


def test_mistakes(place):
    job = place.job()
    for words, said in (((), "which job file"), ((job, job), "second"),
                        ((job, "--episodes", "0"), "at least 1"),
                        ((job, "--directions", "x"), "directions"),
                        ((job, "--set", "learner.ordr=2"), "learner.order"),
                        ((place.path / "absent.cfg",), "absent.cfg")):
        done = subprocess.run([PROGRAM, "gradcheck", *map(str, words)], env=ENV, text=True,
                              capture_output=True, timeout=60)
        check(done.returncode == 2 and said in done.stderr, f"{words}: {done.stderr}")
    done = subprocess.run(["mpirun", "--oversubscribe", "-n", "2", PROGRAM, "gradcheck", str(job)],
                          env=ENV, text=True, capture_output=True, timeout=60)
    check(done.returncode == 2 and done.stderr.count("one process") == 1, done.stderr)


main(globals())
