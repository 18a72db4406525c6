# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of whole runs share: small tasks, a small job, ranks."""
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

import cases
from cases import Skipped, check

PROGRAM = sys.argv[1]
ENV = dict(os.environ)  # tests/meson.build says how ranks are started
SEEDS = (13, 21)
WORDS = ("red blue green black white old new big small warm cold soft loud quiet bright dark "
         "round flat long short").split()


# --- data -----------------------------------------------------------------------------------

def byte_alphabet():
    """GPT-2's letter for each byte, in the order of its vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    letters = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [letters[b] for b in plain + rest]


def write_tokenizer(folder):
    """A vocabulary of the 256 bytes, without merges."""
    folder.mkdir(parents=True)
    vocab = {letter: i for i, letter in enumerate(byte_alphabet())}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def row(task, i):
    """Whether two words are in the order of the list; the task turns the answer around."""
    a, b = WORDS[(7 * i + 3) % 20], WORDS[(11 * i + i // 20 + 5) % 20]
    yes = (WORDS.index(a) < WORDS.index(b)) != (len(task) % 2 == 0)
    return {"task": task, "input": f"{a} {b} {i}", "output": "yes" if yes else "no",
            "options": ["yes", "no"]}


def write_rows(root, task, k, seed, split, numbers):
    folder = root / "data" / task
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row(task, i)) for i in numbers]
    (folder / f"{task}_{k}_{seed}_{split}.jsonl").write_text("\n".join(lines) + "\n")


def write_tasks(root):
    """Four training and two target tasks in MetaICL's layout, with a tokenizer beside them."""
    train, test = ["even", "odd", "first", "second"], ["third", "later"]
    (root / "config" / "tasks").mkdir(parents=True)
    (root / "config" / "mini.json").write_text(
        json.dumps({"train": train, "test": test, "unseen_domain_test": ["later"]}))
    for task in train + test:
        (root / "config" / "tasks" / f"{task}.json").write_text(
            json.dumps({"task_type": "classification", "options": ["yes", "no"]}))
    for task in train:
        write_rows(root, task, 16384, 100, "train", range(60))
    for task in test:
        for seed in SEEDS:
            write_rows(root, task, 16, seed, "train", range(seed, seed + 16))
            write_rows(root, task, 16, seed, "test", range(100, 110))
    write_tokenizer(root / "tokenizer")
    return root


JOB = """
seed = 5;
model = { layers = 1; width = 16; heads = 2; context = 160; };
data = { root = "%s"; tokenizer = "%s/tokenizer"; setting = "mini"; shots = 2; max_tokens = 160;
         max_tokens_per_example = 80; };
learner = { episodes = 4; support = 3; query = 2; inner = { steps = 2; lr = 1e-3; };
            outer = { lr = 2e-3; warmup = 5; }; };
train = { steps = 40; checkpoint_minutes = 0.0; };
eval = { seeds = [13, 21]; adapt_steps = [1, 3]; };
"""

ARMS = """
arms = ( { name = "maml"; }, { name = "first"; learner = { order = 1; }; },
         { name = "reptile"; learner = { algorithm = "reptile"; inner = { moments = "read"; }; }; },
         { name = "rates"; learner = { algorithm = "meta-sgd"; inner = { optimizer = "sgd"; lr = 0.05; };
                                       rates = { per = "weight"; }; }; },
         { name = "metaicl"; learner = { algorithm = "metaicl"; }; } );
"""
ARM_NAMES = ("maml", "first", "reptile", "rates", "metaicl")


class Place:
    """A folder with tasks and jobs of one test. All tests of a file have it in turn at the same path, so that
    runs which one of them leaves in `undisturbed` are of the same tasks to all."""
    undisturbed_runs = {}
    has_refused = False

    def __init__(self, path=None):
        self.path = path or Path(tempfile.mkdtemp(prefix="outerloop-test-"))
        self.root = write_tasks(self.path / "tasks")

    def job(self, name="job", more=""):
        path = self.path / f"{name}.cfg"
        path.write_text(JOB % (self.root, self.root) + more)
        return path

    def undisturbed(self, *sets, more="", ranks=0):
        """The folder of a run of this job that nothing happens to, made once for all tests of a file. It is the
        same bits on any number of ranks; look at it, or copy it, and leave it as it is."""
        runs = self.undisturbed_runs
        if (sets, more, ranks) not in runs:
            out = self.path.parent / f"undisturbed-{len(runs)}"
            run(ranks, self.job("undisturbed", more), out, sets=sets)
            runs[sets, more, ranks] = out
        return runs[sets, more, ranks]

    def clear(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def keep(self, name):
        """What a failed test leaves stays, under its name; where."""
        return self.path.rename(self.path.with_name(f"{self.path.name}-{name}"))


# --- runs -----------------------------------------------------------------------------------

def command(ranks, job, output, *arguments, sets=()):
    launch = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    flags = [w for s in (f"output={output}", *sets) for w in ("--set", s)]
    return [*launch, PROGRAM, "run", str(job), *flags, *arguments]


def run(ranks, job, output, *arguments, sets=(), code=0, timeout=120):
    """Run to the end; the exit code must be `code`, and a failure one message of all ranks."""
    done = subprocess.run(command(ranks, job, output, *arguments, sets=sets), env=ENV, text=True,
                          capture_output=True, timeout=timeout)
    said = done.stdout + done.stderr
    check(done.returncode == code, f"exit code {done.returncode}, not {code}:\n{said}")
    messages = [line for line in said.splitlines() if "outerloop: " in line]
    check(len(messages) == (code != 0), f"{len(messages)} messages:\n{said}")
    return done


def start(ranks, job, output, *arguments, sets=()):
    return subprocess.Popen(command(ranks, job, output, *arguments, sets=sets), env=ENV, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            restore_signals=False)


def start_held(job, output, *arguments, sets=()):
    """One process that says every meta-step into a pipe which holds one piece of writing: it gets no further than
    two meta-steps ahead of what `read_to` has read, so that what is done to it next meets it there, however fast
    it is, and however slow this test. communicate() lets it go."""
    def by_pieces():
        fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_DIRECT)

    return subprocess.Popen(command(0, job, output, *arguments, sets=("train.log_seconds=0", *sets)), env=ENV,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pipesize=4096,
                            preexec_fn=by_pieces)


def children(process, name):
    """The pids of the programs of this name that a process has started, in their order."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, after = path.read_text().rsplit(")", 1)
        except OSError:
            continue  # it ended
        if before.split("(", 1)[1] == name and int(after.split()[1]) == process.pid:
            found.append(int(path.parent.name))
    return sorted(found)


def read_to(process, text, seconds=60):
    """Read what a held process says up to this text."""
    said, end = b"", time.time() + seconds
    while text.encode() not in said:
        check(time.time() < end, f"{text!r} did not come:\n{said.decode(errors='replace')[-2000:]}")
        piece = os.read(process.stdout.fileno(), 4096)  # what is not asked for of a piece is lost
        check(piece, f"it ended before {text!r}:\n{said.decode(errors='replace')}")
        said += piece


def wait_for(condition, process, seconds=60):
    """Until condition() holds; the process must not end before."""
    end = time.time() + seconds
    while not condition():
        check(process.poll() is None, "the run ended too early for this test")
        check(time.time() < end, "what this test waits for did not come")
        time.sleep(0.01)


def journal_lines(folder, table="train/step"):
    path = Path(folder) / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [line for line in lines if line.startswith('{"table":"%s"' % table)]


def column(folder, name):
    with h5py.File(Path(folder) / "metrics.h5", "r") as file:
        values = file[name][...]
    return [v.decode() if isinstance(v, bytes) else v for v in values.tolist()]


def digests(folder):
    return column(folder, "train/step/digest")


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


FOREVER = "train.steps=50000"  # what is done to this run meets it at work; a start looks at every episode of it


def go_on(place, out, ranks, sets):
    """Resume a run of FOREVER that was broken off, end it a little later, and compare it with one that nothing
    happened to; how many steps that makes, and what it said."""
    steps = max(80, len(journal_lines(out)) + 10)
    sets = (*sets, f"train.steps={steps}")
    said = run(ranks, place.job(), out, "--resume", sets=sets).stderr
    check_whole(out, place.undisturbed(*sets), steps)
    return steps, said


# --- tests ----------------------------------------------------------------------------------

def main(tests):
    """Run tests that take a Place, as cases.main does; what a failed one leaves is kept."""
    folder = Path(tempfile.mkdtemp(prefix="outerloop-test-"))

    @contextlib.contextmanager
    def given(name):
        place = Place(folder / "place")
        try:
            yield place
        except Skipped:
            raise
        except Exception:
            print(f"# kept: {place.keep(name)}")
            raise
        finally:
            place.clear()

    try:
        cases.main(tests, given)
    except SystemExit as end:
        if not end.code:
            shutil.rmtree(folder, ignore_errors=True)
        raise
