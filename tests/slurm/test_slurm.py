# SPDX-License-Identifier: BSD-3-Clause
"""slurm/run.sbatch on a real cluster of two nodes on this machine. TAP.

usage: test_slurm.py PROGRAM ROOT

Skips without root, SLURM or munge. The cluster is shut down at the end, whatever happens.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cases import check, main, skip_all
from harness import ENV, Place, column, digests, journal_lines, run

NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "munged", "mungekey")
MISSING = [name for name in NEEDED if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]
if os.geteuid() != 0 or MISSING:
    skip_all("needs " + ", ".join(MISSING) if MISSING else "must be root to start a cluster")

ROOT = Path(sys.argv[2])
PROGRAM = str(Path(sys.argv[1]).resolve())
CLUSTER = str(ROOT / "tests" / "slurm" / "cluster.sh")
# What real clusters do not need: two nodes that are one host must not share memory.
JOB_ENV = dict(ENV, OUTERLOOP=PROGRAM, OMPI_MCA_btl="self,tcp", PATH=ENV["PATH"] + ":/usr/sbin")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
TRAIN = ("--set", 'stages=["train"]', "--set")


def slurm(*words, **env):
    done = subprocess.run(list(map(str, words)), env=JOB_ENV | env, text=True, capture_output=True,
                          timeout=60)
    check(done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def submit(place, job, *words, options=(), **env):
    """sbatch from the folder of the test; the number of the job."""
    return slurm("sbatch", "--parsable", f"--chdir={place.path}", "--nodes=2", "--ntasks=2",
                 "--ntasks-per-node=1", "--output=%x-%A_%a.out", *options,
                 ROOT / "slurm" / "run.sbatch", job, *words, **env)


def field(number, name):
    """One field of a job, "" once SLURM has forgotten it."""
    text = slurm("scontrol", "show", "job", number)
    found = [word.split("=", 1)[1] for word in text.split() if word.startswith(f"{name}=")]
    return found[0] if found else ""


def said(place):
    return "".join(f"--- {path.name}\n{path.read_text()}" for path in place.path.glob("*.out"))


def wait_for(holds, place, seconds):
    end = time.time() + seconds
    while not holds():
        check(time.time() < end, f"not within {seconds} s:\n{said(place)}")
        time.sleep(0.2)


def wait_for_end(number, place, seconds=120, state="COMPLETED", code="0:0"):
    wait_for(lambda: field(number, "JobState") in ENDED, place, seconds)
    got = field(number, "JobState"), field(number, "ExitCode")
    check(got == (state, code), f"the job ended {got}:\n{said(place)}")


def same_as_alone(place, job, out, sets):
    """The digests of θ after every meta-step are those of one process without SLURM."""
    run(0, job, place.path / "alone", sets=sets)
    check(digests(out) == digests(place.path / "alone"), "the digests of θ differ")
    steps = len(digests(out))
    check(column(out, "train/step/step") == list(range(1, steps + 1)), "train/step has gaps")


# Longer than any test: what is done to such a job meets it at work, on a fast machine too.
FOREVER = ('stages=["train"]', "learner.outer.schedule=constant", "train.steps=1000000")


def submit_forever(place, job, out, *more, **env):
    words = [word for text in (*FOREVER, f"output={out}", *more) for word in ("--set", text)]
    number = submit(place, job, *words, **env)
    wait_for(lambda: len(journal_lines(out)) > 50, place, 60)
    return number


def stop_for_good(number, place, out):
    slurm("scontrol", "update", f"JobId={number}", "Requeue=0")
    (out / "STOP").touch()
    wait_for_end(number, place, state="FAILED", code="85:0")


def end(number, place, job, out, restarts="1"):
    """Wait until a job that was started again is at work, stop it for good, and look whether all of it is the run
    of one process without SLURM."""
    wait_for(lambda: field(number, "Restarts") == restarts, place, 60)
    wait_for(lambda: "going on from" in said(place), place, 60)
    had = len(journal_lines(out))
    wait_for(lambda: len(journal_lines(out)) > had, place, 60)
    stop_for_good(number, place, out)
    same_as_alone(place, job, out, (*FOREVER[:2], f"train.steps={len(digests(out))}"))


def on_two_tasks(place, launcher):
    job, out = place.job(), place.path / "out"
    number = submit(place, job, "--set", f"output={out}", OUTERLOOP_LAUNCHER=launcher)
    wait_for_end(number, place)
    check("2 ranks × 1 thread" in said(place), f"it did not run on two ranks:\n{said(place)}")
    same_as_alone(place, job, out, ())
    check(column(out, "eval/score/score") == column(place.path / "alone", "eval/score/score"),
          "the scores differ")


def test_srun(place):
    on_two_tasks(place, "srun")


def test_mpirun_in_the_batch_step(place):
    on_two_tasks(place, "mpirun")


def stopped_and_requeued(place, launcher):
    """USR1 on the way: saved, requeued, gone on with, and the bits of an unbroken run."""
    job, out = place.job(), place.path / "out"
    number = submit_forever(place, job, out, OUTERLOOP_LAUNCHER=launcher)
    slurm("scancel", "--signal=USR1", number)
    end(number, place, job, out)
    text = said(place)
    check("everything is saved" in text and "requeued, restart 1" in text, text)


def test_stopped_and_requeued_by_srun(place):
    stopped_and_requeued(place, "srun")


def test_stopped_and_requeued_by_mpirun(place):
    stopped_and_requeued(place, "mpirun")


def test_time_limit(place):
    """The signal that --signal asks for before --time ends comes to the ranks, and the job goes on
    in its next start. A minute is the least limit there is; asked for half of it ahead, the signal
    finds ranks that are long at work, on a busy machine too."""
    job, out = place.job(), place.path / "out"
    number = submit(place, job, *TRAIN, "train.steps=1000000", "--set", f"output={out}",
                    options=("--time=1", "--signal=USR1@30"))
    wait_for(lambda: "going on from" in said(place), place, 120)
    check(field(number, "Restarts") == "1", f"restarts: {field(number, 'Restarts')}")
    done = len(journal_lines(out))
    wait_for(lambda: len(journal_lines(out)) > done, place, 60)
    stop_for_good(number, place, out)


def test_array(place):
    """%a is the task's number; a stop requeues that task alone."""
    job, words = place.job(), [word for text in FOREVER for word in ("--set", text)]
    number = submit(place, job, *words, "--set", "seed=%a", "--set", f"output={place.path}/out-%a",
                    options=("--array=7-8",))
    wait_for(lambda: len(journal_lines(place.path / "out-8")) > 50, place, 60)
    slurm("scancel", "--signal=USR1", f"{number}_8")
    wait_for(lambda: "Restarts=1" in slurm("scontrol", "show", "job", f"{number}_8"), place, 60)
    wait_for(lambda: "going on from" in said(place), place, 60)
    check(field(f"{number}_7", "Restarts") == "0", "the whole array was requeued")
    for task in (7, 8):
        stop_for_good(f"{number}_{task}", place, place.path / f"out-{task}")
    check(digests(place.path / "out-7")[0] != digests(place.path / "out-8")[0], "seeds are the same")


def test_array_of_a_folder(place):
    """Task N of an array runs the N-th job file of a folder, by name."""
    jobs = place.path / "jobs"
    jobs.mkdir()
    for name in ("a-first", "b-second"):
        shutil.copy(place.job(), jobs / f"{name}.cfg")
    number = submit(place, jobs, *TRAIN, "train.steps=2", "--set", f"output={place.path}/out-%a",
                    options=("--array=2",))
    wait_for_end(f"{number}_2", place, 60)
    check('name = "b-second"' in (place.path / "out-2" / "job.cfg").read_text(), said(place))
    number = submit(place, jobs, options=("--array=3",))
    wait_for_end(f"{number}_3", place, state="FAILED", code="2:0")
    check("--array=1-2" in said(place), said(place))


def test_mistakes_are_not_requeued(place):
    number = submit(place, place.job(more="nonsense = 1;\n"), "--set", f"output={place.path}/out")
    wait_for_end(number, place, state="FAILED", code="2:0")
    check("nonsense" in said(place) and "requeued" not in said(place), said(place))
    number = submit(place, place.job(), OUTERLOOP=str(place.path / "none"))
    wait_for_end(number, place, state="FAILED", code="2:0")
    check("set OUTERLOOP" in said(place), said(place))
    done = subprocess.run([str(ROOT / "slurm" / "run.sbatch")], text=True, capture_output=True)
    check(done.returncode == 2 and "which job?" in done.stderr, done.stderr)


def test_restarts_are_capped(place):
    job, out = place.job(), place.path / "out"
    number = submit(place, job, *TRAIN, "train.steps=100000", "--set", f"output={out}",
                    OUTERLOOP_MOST_RESTARTS="0")
    wait_for(lambda: len(journal_lines(out)) > 50, place, 60)
    slurm("scancel", "--signal=USR1", number)
    wait_for_end(number, place, state="FAILED", code="85:0")
    check("0 restarts; not requeued" in said(place), said(place))


def test_stopped_for_good(place):
    """With Requeue=0 a stop is the end; submitting the same line again goes on."""
    job, out = place.job(), place.path / "out"
    stop_for_good(submit_forever(place, job, out), place, out)
    check("not requeued; submit the same line again" in said(place), said(place))
    end(submit_forever(place, job, out), place, job, out, restarts="0")


def kill_ranks(number, place, out, more):
    """SIGKILL to the ranks of a job's present start, once there are `more` meta-steps."""
    had = len(journal_lines(out))
    wait_for(lambda: len(journal_lines(out)) > had + more, place, 60)
    slurm("scancel", "--signal=KILL", f"{number}.0")


def test_killed_ranks_are_requeued(place):
    """By whoever: the job goes on from its last checkpoint, to the bits of an unbroken run."""
    job, out = place.job(), place.path / "out"
    number = submit_forever(place, job, out, "train.checkpoint_every=20")
    kill_ranks(number, place, out, 0)
    end(number, place, job, out)
    check("killed by signal 9; requeued, restart 1" in said(place), said(place))


def processes_of(node):
    """The daemon of a node, its daemons of steps, and what they run there."""
    daemon = Path(JOB_ENV["SLURM_CONF"]).with_name(f"slurmd-{node}.pid")
    found = {int(daemon.read_text())}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"SLURMD_NODENAME={node}\0".encode() in (process / "environ").read_bytes() + b"\0":
                found.add(int(process.name))
                above = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if Path(f"/proc/{above}/comm").read_text().startswith("slurmstepd"):
                    found.add(above)
        except OSError:
            pass  # it ended
    return found


def test_a_node_that_dies(place):
    """All of it falls silent at once, as when its power fails, and SLURM gives it up (which it is told here; by
    itself it waits for SlurmdTimeout): the job is requeued, and goes on when there are two nodes again."""
    job, out = place.job(), place.path / "out"
    number = submit_forever(place, job, out, "train.checkpoint_every=20")
    dead = processes_of("n2")
    check(len(dead) >= 3, f"a daemon, a step and a rank, not {dead}")
    try:
        for process in dead:
            os.kill(process, signal.SIGSTOP)
        slurm("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=dead")
        wait_for(lambda: field(number, "Restarts") == "1" and field(number, "JobState") == "PENDING", place, 60)
        check("everything is saved" not in said(place), said(place))
    finally:
        for process in dead:
            os.kill(process, signal.SIGKILL)
        for folder in ("spool-n2", "tmp-n2"):  # a node comes up empty
            scratch = Path(JOB_ENV["SLURM_CONF"]).with_name(folder)
            shutil.rmtree(scratch)
            scratch.mkdir()
        subprocess.run(["slurmd", "-N", "n2"], env=JOB_ENV, check=True, timeout=30)
    end(number, place, job, out)


def test_restarts_without_progress_are_capped(place):
    """Killed three times before its first checkpoint, it is not started a fourth time."""
    job, out = place.job(), place.path / "out"
    number = submit(place, job, *TRAIN, "train.steps=1000000", "--set", f"output={out}")
    for start in range(1, 4):
        wait_for(lambda: said(place).count("run.sbatch: start ") == start, place, 60)
        wait_for(lambda: said(place).count("gradient evaluations") == start, place, 60)
        kill_ranks(number, place, out, 60)
    wait_for_end(number, place, state="FAILED", code="137:0")
    check("killed by signal 9 three times at the same place; not requeued" in said(place), said(place))


def end_all_jobs():
    """Cancel what a test left at work, and wait until it has ended: a run that is stopped saves, into its folder."""
    subprocess.run(["scancel", "--user=root"], env=JOB_ENV, timeout=30, capture_output=True)
    end = time.time() + 60
    while time.time() < end and subprocess.run(["squeue", "--noheader"], env=JOB_ENV, text=True, timeout=30,
                                               capture_output=True).stdout:
        time.sleep(0.2)


@contextlib.contextmanager
def given(name):
    """A Place, kept when the test of that name fails; no job is at work after it."""
    place = Place()
    try:
        yield place
    except Exception:
        end_all_jobs()
        print(f"# kept: {place.keep(name)}")
        raise
    end_all_jobs()
    place.clear()


def started(folder):
    """A cluster that runs until this program ends."""
    done = subprocess.run([CLUSTER, "start", folder], env=JOB_ENV, text=True, timeout=90,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"the cluster does not start: {done.stderr}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also then the cluster is shut down
    folder = tempfile.mkdtemp(prefix="outerloop-slurm-")
    JOB_ENV["SLURM_CONF"] = f"{folder}/slurm.conf"
    try:
        started(folder)
        main([test for name, test in globals().items()
              if (name in sys.argv[3:] if sys.argv[3:] else name.startswith("test_"))], given)
    finally:
        subprocess.run([CLUSTER, "stop", folder], env=JOB_ENV, timeout=120, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
