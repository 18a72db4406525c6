# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop report`: terminal tables, the page, results.json, samples, CSV and LaTeX say what
metrics.h5 holds; several runs are one table. TAP.

usage: test_report.py PROGRAM
"""
import contextlib
import csv
import fcntl
import html.parser
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios

import h5py
import numpy

from cases import check
from harness import ENV, PROGRAM, Place, main, run

ARMS = """
arms = ( { name = "metaicl"; learner = { algorithm = "metaicl"; }; }, { name = "maml"; } );
"""
LEARNERS = ("untrained", "metaicl", "maml")
TASKS = ("third", "later")
made = Place()


def finished():
    """The folder of a run that all tests look at, made once."""
    out = made.path / "first"
    if not out.exists():
        run(0, made.job(more=ARMS), out, sets=["train.steps=12"])
    return out


def report(*words, code=0, command="report"):
    done = subprocess.run([PROGRAM, command, *map(str, words)], env=ENV, text=True,
                          capture_output=True, timeout=60)
    check(done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done


def on_terminal(width, command):
    """Exit code and all that a command says on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=dict(ENV, TERM="xterm"))
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal's end is told
        while part := os.read(ours, 65536):
            said += part
    return process.wait(), said.decode()


def table(out, learner, name):
    """A table of metrics.h5 as rows."""
    with h5py.File(out / learner / "metrics.h5", "r") as file:
        columns = {k: c.asstr()[...] if h5py.check_string_dtype(c.dtype) else c[...]
                   for k, c in file[name].items()}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def scores(out, learner, steps, task=None):
    """Mean over tasks of mean and least over seeds."""
    cells = {}
    for row in table(out, learner, "eval/score"):
        if row["adapt_steps"] == steps and task in (None, row["task"]):
            cells.setdefault(row["task"], []).append(row["score"])
    return (numpy.mean([numpy.mean(c) for c in cells.values()]),
            numpy.mean([min(c) for c in cells.values()]))


def told(value, text):
    """Is the share in the text, as a percentage, with a decimal or without?"""
    return any(re.search(rf"(?<![\d.]){re.escape(format(100 * value, form))}(?![\d.])", text)
               for form in (".1f", ".0f"))


class Page(html.parser.HTMLParser):
    """A page that is closed where it is opened, and what it needs from elsewhere."""

    VOID = ("meta", "path", "circle", "br")

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags, self.foreign = [], "", {}, []

    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.foreign += [a for a in attributes if a[0] in ("src", "href", "onload", "onclick")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            check(self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.text += data


def read_page(path):
    page = Page()
    page.feed(path.read_text())
    check(not page.open, f"not closed: {page.open}")
    return page


def test_terminal(place):
    out = finished()
    said = report(out).stdout
    for word in (*LEARNERS, *TASKS, "12 meta-steps", "in context", "1 step", "3 steps",
                 "maml      - metaicl", "in the inner loop", "█", "seeds"):
        check(word in said, f"no {word!r} in:\n{said}")
    mean, worst = scores(out, "maml", 3, "third")
    row = [line for line in said.split("\n3 steps", 1)[1].splitlines() if line.startswith("third")]
    check(told(mean, row[0]) and told(worst, row[0]), row[0])
    a, b = scores(out, "maml", 3)[0], scores(out, "metaicl", 3)[0]
    pair = next(line for line in said.splitlines() if line.startswith("maml      - metaicl"))
    last = re.findall(r"([+-][\d.]+) \[", pair)[-1]
    check(float(last) == float(f"{100 * (a - b):+.{len(last.partition('.')[2])}f}"), pair)
    check(max(map(len, said.splitlines())) <= 100, "a line is longer than 100 columns")


def test_narrow_terminals(place):
    """What is told keeps to the width of the terminal, and tasks can be told apart."""
    out = finished()
    step = next((out / "maml" / "checkpoints").glob("*.h5"))  # whose digest is 44 columns
    for width, *words in ((width, *words) for width in (40, 60, 80) for words in (
            ("report", out), ("inspect", out), ("inspect", out / "maml", out / "metaicl"),
            ("inspect", step if width > 44 else out))):
        code, said = on_terminal(width, [PROGRAM, *map(str, words)])
        check(code == 0, f"it failed: {said}")
        lines = said.replace(str(made.path), "").splitlines()
        widest = max(lines, key=len)
        check(len(widest) <= width, f"{words[0]}, {width} columns: {widest!r} has {len(widest)}")


def test_narrow_run(place):
    """The live line stays one line, of whole parts; the final table fits."""
    for steps in (100, 1000, 10000):  # the line is drawn ten times a second: a fast machine has none
        code, said = on_terminal(40, [PROGRAM, "run", str(place.job()), "--set", f"train.steps={steps}",
                                      "--set", f"output={place.path}/o{steps}"])
        check(code == 0, said)
        live = [line.split("\n")[0].rstrip("\r") for line in said.split("\r\x1b[K")[1:-1]]
        live = [line for line in live if line and "done in" not in line]
        if live:
            break
    check(live, "no live line")
    for line in live:
        check(len(line) < 40 and re.fullmatch(
            r"[^ ]+(, scoring targets)?  \d+/\d+(  [\w ]+ left)?(  loss \d\.\d+ → \d\.\d+)?"
            r"(  [\d.]+( [kM])? tokens/s)?", line), repr(line))
    table = said[re.search(r"^.*\d tasks?, \d seeds", said, re.M).start():]
    widest = max(table.splitlines(), key=len)
    check(len(widest) <= 40, repr(widest))


def test_page(place):
    out = finished()
    report(out, "--out", place.path / "page.html")
    page = read_page(place.path / "page.html")
    for word in (*LEARNERS, *TASKS, "Scores", "Differences", "Training", "Tasks", "meta-step",
                 "inner loop gains", "chance", "majority", "95 %"):
        check(word in page.text, f"no {word!r} on the page")
    check(not page.foreign and "script" not in page.tags and "link" not in page.tags,
          f"the page needs {page.foreign} {page.tags}")
    text = (place.path / "page.html").read_text()
    check("http" not in text and "url(" not in text and "@import" not in text, "the net is named")
    check("prefers-color-scheme:dark" in text and "width=device-width" in text, "style")
    check(page.tags["svg"] == 3 + 3 + 2 + 2, f"{page.tags['svg']} drawings")
    check("NaN" not in text and "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", text), "a NaN")
    check((place.path / "results.json").exists(), "no results.json beside the page")


def test_names_are_escaped(place):
    out = place.path / "odd"
    shutil.copytree(finished() / "maml", out)
    with h5py.File(out / "metrics.h5", "r+") as file:
        name = file["eval/score/learner"]
        name[...] = ['<b>&"x,y"_$'] * len(name)
    report(out, "--out", place.path / "page.html", "--csv", place.path / "t.csv", "--latex",
           place.path / "t.tex")
    page = read_page(place.path / "page.html")
    check('<b>&"x,y"_$' in page.text and "b" not in page.tags, "a name is markup")
    rows = list(csv.DictReader(io.StringIO((place.path / "t.csv").read_text())))
    check(rows[2]["learner"] == '<b>&"x,y"_$', str(rows[0]))
    check('<b>\\&"x,y"\\_\\$' in (place.path / "t.tex").read_text(), "LaTeX")


def test_results_json(place):
    out = finished()
    results = json.loads(report(out, "--json", "-").stdout)
    for key in ("results", "groups", "group_subtasks", "configs", "versions", "n-shot",
                "higher_is_better", "n-samples", "config", "git_hash", "date"):
        check(key in results, f"no {key}")
    check(len(results["results"]) == 3 * 3 * 2, str(list(results["results"])))
    for learner in LEARNERS:
        rows = table(out, learner, "eval/prediction")
        for steps, count in ((0, "in_context"), (1, "1_step"), (3, "3_steps")):
            for task in TASKS:
                key = f"{learner}/{count}/{task}"
                right = [r["predicted_index"] == r["gold_index"] for r in rows
                         if r["task"] == task and r["adapt_steps"] == steps]
                cell, p, n = results["results"][key], numpy.mean(right), len(right)
                check(cell["alias"] == task, str(cell))
                check(abs(cell["acc,none"] - p) < 1e-7, f"{key}: {cell} {p}")
                check(abs(cell["acc_stderr,none"] - (p * (1 - p) / (n - 1)) ** 0.5) < 1e-7, key)
                check(abs(cell["f1,none"] - scores(out, learner, steps, task)[0]) < 1e-7, key)
                check(results["n-samples"][key] == {"original": n, "effective": n}, key)
                check(results["n-shot"][key] == 2, f"{results['n-shot'][key]} shots")
                ece = numpy.mean([r["calibration_error"] for r in table(out, learner, "eval/score")
                                  if r["task"] == task and r["adapt_steps"] == steps])
                check(abs(cell["ece,none"] - ece) < 1e-7, f"{cell} {ece}")
                check(results["higher_is_better"][key] == {"acc": True, "f1": True, "ece": False},
                      key)
                check(results["configs"][key]["metadata"]["seeds"] == [13, 21], key)
            group = results["groups"][f"{learner}/{count}"]
            check(abs(group["score,none"] - scores(out, learner, steps)[0]) < 1e-7, str(group))
            for floor in ("chance", "majority"):
                there = [r[floor] for r in table(out, learner, "eval/score")
                         if r["adapt_steps"] == steps]
                check(abs(group[f"score_{floor},none"] - numpy.mean(there)) < 1e-7, str(group))
            check(len(results["group_subtasks"][f"{learner}/{count}"]) == 2, "subtasks")
    check("algorithm" in results["config"]["runs"][0]["jobs"]["maml"], "no job")


def test_csv_and_latex(place):
    out = finished()
    rows = list(csv.DictReader(io.StringIO(report(out, "--csv", "-").stdout)))
    check(len(rows) == (3 + 2) * (1 + 1 + 2), f"{len(rows)} rows")
    for floor in ("chance", "majority"):
        there = [r[floor] for r in table(out, "maml", "eval/score") if r["adapt_steps"] == 3]
        row = next(row for row in rows if row["learner"] == floor)
        check(abs(float(row["3 steps"]) - numpy.mean(there)) < 1e-5, f"{row} {there}")
    for row in rows:
        if row["learner"] in ("chance", "majority"):
            continue
        if row["task"] in (*TASKS, "all unseen tasks"):
            task = row["task"] if row["task"] in TASKS else None
            mean, worst = scores(out, row["learner"], 3, task)
            check(abs(float(row["3 steps"]) - mean) < 1e-5, str(row))
            check(abs(float(row["3 steps worst"]) - worst) < 1e-5, str(row))
            check(int(row["tasks"]) == (1 if task else 2) and row["seeds"] == "2", str(row))
    text = report(out, "--latex", "-").stdout
    check(text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 4, text)
    floors = text.split("\\midrule")[1]
    check(floors.count("\\\\") == 2 and "chance & " in floors and "majority & " in floors, floors)
    body = text.split("\\midrule")[2].split("\\bottomrule")[0]
    check(body.count("\\\\") == 3 and body.count("\\textbf") >= 3, body)
    check(told(scores(out, "maml", 1)[0], body), body)


def test_samples(place):
    out = finished()
    said = report(out, "--samples", place.path / "samples").stdout
    check("6 files" in said and "with prompts" in said, said)
    rows = {(r["seed"], r["adapt_steps"], r["row"]): r for r in table(out, "maml", "eval/prediction")
            if r["task"] == "third"}
    lines = [json.loads(line) for line in
             (place.path / "samples" / "samples_maml_third.jsonl").read_text().splitlines()]
    check(len(lines) == len(rows), f"{len(lines)} lines, {len(rows)} rows")
    for line in lines:
        row = rows[line["doc"]["seed"], line["doc"]["adapt_steps"], line["doc"]["row"]]
        check(line["acc"] == (row["predicted_index"] == row["gold_index"]), str(line))
        check(line["target_text"] == row["gold"] and line["predicted_text"] == row["predicted"], "")
        losses = [-r[0][0] for r in line["resps"]]
        check(numpy.allclose(losses, row["option_losses"], rtol=1e-6), str(line))
        picked = [i for i, (_, greedy) in enumerate(line["filtered_resps"]) if greedy]
        check(picked == [row["predicted_index"]], str(line))
        file = made.root / "data" / "third" / f"third_16_{row['seed']}_test.jsonl"
        source = json.loads(file.read_text().splitlines()[row["row"]])
        contexts, options = zip(*line["arguments"])
        check(all(c.endswith(source["input"]) for c in contexts), str(line["arguments"]))
        check([o.strip() for o in options] == source["options"] == line["doc"]["options"], "options")


def test_samples_without_tasks(place):
    out = place.path / "moved"
    shutil.copytree(finished(), out)
    for metrics in out.glob("*/metrics.h5"):
        with h5py.File(metrics, "r+") as file:
            job = file["job"][()].decode()
            del file["job"]
            file["job"] = job.replace(str(made.root), "/nowhere")
    said = report(out, "--samples", place.path / "s").stdout
    check("without prompts" in said, said)
    line = json.loads((place.path / "s" / "samples_maml_later.jsonl").read_text().splitlines()[0])
    check("arguments" not in line and line["resps"], str(line))


def test_several_runs(place):
    out, again = finished(), place.path / "again"
    shutil.copytree(out, again)
    said = report(out, again).stdout
    check("first/maml" in said and "again/metaicl" in said, said)
    results = json.loads(report(out, again, "--json", "-").stdout)
    check(len(results["results"]) == 2 * 18, str(len(results["results"])))
    check(results["results"]["first/maml/1_step/later"] ==
          results["results"]["again/maml/1_step/later"], "one run, two results")
    one = report(out / "maml" / "metrics.h5").stdout
    check("maml" in one and "metaicl" not in one, one)


def keys_that_differ(said):
    """The rows of the first table: {key: [value of each run]}."""
    lines = said.split("keys of the jobs that differ\n\n")[1].split("\n\n")[0].splitlines()
    return {row[0]: row[1:] for row in (re.split(r"  +", line.strip()) for line in lines[1:])}


def test_inspect_compares(place):
    """Several runs: the keys that differ, the report's own differences and table, no more."""
    first, second = finished(), place.path / "second"
    run(0, made.job("second", more=ARMS), second, sets=[
        "train.steps=12", "learner.inner.lr=0.02", "arms.maml.learner.order=1"])
    said = report(first, second, command="inspect").stdout
    check(keys_that_differ(said) == {"learner.inner.lr": ["0.001", "0.02"],
                                     "arms.maml.learner.order": ["2", "1"]}, said)
    whole = report(first, second).stdout
    table = said[re.search(r"^.*\d tasks?, \d seeds", said, re.M).start():]
    check(table in whole, "not the table of report")
    pairs = re.findall(r"^(\S+) +- (\S+) ", said, re.M)
    check(set(pairs) == {(f"second/{n}", f"first/{n}") for n in ("maml", "metaicl")}, str(pairs))
    for line in said.splitlines():
        check(" - first/" not in line or line in whole, f"not in report: {line}")
    arms = report(second / "maml", second / "metaicl", first / "maml", command="inspect").stdout
    differ = keys_that_differ(arms)
    check(differ["learner.algorithm"] == ['"maml"', '"metaicl"', '"maml"'] and
          not {"name", "output"} & set(differ), arms)
    check("second/maml" in arms and "metaicl/metaicl" in arms, arms)
    shutil.copytree(first, place.path / "same")
    said = report(first, place.path / "same", command="inspect").stdout
    check("the jobs do not differ" in said and "+0.0 [0.0, 0.0]" in said, said)
    checked = report(first, second, "--check", command="inspect").stdout
    check(checked.count("all whole") == 2, checked)
    done = report(first, place.path / "none", command="inspect", code=2)
    check("none: there is no such" in done.stderr, done.stderr)


def test_trainings_are_one_learner(place):
    out = place.path / "seeds"
    shutil.copytree(finished(), out)
    (out / "maml" / "seed-6").mkdir()
    shutil.copy(out / "maml" / "metrics.h5", out / "maml" / "seed-6" / "metrics.h5")
    same = json.loads(report(out, "--json", "-").stdout)
    check(same["n-samples"]["maml/1_step/later"]["effective"] == 20, "one training counted twice")
    with h5py.File(out / "maml" / "seed-6" / "metrics.h5", "r+") as file:
        file.attrs["seed"] = 6
        file["eval/score/score"][...] = 0.5
    two = json.loads(report(out, "--json", "-").stdout)
    check(two["n-samples"]["maml/1_step/later"]["effective"] == 40, "no second training")
    check(len(two["results"]) == 18, "a training is a learner")
    a = same["results"]["maml/1_step/later"]["f1,none"]
    check(abs(two["results"]["maml/1_step/later"]["f1,none"] - (a + 0.5) / 2) < 1e-7, "no mean")
    report(out, "--out", place.path / "page.html")


def test_the_table_is_that_of_the_run(place):
    """Learners in its order and numbers of all trainings, with arms or without."""
    for name, sets in (("plain", ()), ("seeds", ("train_seeds=[3, 4]",))):
        done = run(0, place.job(name), place.path / name, sets=["train.steps=4", *sets])
        for command in ("report", "inspect"):
            said = report(place.path / name, command=command).stdout
            table = said[re.search(r"^unseen \w+: \d tasks?, \d seeds", said, re.M).start():]
            check(table in done.stdout, f"{name}, {command}:\n{table}\nis not in:\n{done.stdout}")
            check("\nuntrained " in table and " → " in table, table)


def test_numbers_beyond_reason(place):
    """What no training has, but a file can: nothing hangs or breaks."""
    out = place.path / "odd"
    shutil.copytree(finished() / "maml", out)
    with h5py.File(out / "metrics.h5", "r+") as file:
        file["train/step/grad_norm"][...] = 5e-324
        file["train/step/loss_after"][:2] = [-1.7e308, 1.7e308]
        name = file["eval/prediction/learner"]
        name[...] = [f"nobody {i}" for i in range(len(name))]
    said = report(out, "--out", place.path / "page.html").stdout
    check("▁" in said and "█" in said and "nobody" not in said, said)
    check("nobody" not in read_page(place.path / "page.html").text, "a learner without scores")
    results = json.loads((place.path / "results.json").read_text())
    check(results["n-samples"]["maml/1_step/later"]["effective"] == 0, "rows of others count")


def test_training_alone(place):
    out = place.path / "train"
    run(0, place.job(), out, sets=["train.steps=3", "stages=[\"train\"]"])
    said = report(out, "--out", place.path / "page.html", "--csv", place.path / "t.csv",
                  "--latex", place.path / "t.tex", "--samples", place.path / "s").stdout
    check("no scores yet" in said and "3 meta-steps" in said, said)
    check("No scores yet" in read_page(place.path / "page.html").text, "page")
    check(json.loads((place.path / "results.json").read_text())["results"] == {}, "results")


def test_mistakes(place):
    (place.path / "empty").mkdir()
    (place.path / "text.h5").write_text("hello\n")
    for words, said in (((), "which run"), ((place.path / "none",), "none: there is no such"),
                        ((place.path / "empty",), "has no metrics.h5"),
                        ((place.path / "text.h5",), "text.h5"),
                        ((finished(), place.path / "empty"), "empty")):
        done = report(*words, code=2)
        check(said in done.stderr, f"{words}: {done.stderr}")
    done = report(finished(), "--out", place.path / "no" / "page.html", code=2)
    check("page.html" in done.stderr, done.stderr)


def test_a_run_under_way(place):
    """Reading never disturbs it, and sees what there is."""
    out = place.path / "copy"
    shutil.copytree(finished(), out)
    os.remove(out / "maml" / "metrics.h5")
    said = report(out).stdout
    check("metaicl" in said and "maml " not in said.split("\n", 1)[1], said)


try:
    main(globals())
finally:
    made.clear()
