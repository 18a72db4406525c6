# SPDX-License-Identifier: BSD-3-Clause
"""The ground that trials stand on: the job, the unbroken run and states of it to damage, processes that
always end, and the verdict whether results are the same bits."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import results
from cases import Failed, check
from harness import ENV, JOB, write_tasks

STEPS = 24      # meta-steps of the unbroken run
HALF = 14       # of the state that a run is broken off at; checkpoints at 8, 12 and 14
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXFSZ}
MESSAGE = re.compile(r"^(?:\[[^]]*\] )?outerloop: (.*)", re.MULTILINE)

# Every meta-step measures the loss before it: a run that ends at HALF would measure it at another last step.
JOB_OF_TRIALS = JOB.replace("episodes = 4", "episodes = 2") \
    .replace("steps = 40;", f"steps = {STEPS}; checkpoint_every = 4; keep_last = 3; log_seconds = 0.0; before_every = 1;") \
    .replace("lr = 2e-3; warmup = 5;", 'lr = 2e-3; schedule = "constant"; warmup = 5;')


class Refused(Exception):
    """The program said no, as it promises to."""


def processes(token):
    """Ids of all processes whose environment has FAULT_TRIAL=token, zombies left out."""
    mark, found = f"FAULT_TRIAL={token}\0".encode(), []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and mark in Path(f"/proc/{entry}/environ").read_bytes() + b"\0":
                found.append(int(entry))
        except OSError:
            pass  # it ended, or is not ours to look into
    return found


def runs(process, program):
    try:
        return os.readlink(f"/proc/{process}/exe") == str(program)
    except OSError:
        return False


def parent(process):
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


class Process:
    """A run of the program, in a session of its own, that is over by its deadline in any case."""

    def __init__(self, trial, words, ranks, fault=None, limit=None):
        self.trial, self.ranks, self.words = trial, ranks, words
        self.token = f"{os.getpid()}-{trial.number}-{trial.launches}"
        self.said_path = trial.path / f"said-{trial.launches}.txt"
        trial.launches += 1
        env = dict(ENV, FAULT_TRIAL=self.token)
        launch = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
        if fault:
            env.update(FAULT=fault, FAULT_IN="out", FAULT_RANK="0", FAULT_COUNT=str(trial.path / "count"))
            if ranks:
                launch += ["-x", f"LD_PRELOAD={trial.ground.shim}"]
            else:
                env["LD_PRELOAD"] = str(trial.ground.shim)
        self.began = time.monotonic()
        with open(self.said_path, "wb") as said:
            self.popen = subprocess.Popen([*launch, str(trial.ground.program), *words], env=env, stdout=said,
                                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                          cwd=trial.path, start_new_session=True, preexec_fn=limit)

    @property
    def said(self):
        return self.said_path.read_text(errors="replace")

    def members(self):
        """[ids of the ranks]: neither mpirun, nor MPI's helpers, nor what a rank forked."""
        own = {p: parent(p) for p in processes(self.token) if runs(p, self.trial.ground.program)}
        return sorted(p for p in own if own[p] not in own)

    def signal(self, number, to="rank"):
        """To a rank ("rank", the last), to all, or to what was started ("launcher")."""
        ids = [self.popen.pid] if to == "launcher" else self.members()
        if to == "all":
            ids = processes(self.token)
        for process in ids if to == "all" else ids[-1:]:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def end(self):
        for process in [*processes(self.token), self.popen.pid]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.popen.wait()

    def wait(self, killed=False, seconds=None):
        """Until it ends by itself. @param killed  it got a signal that it cannot answer"""
        seconds = seconds or self.trial.ground.deadline
        try:
            self.code = self.popen.wait(max(1, self.began + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.end()
            raise Failed(f"hang: still there after {seconds:.0f} s: {self.tail()}") from None
        self.wait_for_ranks()
        if not killed:
            self.check_sane()
        return self

    def wait_for_ranks(self):
        """Nobody stays behind once the launcher is gone."""
        end = time.monotonic() + max(20, self.trial.ground.deadline / 2)
        while processes(self.token):
            if time.monotonic() > end:
                left = len(processes(self.token))
                self.end()
                raise Failed(f"left behind: {left} processes run on: {self.tail()}")
            time.sleep(0.05)

    def check_sane(self):
        said = self.said
        died = re.search(r"exited on signal (\d+)", said)
        number = -self.code if self.code < 0 else int(died[1]) if died else 0
        check(number not in CRASHES and "Signal: Segmentation" not in said,
              f"crash: signal {number}: {self.tail()}")
        check("Traceback" not in said and "MPI_ABORT" not in said, f"abort: {self.tail()}")

    def messages(self):
        return MESSAGE.findall(self.said)

    def tail(self):
        lines = [line for line in self.said.strip().splitlines() if line.strip("- ")]
        return f"exit {getattr(self, 'code', None)}: " + " | ".join(lines[-3:])


class Trial:
    """One number's folder, random numbers and runs. The run's output is out/ in it."""

    def __init__(self, ground, number, kind, occurrence, random):
        self.ground, self.number, self.kind, self.random = ground, number, kind, random
        self.occurrence = occurrence
        self.path = ground.path / f"trial-{number}"
        self.out = self.path / "out"
        self.launches = 0
        self.story = []  # what was done, for the record
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()

    def tell(self, text):
        self.story.append(text)

    def begin_from(self, state):
        """Take "half" or "done" as what stands in out/."""
        shutil.copytree(self.ground.path / state / "out", self.out, symlinks=True)
        self.tell(f"from {state}")
        return state

    def start(self, ranks=None, resume=True, sets=(), fault=None, limit=None, words=()):
        ranks = self.random.choice((0, 1, 2)) if ranks is None else ranks
        flags = [w for s in ("output=out", *sets) for w in ("--set", s)]
        resume = ["--resume"] if resume else []
        return Process(self, ["run", "../job.cfg", *flags, *resume, *words], ranks, fault, limit)

    def command(self, *words, seconds=None):
        return Process(self, list(words), 0).wait(seconds=seconds)

    def come_through(self, ranks=None, most=4):
        """--resume until it is done; then all must be there. A refusal raises Refused with its words."""
        for _ in range(most):
            run = self.start(ranks).wait()
            if run.code == 0:
                return self.verify(run)
            check(run.code in (1, 2, 85), f"exit {run.code}: {run.tail()}")
            if run.code in (1, 2):
                said = run.messages()
                check(len(said) == 1, f"{len(said)} messages and not one: {run.tail()}")
                raise Refused(said[0])
        raise Failed(f"not done after {most} starts: {run.tail()}")

    def verify(self, run=None, reference=None):
        """Exit 0 was said: everything must be there, to the bit."""
        wrong = (reference or self.ground.reference).differences(results.read(self.out))
        check(not wrong, f"exit 0, and {wrong}" + (f": {run.tail()}" if run else ""))
        left = [str(p.relative_to(self.out)) for p in self.out.rglob("*.tmp*")]
        check(not left, f"exit 0, and left behind: {left}")
        return run

    def settle(self, run):
        """After a run that was let end by itself: 0 means whole, 85 and 1 can be gone on with."""
        if run.code == 0:
            self.verify(run)
            return True
        check(run.code in (1, 2, 85), f"exit {run.code}: {run.tail()}")
        if run.code != 85:
            said = run.messages()
            check(len(said) == 1, f"{len(said)} messages and not one: {run.tail()}")
        return False

    def clear(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Ground:
    """What all trials share; made once."""

    def __init__(self, path, program, shim):
        self.path, self.program, self.shim = Path(path), Path(program).resolve(), Path(shim).resolve()
        self.deadline = 300
        self.root = write_tasks(self.path / "tasks")
        (self.path / "job.cfg").write_text(JOB_OF_TRIALS % ("../tasks", "../tasks"))

    def make(self, name, ranks, sets=(), fault=None):
        import random
        trial = Trial(self, 0, "prepare", 0, random.Random(0))
        run = trial.start(ranks, resume=False, sets=sets, fault=fault).wait()
        check(run.code == 0, f"preparing {name}: {run.tail()}")
        seconds = time.monotonic() - run.began
        shutil.rmtree(self.path / name, ignore_errors=True)
        trial.path.rename(self.path / name)
        return seconds

    def prepare(self):
        """The unbroken run (on two ranks and, counted, on one: they agree, or comparing means nothing),
        half of it, and a run of another seed."""
        two = self.make("done", 2)
        self.reference = results.Reference(results.read(self.path / "done" / "out"))
        one = self.make("counted", 0, fault="count:1:0")
        self.seconds = max(one, two)
        # In hundreds: a few depend on the clock, and a number shall be the same trial each time.
        self.calls = int((self.path / "counted" / "count").read_text()) // 100 * 100
        check(self.calls > 100, f"the shim saw {self.calls} calls: it is not in the way of the program")
        wrong = self.reference.differences(results.read(self.path / "counted" / "out"))
        check(not wrong, f"one process and two ranks differ without any fault: {wrong}")
        self.make("half", 1, sets=(f"train.steps={HALF}", 'stages=["train"]'))
        self.make("foreign", 0, sets=("seed=77",))
        self.foreign = results.Reference(results.read(self.path / "foreign" / "out"))
        # A loaded machine is slow: what took 1 s alone may take 30 beside others.
        self.deadline = max(60, 20 * self.seconds)


