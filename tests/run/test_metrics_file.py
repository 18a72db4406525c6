# SPDX-License-Identifier: BSD-3-Clause
"""What a run leaves behind: metrics.h5 for any HDF5 program, the journal, job.cfg, the log. TAP.

usage: test_metrics_file.py PROGRAM
"""
import hashlib
import json
import math
import shutil
import subprocess

import h5py

from cases import check
from harness import ARMS, PROGRAM, column, digests, journal_lines, main, read_to, run, start_held

TABLES = ("train/step", "train/episode", "train/own", "train/phase", "eval/score", "eval/prediction", "data/overlap",
          "data/check", "data/cut")


def whole(place):
    """A run of two ranks that most tests look at."""
    return place.undisturbed("train.second_order_share=true", "train.before_every=1", ranks=2)


def test_tables(place):
    out = whole(place)
    with h5py.File(out / "metrics.h5", "r") as file:
        for table in TABLES:
            lengths = {name: item.shape for name, item in file[table].items()}
            check(len(set(lengths.values())) == 1 and len(next(iter(lengths.values()))) == 1,
                  f"{table}: {lengths}")
            for name, item in file[table].items():
                check(item.chunks and item.maxshape == (None,), f"{table}/{name} cannot grow")
                for attribute in ("units", "long_name", "description"):
                    check(attribute in item.attrs, f"{table}/{name} lacks {attribute}")
        for attribute in ("creator", "version", "schema_version", "run_id", "created", "host",
                          "ranks", "threads", "blas", "mpi", "seed", "git_commit"):
            check(attribute in file.attrs, f"the root lacks {attribute}")
        check(file.attrs["job_sha256"] == hashlib.sha256(file["job"][()]).hexdigest(),
              "job_sha256 is not that of the job")
        check("moments" in file["job"][()].decode(), "the job is not in the file")
        check(int(file.attrs["ranks"]) == 2 and int(file.attrs["seed"]) == 5, "wrong root")
    check(len(column(out, "train/step/step")) == 40, "not a row a meta-step")
    check(len(column(out, "train/episode/step")) == 160, "not a row an episode")
    check(len(column(out, "eval/score/score")) == 2 * 2 * 3, "not a row a scoring")
    check(len(column(out, "eval/prediction/row")) == 2 * 2 * 3 * 10, "not a row a test row")


def test_values(place):
    out = whole(place)
    for name in ("support_loss_0", "support_loss_1", "query_loss_before", "query_loss_after",
                 "grad_norm", "second_order_share", "seconds"):
        values = column(out, f"train/episode/{name}")
        check(all(math.isfinite(v) and v >= 0 for v in values) and sum(values) > 0,
              f"{name}: {values[:5]}")
    tokens = column(out, "train/episode/tokens")
    check(sum(tokens[:4]) == column(out, "train/step/tokens")[0], "tokens do not add up")
    after, means = column(out, "train/episode/query_loss_after"), column(out, "train/step/loss_after")
    check(abs(sum(after[:4]) / 4 - means[0]) < 1e-12, "losses do not add up")
    rates = column(out, "train/step/lr")
    check(abs(rates[4] - 2e-3) < 1e-12 and rates[0] < rates[4] > rates[39] > 0, f"rates {rates}")
    check(after[-1] < after[0], "nothing was learned")
    check(set(column(out, "train/episode/rank")) == {0, 1}, "one rank did it all")
    check(set(column(out, "train/episode/task")) == {"even", "odd", "first", "second"}, "tasks")


def test_loss_before(place):
    """In the first meta-step, the last and each so many-th; a bit of training never hangs on it, and
    no report stumbles over what is not there."""
    digests = set()
    for every, measured in ((0, set()), (4, {1, 5, 9, 11}), (1, set(range(1, 12)))):
        out = place.path / f"every-{every}"
        run(0, place.job(), out, sets=[f"train.before_every={every}", "train.steps=11", "eval.rows=4",
                                       "eval.adapt_steps=[1]"])
        steps, before = column(out, "train/step/step"), column(out, "train/step/loss_before")
        check({s for s, loss in zip(steps, before) if math.isfinite(loss)} == measured,
              f"every {every}: {before}")
        episodes = zip(column(out, "train/episode/step"), column(out, "train/episode/query_loss_before"))
        check(all(math.isfinite(loss) == (s in measured) for s, loss in episodes), "episodes")
        digests.add(tuple(column(out, "train/step/digest")))
        for command in (("inspect", out), ("report", out, "--out", place.path / "page.html")):
            said = subprocess.run([PROGRAM, *command], capture_output=True, text=True)
            check(said.returncode == 0 and "nan" not in said.stdout.lower(), said.stdout + said.stderr)
        check("NaN" not in (place.path / "page.html").read_text(), "a page with NaN")
    check(len(digests) == 1, "other bits where the loss before was measured")


def test_learned_rates(place):
    """From the inner rate on, in metrics, in the checkpoint by name, and in what `inspect` says."""
    for per, n in (("tensor", 1), ("weight", 16)):
        out = place.path / per
        run(0, place.job(), out, sets=["train.steps=10", "learner.algorithm=meta-sgd", "learner.inner.optimizer=sgd",
                                       "learner.inner.lr=0.1", f"learner.rates.per={per}",
                                       "learner.rates.lr=1e-4", "learner.outer.warmup=0",
                                       'stages=["train"]'])
        least, most = column(out, "train/own/least"), column(out, "train/own/most")
        check(len(least) == 10 and set(column(out, "train/own/name")) == {"rates"}, "rows")
        moved = max(most[0] - 0.1, 0.1 - least[0])
        check(abs(moved - 1e-4) < 1e-6, f"not a step of Adam's: from {least[0]} to {most[0]}")
        check(most[-1] > least[-1] and most[-1] != most[0], "rates do not move")
        newest = max((out / "checkpoints").glob("*.h5"))
        with h5py.File(newest, "r") as file:
            bias = file["params/rates.ln_f.bias"][...]
            rates = [v for name in file["params"] if name.startswith("rates.")
                     for v in file[f"params/{name}"][...].reshape(-1).tolist()]
        check(bias.shape == (n,), f"{per}: {bias.shape}")
        check(max(rates) == most[-1] and min(rates) == least[-1], "metrics and checkpoint")
        for path in (out, newest):
            said = subprocess.run([PROGRAM, "inspect", path], capture_output=True, text=True)
            line = [text for text in said.stdout.splitlines() if text.startswith("rates ")]
            check(len(line) == 1 and f"to {most[-1]:.4g}" in line[0], said.stdout + said.stderr)
    check(column(whole(place), "train/own/step") == [], "maml has rates")


def test_timers(place):
    """Where the seconds of meta-steps went: nothing twice, nothing lost; and no bit is another."""
    out, plain = place.path / "out", place.path / "plain"
    sets = ['stages=["train"]', "train.steps=8", "train.checkpoint_every=4", "train.before_every=5",
            "learner.inner.storage=recompute"]
    said = run(2, place.job(), out, sets=[*sets, "train.timers=true"]).stderr
    run(0, place.job(), plain, sets=sets)
    check(digests(out) == digests(plain), "timers change what is learned")
    check(column(plain, "train/phase/step") == [], "phases without being asked for")
    steps, names, seconds, most, calls = (column(out, f"train/phase/{name}") for name in (
        "step", "phase", "seconds", "seconds_most", "calls"))
    kinds = len(set(names))
    check(steps == [s for s in range(1, 9) for _ in range(kinds)], f"rows: {steps[:30]}")
    check(all(0 <= s <= m <= 2 * s + 1e-9 for s, m in zip(seconds, most)), "mean and most of two ranks")
    by_step = [dict(zip(names[i:i + kinds], zip(seconds[i:], calls[i:], most[i:])))
               for i in range(0, len(names), kinds)]
    for step, row in enumerate(by_step, 1):
        counted = {name: n for name, (_, n, _) in row.items()}
        # 4 episodes of 2 inner steps, and a draw and its forecast of cost each rank
        check((counted["forward"], counted["hvp"], counted["recompute"]) == (12, 8, 8), f"{step}: {counted}")
        check(counted["measure"] == (4 if step in (1, 6, 8) else 0), f"{step}: {counted}")
        check(counted["draw"] == 4 + 2, f"{step}: {counted}")
        check(counted["checkpoint"] == (2 if step % 4 == 0 else 0), f"{step}: {counted}")
    own = column(out, "train/step/seconds")  # of rank 0, without checkpoint and metrics
    total = sum(seconds)
    outside = sum(row["checkpoint"][2] + row["metrics"][2] for row in by_step)
    check(sum(own) <= total * 1.01, f"{sum(own)} of {total}")
    check(sum(own) + outside >= 0.7 * total, f"{sum(own)} and {outside} of {total}")
    check("where the time of meta-steps went" in said and "slowest s  rank" in said, said)


def test_scores_follow_from_predictions(place):
    out = whole(place)
    rows = list(zip(*(column(out, f"eval/prediction/{name}") for name in
                      ("task", "seed", "adapt_steps", "predicted_index", "option_losses"))))
    for *_, predicted, losses in rows:
        check(predicted == min(range(len(losses)), key=lambda i: losses[i]), "not the lowest")
    stages = dict(zip(column(out, "eval/score/adapt_steps"), column(out, "eval/score/stage")))
    check(stages == {0: "eval", 1: "adapt", 3: "adapt"}, f"stages {stages}")


def test_journal_holds_the_same(place):
    out = whole(place)
    for table in TABLES:
        lines = [json.loads(line) for line in journal_lines(out, table)]
        with h5py.File(out / "metrics.h5", "r") as file:
            names = list(file[table])
        for name in names:
            values = column(out, f"{table}/{name}")
            check(len(values) == len(lines), f"{table}: {len(lines)} lines, {len(values)} rows")
            for line, value in zip(lines, values):
                there = line[name]
                if there is None:
                    check(math.isnan(value), f"{table}/{name}")
                elif isinstance(there, list):
                    check(there == list(value), f"{table}/{name}: {there} {value}")
                else:
                    check(there == value, f"{table}/{name}: {there} {value}")


def test_h5dump_reads_it(place):
    if not shutil.which("h5dump"):
        return
    dumped = subprocess.run(["h5dump", "-d", "/train/step/loss_after", whole(place) / "metrics.h5"],
                            capture_output=True, text=True, timeout=30)
    check(dumped.returncode == 0 and "DATA {" in dumped.stdout, dumped.stderr)


def test_a_reader_never_stops_a_run(place):
    out = place.path / "out"
    process = start_held(place.job(), out, sets=["train.steps=12", 'stages=["train"]'])
    read_to(process, " 6/12 ")
    with h5py.File(out / "metrics.h5", "r"):
        said, _ = process.communicate(timeout=60)
    check(process.returncode == 0, said)
    check(len(column(out, "train/step/step")) == 12, "rows are missing")


def test_overlap_is_found_and_recorded(place):
    task = place.root / "data" / "third" / "third_16_13_test.jsonl"
    train = place.root / "data" / "odd" / "odd_16384_100_train.jsonl"
    rows = [json.loads(line) for line in task.read_text().splitlines()[:3]]
    with open(train, "a") as file:
        for row in rows:
            file.write(json.dumps(row | {"task": "odd"}) + "\n")
    out = place.path / "out"
    run(0, place.job(), out, sets=["train.steps=5", "eval.adapt_steps=[1]"])
    # The two target tasks ask the same of the same words.
    check(column(out, "data/overlap/train_task") == ["odd", "odd"], "training task")
    check(column(out, "data/overlap/test_task") == ["third", "later"], "test task")
    check(column(out, "data/overlap/shared_rows") == [3, 3], "rows")
    check(column(out, "data/check/shared_rows") == [6], "rows in all")


def test_cuts_are_counted_and_told(place):
    """One token a byte: an example of "a b 7\\nyes" and three newlines in front has 12."""
    job, out = place.job(), place.path / "out"
    said = run(2, job, out, sets=["train.steps=6", "learner.outer.warmup=0"]).stderr
    check("cut: no example and no prompt" in said, said)
    whole = {name: column(out, f"data/cut/{name}") for name in (
        "task", "role", "rows", "tokens", "rows_cut", "prompts", "prompts_cut", "prompt_tokens")}
    check(whole["role"] == ["train"] * 4 + ["target"] * 2, f"{whole}")
    check(whole["rows"] == [60] * 4 + [2 * (10 + 16)] * 2, f"{whole}")
    check(sum(whole["prompts"][:4]) == 6 * 4 * (3 + 2), f"{whole}")
    check(whole["prompts"][4:] == [2 * (10 * 2 + 16)] * 2, f"{whole}")
    check(sum(whole["rows_cut"]) + sum(whole["prompts_cut"]) == 0, f"{whole}")
    rows = [json.loads(line) for line in
            (place.root / "data" / "odd" / "odd_16384_100_train.jsonl").read_text().splitlines()]
    lengths = [len(r["input"]) + len(r["output"]) + 4 for r in rows]
    check(whole["tokens"][1] == sum(lengths), f"{whole['tokens']} {sum(lengths)}")
    again = place.path / "again"
    said = run(0, job, again, sets=["train.steps=6", "learner.outer.warmup=0", "data.max_tokens=60",
                                    "data.max_tokens_per_example=22"]).stderr
    cut = sum(length + 2 > 22 for length in lengths)
    there = column(again, "data/cut/rows_cut")
    check(there[1] == cut > 0, f"{there} {cut}")
    check("data.max_tokens_per_example = 22; " in said and "would cut none; most of all" in said,
          said)
    need = int(said.split("data.max_tokens_per_example = 22; ")[1].split()[0])
    said = run(0, job, place.path / "more", sets=[
        "train.steps=6", "learner.outer.warmup=0", f"data.max_tokens_per_example={need}", 'stages=["train"]']).stderr
    check("training examples lose" not in said, said)


def test_pmi(place):
    """A column of its own, from stored losses that are differences; in context stays as it was."""
    job, out, without = place.job(), place.path / "out", place.path / "without"
    sets = ["train.steps=6", "learner.outer.warmup=0"]
    said = run(0, job, out, sets=[*sets, "eval.pmi=true"]).stdout
    check("in context               PMI            1 step" in said, said)
    run(0, job, without, sets=sets)
    stages = column(out, "eval/score/stage")
    check(stages == ["eval", "pmi", "adapt", "adapt"] * 4, f"{stages}")
    check(column(out, "eval/score/adapt_steps") == [0, -1, 1, 3] * 4, "steps")

    def losses(folder, steps):
        return [x for x, n in zip(column(folder, "eval/prediction/option_losses"),
                                  column(folder, "eval/prediction/adapt_steps")) if n == steps]

    plain = [list(x) for x in losses(out, 0)]
    check(plain == [list(x) for x in losses(without, 0)], "PMI changed the scores in context")
    apart = [[a - b for a, b in zip(x, y)] for x, y in zip(plain, losses(out, -1))]
    # Null prompts know the seed's demonstrations and the option, and nothing of the row.
    for at in range(0, len(apart), 10):
        for row in apart[at:at + 10]:
            check(all(abs(a - b) < 1e-6 for a, b in zip(row, apart[at])), f"{row} {apart[at]}")
    check(abs(apart[0][0] - apart[0][1]) > 1e-4, "options are equally likely without the input")
    check(abs(apart[0][0] - apart[10][0]) > 1e-6, "demonstrations do not matter")
    again = run(0, job, out, "--resume", sets=[*sets, "eval.pmi=true"]).stdout
    check(again == said, "scored again, or otherwise")
    run(0, job, place.path / "no", sets=[*sets, "eval.pmi=true", "data.variant=channel"], code=2)


def test_rows_that_cannot_be_scored(place):
    """Skipped and told, or refused."""
    task = place.root / "data" / "third" / "third_16_13_test.jsonl"
    lines = task.read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {"output": "maybe"})
    task.write_text("\n".join(lines) + "\n")
    job, out = place.job(), place.path / "out"
    sets = ["train.steps=6", "learner.outer.warmup=0"]
    said = run(2, job, out, sets=sets).stderr
    check("third: 1 of 20 test rows" in said and "third_16_13_test.jsonl:5" in said, said)
    check(sorted(set(column(out, "eval/score/rows"))) == [9, 10], "rows")
    said = run(2, job, place.path / "no", sets=[*sets, "data.strict=true"], code=2).stderr
    check("third_16_13_test.jsonl:5" in said and "data.strict" in said, said)


def test_job_as_resolved_runs_again(place):
    out, again = place.path / "out", place.path / "again"
    run(0, place.job(more=ARMS), out, sets=["train.steps=6", "learner.outer.warmup=2", "eval.rows=4"])
    run(0, out / "first" / "job.cfg", again)
    check(column(again, "train/step/digest") == column(out / "first", "train/step/digest"),
          "an arm's job.cfg alone is another run")
    check((out / "job.cfg").exists() and (out / "log.txt").exists(), "the job's own files")
    check("meta-steps" in (out / "log.txt").read_text(), "the log is empty")
    check("15/15" in (out / "first" / "log.txt").read_text(), "the arm's log")


def test_channel_and_multitask(place):
    job = place.job(more='arms = ( { name = "m"; learner = { algorithm = "multitask"; }; },'
                         ' { name = "maml"; } );')
    for ranks in (0, 3):
        run(ranks, job, place.path / f"r{ranks}", sets=["data.variant=channel", "train.steps=5", "eval.rows=4"])
    for arm in ("m", "maml"):
        for name in ("train/step/digest", "eval/score/score"):
            check(column(place.path / "r0" / arm, name) == column(place.path / "r3" / arm, name),
                  f"{arm}: {name} differs")
    short = max(column(place.path / "r0" / "m", "train/step/tokens"))
    check(short < min(column(place.path / "r0" / "maml", "train/step/tokens")),
          "multitask has demonstrations")


def test_stages_alone(place):
    job, out = place.job(), place.path / "out"
    short = ("train.steps=5", "learner.outer.warmup=0")
    run(0, job, out, sets=['stages=["train"]', *short])
    check(len(column(out, "eval/score/score")) == 0, "scored without being asked")
    said = run(0, job, out, "--resume", sets=['stages=["eval"]', *short]).stdout
    check("in context" in said and " steps" not in said, said)
    both = place.path / "both"
    run(0, job, both, sets=['stages=["train", "eval"]', *short])
    check(column(out, "eval/score/score") == column(both, "eval/score/score"), "scores differ")


def test_plain_progress_lines(place):
    out = place.path / "out"
    said = run(2, place.job(), out, sets=["train.steps=12", "train.log_seconds=0", 'stages=["train"]']).stderr
    lines = [line for line in said.splitlines() if "tokens/s" in line]
    check(len(lines) == 12 and "→" in lines[0], f"{len(lines)} lines")
    said = run(0, place.job(), place.path / "quiet",
               sets=["train.steps=12", "train.log_seconds=1000", 'stages=["train"]']).stderr
    check(len([line for line in said.splitlines() if "tokens/s" in line]) == 1, said)
    check("\r" not in said, "a live line in a log")


if __name__ == "__main__":
    main(globals())
