# SPDX-License-Identifier: BSD-3-Clause
"""The commands `data make` and `data check`: what they write and tell, and what they refuse. TAP.

usage: test_data.py PROGRAM
"""
import json
import subprocess
from pathlib import Path

from cases import check
from harness import ENV, PROGRAM, main


def data(place, *words, code=0):
    done = subprocess.run([str(Path(PROGRAM).resolve()), "data", *map(str, words)], text=True,
                          capture_output=True, env=ENV, cwd=place.path, timeout=60)
    said = done.stdout + done.stderr
    check(done.returncode == code, f"exit code {done.returncode}, not {code}:\n{said}")
    return said


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(place, name, *rows):
    (place.path / name).write_text("".join(row + "\n" for row in rows))
    return name


def labelled(n, labels=("a", "b", "c")):
    return [f"row {i}\t{labels[i % len(labels)]}" for i in range(n)]


def test_classification(place):
    """Labels are collected; files are disjoint, balanced, and the same for the same rows."""
    file = write(place, "f.tsv", "input\toutput", *labelled(90), "row 0\ta")
    words = ("make", file, "--task", "mail", "--shots", "6", "--seeds", "1,22")
    said = data(place, *words, "--out", "new", "--train-from", "none", code=2)
    check("new/config: is no folder" in said and not (place.path / "new").exists(), said)
    said = data(place, *words, "--out", "new", "--test", "50")
    check("90 rows (1 repeated ones left out), classification, 3 labels" in said, said)
    root = place.path / "new"
    folder = root / "data" / "mail"
    check(len(list(folder.iterdir())) == 2 * 3, str(list(folder.iterdir())))
    test = lines(folder / "mail_6_1_test.jsonl")
    check(len(test) == 50 and test == lines(folder / "mail_6_22_test.jsonl"), "test file")
    shots = []
    for seed in (1, 22):
        train, dev = (lines(folder / f"mail_6_{seed}_{split}.jsonl") for split in ("train", "dev"))
        inputs = [row["input"] for row in train + dev + test]
        check(len(set(inputs)) == len(inputs) == 62, "files share rows")
        for rows in (train, dev):
            check(sorted(row["output"] for row in rows) == list("aabbcc"), str(rows))
        check(all(row["options"] == ["a", "b", "c"] and row["task"] == "mail" for row in train), "")
        shots.append(train)
    check(shots[0] != shots[1], "seeds are one")
    check(json.loads((root / "config/tasks/mail.json").read_text())
          == {"task_type": "classification", "options": ["a", "b", "c"]}, "description")
    check(json.loads((root / "config/mail.json").read_text()) == {"train": [], "test": ["mail"]}, "")
    data(place, *words, "--out", "again", "--test", "50")
    for path in folder.iterdir():
        check(path.read_bytes() == (place.path / "again/data/mail" / path.name).read_bytes(), path)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    said = data(place, *words, "--out", "new", code=2)
    check("nothing is overwritten" in said and "config/tasks/mail.json" in said, said)
    check(all(path.read_bytes() == text for path, text in before.items()), "it was")


def test_options_and_settings(place):
    """Rows with options of their own, from both kinds of file; a setting is extended."""
    rows = [f"q{i}\ty{i}\tx{i}\ty{i}" for i in range(40)]
    data(place, "make", write(place, "f.tsv", *rows), "--task", "quiz", "--out", "tasks",
         "--setting", "mini", "--shots", "4")
    check(json.loads((place.root / "config/mini.json").read_text())
          == {"train": ["even", "odd", "first", "second"], "test": ["third", "later", "quiz"],
              "unseen_domain_test": ["later"]}, "the setting")
    check(json.loads((place.root / "config/tasks/quiz.json").read_text())
          == {"task_type": "multi-choice"}, "description")
    row = lines(place.root / "data/quiz/quiz_4_13_test.jsonl")[0]
    i = row["input"][1:]
    check(row == {"task": "quiz", "input": f"q{i}", "output": f"y{i}", "options": [f"x{i}", f"y{i}"]},
          str(row))
    rows = [json.dumps({"input": f"tab\t{i}", "output": "yn"[i % 2]}) for i in range(30)]
    said = data(place, "make", write(place, "f.jsonl", *rows), "--task", "more", "--out", "tasks",
                "--setting", "new", "--train-from", "mini", "--train")
    check("a training task" in said, said)
    check(len(lines(place.root / "data/more/more_16384_100_train.jsonl")) == 30, "rows")
    check(json.loads((place.root / "config/new.json").read_text())
          == {"train": ["even", "odd", "first", "second", "more"], "test": []}, "the new setting")


def test_mistakes(place):
    cases = (
        (("a\tb", "no tab"), ":2: the row has no tab"), (("a\tb", ""), ":2: the line is empty"),
        (("a\tb", "\tb"), ":2: the input is empty"), (("a\tb", "a\t"), ":2: the output is empty"),
        (("a\tb\tb\tc", "a\tb"), ":2: the row has no options, but that of line 1"),
        (("a\tb\tb",), ":1: the row has one option"), (("a\tb\tc\td",), ':1: the output "b" is not'),
        (labelled(20, [str(i) for i in range(20)]), ":11: up to here there are 11 different outputs"),
        (labelled(20, ["a"]), ":1: all rows have the output"), (("input\toutput",), "has no rows"),
        (labelled(40), "20 to test on leave 20, but 16 shots take 32"),
    )
    for rows, words in cases:
        said = data(place, "make", write(place, "f.tsv", *rows), "--task", "t", "--out", "o", code=2)
        check(f"f.tsv{words}" in said or ("f.tsv" in said and words in said), f"{words}: {said}")
        check(not (place.path / "o").exists(), "a refused file left a folder")
    for rows, words in ((["{"], ":1: not JSON"), (['{"input": "a"}'], ':1: the row has no "output"'),
                        (['{"input": "a", "output": "b", "options": [1]}'], "number 1 is none")):
        said = data(place, "make", write(place, "f.jsonl", *rows), "--task", "t", "--out", "o", code=2)
        check(words in said, f"{words}: {said}")
    file = write(place, "f.tsv", *labelled(90))
    for words, text in ((("f.csv",), ".tsv"), ((file, "--task", "a/b"), "a/b"),
                        ((file, "--seeds", "1,x"), "--seeds"), ((file, "--seeds", "1,1"), "1 twice"),
                        ((file, "--shots", "0"), "--shots")):
        check(text in data(place, "make", "--task", "t", "--out", "o", *words, code=2), text)
    check("--task is missing" in data(place, "make", file, "--out", "o", code=2), "--task")


def test_check(place):
    words = ("check", "tasks", "--tokenizer", "tasks/tokenizer", "--shots", "2")
    said = data(place, *words, "--setting", "mini")
    check(max(map(len, said.splitlines())) <= 80, said)
    table = {line.split()[0]: line.split()[1:] for line in said.splitlines()[3:]}
    rows = lines(place.root / "data/odd/odd_16384_100_train.jsonl")
    lengths = sorted(len(row["input"]) + len(row["output"]) + 4 for row in rows)  # a token a byte
    check(table["odd"] == ["60", str(lengths[29]), str(lengths[56]), str(lengths[59]), "0", "0", "0"],
          f"{table['odd']} {lengths}")
    check(table["third"][:2] == ["10", "2"] and table["third"][-2:] == ["0", "0"], str(table))
    cap = lengths[29] + 2
    said = data(place, *words, "--setting", "mini", "--max-tokens-per-example", cap)
    share = sum(length + 2 > cap for length in lengths) / 60
    row = next(line.split() for line in said.splitlines() if line.startswith("  odd"))
    check(row[5] == f"{100 * share:.1f}", f"{row} {share}")
    said = data(place, *words)
    check("mini" in said and "4 training tasks" in said and "third" not in said, said)
    check("rows" in data(place, "check", "tasks"), "no table without a tokenizer")


def test_check_finds_faults(place):
    """Each with its file and line, all in one go; rows in common are counted."""
    def spoil(task, k, seed, split, number, change):
        path = place.root / "data" / task / f"{task}_{k}_{seed}_{split}.jsonl"
        text = path.read_text().splitlines()
        text[number - 1] = change(json.loads(text[number - 1]))
        path.write_text("\n".join(text) + "\n")

    train = lines(place.root / "data/odd/odd_16384_100_train.jsonl")
    spoil("third", 16, 13, "test", 2, lambda row: json.dumps(train[0] | {"task": "third"}))
    spoil("third", 16, 13, "test", 3, lambda row: json.dumps(train[0] | {"task": "third"}))
    said = data(place, "check", "tasks", "--setting", "mini", "--shots", "2")
    row = next(line.split() for line in said.splitlines() if line.startswith("  third"))
    check(row == ["third", "10", "2", "1", "1"], str(row))
    (place.root / "config/both.json").write_text('{"train": ["odd", "even"], "test": ["odd"]}')
    said = data(place, "check", "tasks", "--setting", "both", "--shots", "0", code=1)
    check("odd is both trained on and tested on" in said and "no file" in said, said)
    spoil("even", 16384, 100, "train", 7, lambda row: json.dumps(row | {"task": "odd"}))
    spoil("later", 16, 13, "test", 4, lambda row: json.dumps(row | {"output": "maybe"}))
    spoil("later", 16, 21, "train", 1, lambda row: "{")
    (place.root / "config/tasks/first.json").write_text('{"task_type": "clasification"}')
    said = data(place, "check", "tasks", "--tokenizer", "tasks/tokenizer", "--setting", "mini",
                "--shots", "2", code=1)
    for words in ("4 faults", 'even_16384_100_train.jsonl:7: the row is of task "odd"',
                  'later_16_13_test.jsonl:4: the output "maybe"', "(1 of 10 rows cannot be scored)",
                  "later_16_21_train.jsonl:1: not JSON", "first.json: \"task_type\" is"):
        check(words in said, f"{words} is not in\n{said}")
    check("no setting" in data(place, "check", "tasks", "--setting", "x", code=2), "setting")
    data(place, "check", "nowhere", code=2)


def test_what_tasks_say_cannot_steer_a_terminal(place):
    """Labels with escape sequences, and paths: printed by each command that tells of them."""
    root, out = place.path / "new", place.path / "p\x1b[2J.h5"
    write(place, "f.tsv", *labelled(40, ("\x1b]0;title\x07", "\u009b31m")))
    said = data(place, "make", "f.tsv", "--task", "mail", "--shots", "2", "--seeds", "1", "--out", root)
    said += data(place, "check", root, "--shots", "2")
    done = subprocess.run([str(Path(PROGRAM).resolve()), "prompts", "--data", root, "--task", "mail", "--seed", "1",
                           "--k", "2", "--variant", "direct", "--tokenizer", place.root / "tokenizer", "--out", out],
                          text=True, capture_output=True, env=ENV, timeout=60)
    said += done.stdout + done.stderr
    check(done.returncode == 0 and out.exists() and 'right is "?' in said, said)
    check(not set(said) & {*map(chr, range(9)), "\x07", "\x1b", "\x9b"}, repr(said))


main(globals())
