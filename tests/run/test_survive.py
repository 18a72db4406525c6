# SPDX-License-Identifier: BSD-3-Clause
"""What a cluster does to runs: signals at any time, two starts in one folder, too little memory. TAP.

usage: test_survive.py PROGRAM [NAME]...
"""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cases import check
from harness import (ENV, FOREVER, children, column, command, digests, go_on, journal_lines, main, read_to, run, start,
                     start_held, wait_for)

TRAIN = ('stages=["train"]', "learner.outer.schedule=constant", "train.checkpoint_every=20")


def ranks_of(process, ranks):
    """The pids of the ranks, once they are started by mpirun."""
    wait_for(lambda: len(children(process, "outerloop")) == ranks, process)
    return children(process, "outerloop")


def computed(pid):
    """Seconds of processors that a process has taken."""
    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def let_compute(pids, process, seconds=0.15):
    """Until each of these has computed that much longer: it is in the middle of what it has begun."""
    before = [computed(pid) for pid in pids]
    wait_for(lambda: all(computed(pid) > b + seconds for pid, b in zip(pids, before)), process)


def catches(pid, number):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_signals_while_it_starts(place):
    """From the first instruction of the program on, long before MPI is up, a signal is kept."""
    job, out = place.job(), place.path / "out"
    for ranks, number, pause in ((0, signal.SIGTERM, 0), (2, signal.SIGUSR1, 0), (2, signal.SIGUSR1, 0.1),
                                 (0, signal.SIGINT, 0.05)):
        process = start(ranks, job, out, *["--resume"] * out.exists(), sets=(*TRAIN, FOREVER))
        pids = ranks_of(process, ranks) if ranks else [process.pid]
        for pid in pids:
            while not catches(pid, signal.SIGUSR2):  # main has begun
                check(process.poll() is None, "it ended")
        time.sleep(pause)
        if pause:
            process.send_signal(number)
        else:
            for pid in pids:
                os.kill(pid, number)
        said, _ = process.communicate(timeout=60)
        check(process.returncode == 85, f"{ranks} ranks: exit code {process.returncode}:\n{said}")
        check("everything is saved" in said, said)
    go_on(place, out, 2, TRAIN)


def test_one_step_of_adaptation_is_the_most_that_a_signal_waits(place):
    job, out = place.job(), place.path / "out"
    sets = ("train.steps=2", "learner.outer.warmup=0")
    process = start(2, job, out, sets=(*sets, "eval.adapt_steps=[1, 100000]"))
    pids = ranks_of(process, 2)
    wait_for(lambda: (out / "untrained" / "metrics.h5").exists(), process)
    let_compute(pids, process)  # wherever it is then, its end is minutes away
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    run(3, job, out, "--resume", sets=sets)
    for folder in ("", "untrained"):
        for name in ("score/score", "prediction/option_losses"):
            one, two = (column(path / folder, f"eval/{name}") for path in (out, place.undisturbed(*sets)))
            check([str(x) for x in one] == [str(x) for x in two], f"{folder}: {name} differs")


def lock_of(out):
    return dict(line.split(" = ") for line in (out / "run.lock").read_text().splitlines())


def test_two_starts_in_one_folder(place):
    """Of different jobs started at once one runs; while it does nobody else may, whatever they say."""
    job, out = place.job(), place.path / "out"
    for turn in range(2):
        sets = (*TRAIN, FOREVER, f"output={out}-{turn}")
        both = [start(0, job, f"{out}-{turn}", "--resume", sets=(*sets, f"seed={seed}")) for seed in (1, 2)]
        wait_for(lambda: any(one.poll() is not None for one in both), _Alive(both))
        lost = both[0] if both[0].poll() is not None else both[1]
        won = both[1] if lost is both[0] else both[0]
        said = lost.communicate(timeout=60)[0]
        check(lost.returncode == 2 and f"pid {won.pid} on" in said, said)
        check(lock_of(place.path / f"out-{turn}")["pid"] == str(won.pid), "it is not the winner's")
        won.send_signal(signal.SIGTERM)
        won.communicate(timeout=60)
        check(won.returncode == 85, "the other one did not run")
        check(not (place.path / f"out-{turn}" / "run.lock").exists(), "it is still there")


class _Alive:
    """Several processes as one: ended when all are."""

    def __init__(self, processes):
        self.processes = processes

    def poll(self):
        return None if any(one.poll() is None for one in self.processes) else 0


def test_output_folders_in_one_another(place):
    """Refused where one run would write into a folder of the other's, and only there."""
    plain, arms, out = place.job(), place.job("arms", TWO_ARMS), place.path / "in" / "b"
    short = (*TRAIN, "train.steps=2", "learner.outer.warmup=0")
    process = start_held(arms, out, sets=(*TRAIN, FOREVER))
    read_to(process, "\na  2/50000 ")
    (place.path / "link").symlink_to(out)
    for inner in (out / "a", out / "b" / "deep" / "er", out / "tune" / "x", place.path / "link" / "a" / "x"):
        said = run(0, plain, inner, sets=short, code=2).stderr
        check(f"lies in {out}/" in said and f"at work in {out} keeps" in said and f"pid {process.pid} on" in said, said)
        check(inner.exists() == (inner.name == "a"), f"a refusal left {inner}")
    said = run(0, arms, place.path / "in", sets=short, code=2).stderr
    check(f"at work in {out}, where" in said and f"pid {process.pid} on" in said, said)
    check(sorted(path.name for path in out.parent.iterdir()) == ["b"], "a refusal left something")
    for other in (out / "c", out / "seed-1", out.parent / "c", out.parent):  # of no run at work
        run(0, plain, other, sets=short)
    process.kill()
    process.communicate()
    run(0, plain, out / "tune" / "x", sets=short)
    run(0, arms, out, "--resume", sets=(*TRAIN, f"train.steps={len(journal_lines(out / 'a')) + 5}"))


def test_the_folder_of_a_run_that_is_gone(place):
    job, out = place.job(), place.path / "out"
    sets = (*TRAIN, "train.steps=40", "train_seeds=[1]")
    process = start_held(job, out, sets=sets)
    read_to(process, " 30/40 ")
    process.kill()
    process.communicate()
    check(lock_of(out)["pid"] == str(process.pid), "it did not hold the folder of all seeds")
    run(2, job, out, "--resume", sets=sets)
    check(not (out / "run.lock").exists(), "it is still there")
    file = out / "run.lock"  # as another host leaves it
    file.write_text("host = elsewhere\nboot = x\npid = 77\nstarted = then\njob = 0\nslurm_job = 9\n")
    said = run(2, job, out, "--resume", sets=sets, code=2).stderr
    check("pid 77 on elsewhere since then" in said and f"remove {file}" in said, said)
    check(file.exists(), "it was taken")
    ENV.update(SLURM_JOB_ID="9", SLURM_RESTART_COUNT="1")  # that job, requeued
    run(0, job, out, "--resume", sets=sets)
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        del ENV[name]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # a container that is no more
    file.write_text(f"host = elsewhere\nboot = {boot}\npid = 77\nstarted = then\njob = 0\n")
    run(0, job, out, "--resume", sets=sets)
    run(0, job, out, "--resume", sets=(*sets, "model.width=32"), code=2)
    check(not file.exists(), "a refusal left it")
    run(0, job, place.path / "new", sets=("data.setting=none",), code=2)
    check(not (place.path / "new").exists(), "a refusal left a folder")


def test_what_stands_where_files_are_kept(place):
    """A folder from elsewhere: its links lead nowhere, its pipes are not waited for."""
    job, victim = place.job(), place.path / "victim"
    victim.write_text("mine")
    for name in ("run.lock", "log.txt"):
        for kind, put in (("link", lambda path: path.symlink_to(victim)),
                          ("link", lambda path: path.symlink_to(place.path / "nowhere")),
                          ("pipe", os.mkfifo), ("folder", os.mkdir)):
            out = place.path / f"{name}-{kind}"
            out.mkdir(exist_ok=True)
            put(out / name)
            process = start(0, job, out, sets=("train.steps=2", "learner.outer.warmup=0"))
            said = process.communicate(timeout=20)[0]
            check(process.returncode in (1, 2) and f"{out / name}: is a {kind}" in said, f"{name}, {kind}: {said}")
            (out / name).rmdir() if kind == "folder" else (out / name).unlink()
        check(victim.read_text() == "mine", f"through {name} into another file")
        check(not (place.path / "nowhere").exists(), f"through {name} to another place")
    for stop in (out / "STOP", out / "STOP" / "x"):  # heeded, and said when it will be heeded again
        stop.mkdir(parents=True)
        said = run(0, job, out, "--resume", sets=("train.steps=2", "learner.outer.warmup=0"), code=85).stderr
        check((f"{out / 'STOP'}: cannot remove" in said) == (stop.name == "x"), said)


def test_a_damaged_job_file(place):
    """The results tell whose a folder is where its job.cfg does not."""
    job, out = place.job(more=TWO_ARMS), place.path / "out"
    sets = ("train.steps=4", "train.checkpoint_every=2", "learner.outer.warmup=0", "eval.adapt_steps=[1]",
            "eval.rows=4")
    run(0, job, out, sets=sets)
    files = [out / "job.cfg", out / "a" / "job.cfg", out / "b" / "job.cfg", out / "untrained" / "job.cfg"]
    whole = {file: file.read_text() for file in files}
    scores = column(out / "a", "eval/score/score")
    damages = {"torn": lambda text: text[: len(text) // 2], "empty": lambda text: "",
               "altered": lambda text: text.replace("seed = 5;", "seed = 7;"), "gone": None}
    for name, damage in damages.items():
        for file in files:
            file.unlink() if damage is None else file.write_text(damage(whole[file]))
            check(damage is None or file.read_text() != whole[file], f"{file} is as it was")
        said = run(0, job, out, "--resume", sets=sets).stderr
        for file in files:
            told = f"{file} is {'missing' if damage is None else 'damaged'}: it is written anew" in said
            check(told or (damage is None and file == files[0]), f"{name}: {said}")
            check(file.read_text() == whole[file], f"{name}: {file} is not as it was")
    check(column(out / "a", "eval/score/score") == scores, "scores changed")
    check("seed" in run(0, job, out, "--resume", sets=(*sets, "seed=6"), code=2).stderr, "another seed")
    for begun in (job, place.job("plain")):  # torn before an arm, or the run, had anything
        new = place.path / begun.stem
        new.mkdir()
        (new / "job.cfg").write_text("model = {")
        said = run(0, begun, new, "--resume", sets=("train.steps=1", 'stages=["train"]')).stderr
        check(f"{new}/job.cfg is damaged: it is written anew" in said, said)


def test_a_rank_that_is_stopped_for_ever(place):
    """The others say for whom they wait and where it is, and end the run; what is saved is whole. A
    signal that is pending changes nothing."""
    job, runs = place.job(), []
    for out, number in ((place.path / "out", None), (place.path / "told", signal.SIGUSR1)):  # they wait together
        process = start(3, job, out, sets=(*TRAIN, FOREVER, "train.stall_minutes=0.1"))
        runs.append((out, process))
        pids = ranks_of(process, 3)
        wait_for(lambda: len(journal_lines(out)) > 20, process)
        os.kill(pids[1], signal.SIGSTOP)
        if number:
            process.send_signal(number)
    for out, process in runs:
        said, _ = process.communicate(timeout=60)
        check(process.returncode == 1, f"exit code {process.returncode}, not 1:\n{said}")
        check(f"for rank 1 on {os.uname().nodename}, which does not answer" in said, said)
        check(said.count("outerloop: ") == 1, said)
        go_on(place, out, 2, TRAIN)


def slow_test_ranks_that_only_take_long_are_waited_for(place):
    """Scoring by one rank for longer than train.stall_minutes, while another waits for it."""
    (place.root / "config" / "mini.json").write_text('{"train": ["even"], "test": ["third"]}')
    out = place.path / "out"
    process = start(2, place.job(), out, sets=('stages=["adapt"]', "eval.seeds=[13]", "eval.adapt_steps=[100000]",
                                               "train.stall_minutes=0.1"))
    wait_for(lambda: (out / "job.cfg").exists(), process)
    time.sleep(10)
    check(process.poll() is None, "it is over")
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")


def test_one_rank_alone_is_told_to_stop(place):
    """It tells the others, in the middle of their work."""
    job, out = place.job(), place.path / "out"
    process = start(2, job, out, sets=("train.steps=2", "learner.outer.warmup=0", "eval.adapt_steps=[100000]"))
    pids = ranks_of(process, 2)
    wait_for(lambda: (out / "untrained" / "metrics.h5").exists(), process)
    let_compute(pids, process)
    os.kill(pids[1], signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")


def test_one_rank_short_of_memory(place):
    """It says so for all of them, with its number and its limits; nobody waits."""
    job, out = place.job(), place.path / "out"
    one = command(0, job, out)
    for flag, room in (("-v", 450000), ("-d", 100000)):
        short = ["bash", "-c", f'ulimit {flag} {room}; exec "$@"', "-", *one]
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *one, ":", "-n", "1", *short], env=ENV,
                              text=True, capture_output=True, timeout=60)
        check(done.returncode == 1, f"exit code {done.returncode}:\n{done.stderr}")
        check(f"rank 1 on {os.uname().nodename}: no memory for the buffers of the BLAS library: 128 MiB for 1 "
              f"thread" in done.stderr and f"ulimit {flag} {room // 1024} MiB" in done.stderr, done.stderr)
        check(done.stderr.count("outerloop: ") == 1, done.stderr)
        check(not out.exists(), "the folder is there")


def test_launch(place):
    """tools/launch makes Ctrl-C and SIGTERM, at any time, what SIGUSR1 is to mpirun."""
    job, out = place.job(), place.path / "out"
    launch = Path(__file__).resolve().parents[2] / "tools" / "launch"
    words = [str(launch), *command(2, job, out, "--resume", sets=(*TRAIN, FOREVER))[1:]]
    for number, ready in ((signal.SIGTERM, lambda: True), (signal.SIGINT, lambda: len(journal_lines(out)) > 20),
                          (signal.SIGTERM, lambda: len(journal_lines(out)) > 40)):
        process = subprocess.Popen(words, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        wait_for(lambda: children(process, "mpirun") and ready(), process)
        os.killpg(process.pid, number)  # as a terminal does
        said, _ = process.communicate(timeout=60)
        check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
        check("everything is saved" in said, said)


TWO_ARMS = 'arms = ( { name = "a"; }, { name = "b"; learner = { order = 1; }; } );\n'


def test_checkpoints_that_are_not_this_runs(place):
    job, out, other = place.job(), place.path / "out", place.path / "other"
    sets = (*TRAIN[:2], "train.checkpoint_every=4")
    run(0, job, out, sets=(*sets, "train.steps=8"))
    run(0, job, other, sets=(*sets, "train.steps=24", "seed=6"))
    run(0, job, place.path / "wide", sets=(*sets, "train.steps=20", "model.width=32"))
    for folder, step in ((other, 24), (place.path / "wide", 20)):
        name = f"step-{step:06}.h5"
        (out / "checkpoints" / name).write_bytes((folder / "checkpoints" / name).read_bytes())
    sets = (*sets, "train.steps=16")
    unbroken = place.undisturbed(*sets)
    said = run(2, job, out, "--resume", sets=sets).stderr
    check(said.count("checkpoint passed over") == 2 and "step-000008.h5 (meta-step" in said, said)
    check(digests(out) == digests(unbroken), "the digests of θ differ")
    for file in (out / "checkpoints").glob("step-*.h5"):  # all of them damaged: the advice works
        file.write_bytes(file.read_bytes()[:-9])
    said = run(2, job, out, "--resume", sets=sets, code=1).stderr
    check("move this folder elsewhere, and --resume begins anew" in said, said)
    (out / "checkpoints").rename(place.path / "elsewhere")
    run(0, job, out, "--resume", sets=sets)
    check(digests(out) == digests(unbroken), "the digests of θ differ")


if __name__ == "__main__":
    chosen = sys.argv[2:]
    main([test for name, test in sorted(globals().items())
          if (name in chosen if chosen else name.startswith("test_"))])
