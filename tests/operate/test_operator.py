# SPDX-License-Identifier: BSD-3-Clause
"""plan, doctor and sweep: what they foretell against what runs take, and what they refuse. TAP.

usage: test_operator.py PROGRAM
"""
import os
import re
import resource
import subprocess
from pathlib import Path

from cases import check
from harness import ENV, PROGRAM, main, run

CLOSE = 0.10  # of planned and real peak memory


def tell(*words, ranks=0, code=0, env=None, cwd=None, limit=None):
    launch = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    done = subprocess.run([*launch, PROGRAM, *map(str, words)], env=dict(ENV, **(env or {})), text=True,
                          capture_output=True, timeout=120, cwd=cwd, preexec_fn=limit)
    check(done.returncode == code, f"exit {done.returncode}, not {code}: {words}\n{done.stdout}{done.stderr}")
    return done


def pairs(text):
    return {k: float(v) for k, v in (p.split("=") for p in text.splitlines()[-1].split())}


def sets(values):
    return [w for s in values for w in ("--set", s)]


def compare_memory(place, job, name, *values, needs=""):
    """The plan before, the run's own plan, and what it took. False where the run does not say what it needs to."""
    out = place.path / name
    planned = pairs(tell("plan", job, "--set", f"output={out}", *sets(values)).stdout)["memory_mib"]
    check(not out.exists(), f"plan made {out}")
    said = run(0, job, out, sets=values).stderr
    if needs not in said:
        return False
    found = re.search(r"peak memory (\S+) MiB .*planned (\S+) MiB", said)
    check(found, f"no peak memory in:\n{said}")
    real = float(found[1])
    for what, value in (("plan", planned), ("the run's plan", float(found[2]))):
        check(abs(value - real) < CLOSE * real, f"{name}: {what} {value} MiB, real {real} MiB")
    return out


def test_memory(place):
    job = place.job()
    small = compare_memory(place, job, "small", "train.steps=3", "eval.rows=4")
    compare_memory(place, job, "wide", "train.steps=1", "model.width=384", "model.layers=2", "learner.episodes=1",
                   "eval.rows=1", "eval.seeds=[13]", "eval.adapt_steps=[1]")
    tell("export", small, "--out", place.path / "model")
    job.write_text("\n".join(line for line in job.read_text().splitlines() if "model =" not in line))
    compare_memory(place, job, "lora", "train.steps=2", "eval.rows=4", "model.init=import",
                   f"model.path={place.path}/model", "model.trained=lora", "model.lora.rank=2")


def test_memory_of_ranks_that_share_it(place):
    """Each reads its slice of the others' vectors, and of the results its own alone."""
    values = ("train.steps=1", "model.width=256", "model.layers=2", "learner.support=1", "learner.query=1",
              "stages=[train]", "learner.outer.warmup=0")
    said = run(4, place.job(), place.path / "four", sets=values).stderr
    real, planned = map(float, re.search(r"peak memory (\S+) MiB .*planned (\S+) MiB", said).groups())
    check(abs(planned - real) < CLOSE / 2 * real, said)


def test_memory_with_bfloat16(place):
    """Operands as bfloat16, of the head too, and code for more shapes than are kept of them."""
    wide = ("model.width=384", "model.layers=2", "model.heads=4", "model.vocab=4000", "model.trained=lora")
    short = ("train.steps=4", "learner.outer.warmup=0", "stages=[train]", "learner.support=8", "learner.query=8")
    if not compare_memory(place, place.job(), "narrow", "precision=auto", *wide, *short,
                          needs="products of matrices in bf16"):
        print("# no bfloat16 here")


def test_plan(place):
    job, out = place.job(), place.path / "out"
    said = tell("plan", job, "-n", 6, "--set", f"output={out}").stdout
    figures = pairs(said)
    check(figures["idle"] == 2 and figures["episodes_a_rank"] == 1, said)
    check(0 < figures["seconds"] < 3600 and figures["disk_mib"] > 0 and figures["lead_s"] >= 60, said)
    for cause in ("libraries", "parameters", "moments", "gradients", "inner loop", "scoring", "BLAS"):
        check(re.search(rf"{cause}.* [\d.]+ MiB", said), f"no {cause} in\n{said}")
    two = pairs(tell("plan", job, "-n", 2, "--set", f"output={out}").stdout)
    check(two["episodes_a_rank"] == 2, str(two))
    seeds = pairs(tell("plan", job, "--set", f"output={out}", "--set", "train_seeds=[1,2,3]").stdout)
    once = pairs(tell("plan", job, "--set", f"output={out}").stdout)
    check(2.5 < seeds["disk_mib"] / once["disk_mib"] < 3.5, f"{seeds} {once}")
    tuned = tell("plan", job, "--set", f"output={out}", "--set", "tune.holdout=1",
                 "--set", "tune.grid=(({learner={inner={lr=0.1;};};},{learner={inner={lr=0.2;};};}))").stdout
    check("tuning: 2 cells" in tuned, tuned)
    check(not out.exists(), "a plan touched the output")


def test_script(place):
    job = place.job()
    script = tell("plan", job, "-n", 3, "--sbatch", "--set", "output=it's").stdout
    for want in ("#SBATCH --ntasks=3\n", "#SBATCH --signal=USR1@", "#SBATCH --mem-per-cpu=",
                 "#SBATCH --time=", "'output=it'\\''s'"):
        check(want in script, f"no {want} in\n{script}")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_plan_refuses_as_run(place):
    job, out = place.job(), place.path / "out"
    run(0, job, out, sets=("train.steps=1", "stages=[train]"))
    for values in ((f"output={out}",), ("learner.inner.lx=1",), ("model.width=15",),
                   ("data.setting=none",), ("output=/proc/none/x",), ("data.max_tokens=4000",)):
        words = sets((f"output={place.path}/new", *values))
        said = [subprocess.run([PROGRAM, command, str(job), *words], env=ENV, text=True,
                               capture_output=True, timeout=60) for command in ("run", "plan")]
        check(said[0].returncode == said[1].returncode == 2, f"{values}: {said}")
        check(said[0].stderr.splitlines()[-1] == said[1].stderr.splitlines()[-1], f"{values}: {said}")


def test_doctor(place):
    out = place.path / "there"
    for ranks in (0, 2):
        found = tell("doctor", "--output", out / "deep", ranks=ranks).stdout
        check(", 0 faults" in found and "ok       output" in found, found)
        check(not out.exists(), "doctor left its folders")
        means = re.search(r'(?m)^ok +precision: "auto" of a job means (bf16 \(oneDNN .*\)|f32; .*)$', found)
        check(means, found)


def test_doctor_tells_what_auto_means(place):
    """On a processor without bfloat16, or as oneDNN is told to take it for one."""
    found = tell("doctor", "--output", place.path, env={"DNNL_MAX_CPU_ISA": "AVX2"}).stdout
    said = re.search(r'(?m)^ok +precision: "auto" of a job means f32; (.*)$', found)
    check(said and re.search("this one has (avx2|sse41),|built without", said[1]), found)


def test_doctor_finds_faults(place):
    (place.path / "file").write_text("")
    found = tell("doctor", "--output", place.path / "file", code=1).stdout
    check(re.search(r"(?m)^fault +output: .*file.* choose another folder", found), found)
    short = tell("doctor", "--output", place.path, code=1, limit=lambda: resource.setrlimit(
        resource.RLIMIT_AS, (400 << 20, 400 << 20))).stdout
    check(re.search(r"(?m)^fault +memory limits: .*ulimit -v", short), short)
    crowd = tell("doctor", "--output", place.path, ranks=len(os.sched_getaffinity(0)) + 1, code=1).stdout
    check(re.search(r"(?m)^fault +binding: .* share ", crowd), crowd)
    alone = tell("doctor", "--output", place.path, code=1,
                 env={"PMI_SIZE": "2", "PMI_RANK": "0"}).stdout
    check(re.search(r"(?m)^fault +MPI: the launcher started 2 tasks", alone), alone)


def test_products_of_an_older_core_are_told(place):
    """OPENBLAS_CORETYPE of less than the processor has: doctor says so, and a run, once."""
    has = [name for name in ("avx2", "avx512bw") if name in Path("/proc/cpuinfo").read_text()]
    job, out = place.job(), place.path / "out"
    for name, old, grade, rate in (("avx2", "Prescott", "fault", "1/[48]"), ("avx512bw", "Haswell", "warning", "1/2"),
                                   ("avx512bw", "Zen", "warning", "1/2")):
        if name not in has:
            continue
        env = {"OPENBLAS_CORETYPE": old}
        found = tell("doctor", "--output", place.path, env=env, code=1 if grade == "fault" else 0).stdout
        said = rf"OPENBLAS_CORETYPE={old} .* about {rate} of the rate: unset OPENBLAS_CORETYPE\n"
        check(re.search(rf"(?m)^{grade} +BLAS: {said}", found), found)
        told = tell("run", job, *sets((f"output={out}-{old}", "train.steps=1", "stages=[train]",
                                       "learner.outer.warmup=0")), ranks=2, env=env).stderr
        check(len(re.findall(rf"warning: {said}", told)) == 1, told)
    best = {"OPENBLAS_CORETYPE": "SkylakeX" if "avx512bw" in has else "Haswell"}
    if has:
        check(" of the rate" not in tell("doctor", "--output", place.path, env=best).stdout, "a false alarm")


SWEEP = """
job = "job.cfg";
output = "%s/e/%%a";
set = { train = { steps = 2; }; eval = { rows = 2; seeds = [13]; adapt_steps = [1]; }; };
grid = ( ( { learner = { order = 1; }; }, { learner = { order = 2; }; } ),
         ( { learner = { inner = { lr = 1e-3; }; }; }, { learner = { inner = { lr = 1e-2; }; }; } ) );
"""


def test_sweep(place):
    place.job()
    file = place.path / "s.cfg"
    file.write_text(SWEEP % place.path)
    tell("sweep", file)
    folder = place.path / "e" / "sweep"
    jobs = sorted(folder.glob("*.cfg"))
    check(len(jobs) == 4, str(jobs))
    check(not (place.path / "e" / "1").exists(), "a sweep started an element")
    third = jobs[2].read_text()
    check("order = 2;" in third and "lr = 0.001;" in third and '/e/3"' in third, third)
    script = (folder / "submit.sbatch").read_text()
    check("#SBATCH --array=1-4\n" in script and str(folder) in script, script)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    tell("plan", jobs[0])
    tell("run", jobs[0])
    tell("sweep", file, "--only", 2)
    tell("sweep", file, "--only", 2, code=2)
    tell("sweep", file, "--only", 2, "--resume")
    table = tell("report", place.path / "e" / "1", place.path / "e" / "2").stdout
    check("1" in table and "2/" in table, table)
    whole = tell("report", place.path / "e").stdout  # not one run with trainings of other settings
    check(whole == table and "1 training;" in whole, whole)


def test_sweep_refuses(place):
    place.job()
    file = place.path / "s.cfg"
    whole = SWEEP % place.path
    for what, by, want in (("/%a", "/x", "has no %a"), ("lr = 1e-2", "lx = 1e-2", "element 2: "),
                           ("train = {", "output = \"x\"; train = {", "output: an element"),
                           ("set =", "sets =", "s.cfg:4: "), ("grid = (", "grid = 1; x = (", "s.cfg:"),
                           ("order = 1", "order = 3", "element 1: ")):
        file.write_text(whole.replace(what, by))
        said = tell("sweep", file, code=2).stderr
        check(want in said, f"{what} -> {by}: {said}")
        check(not (place.path / "e").exists(), "a sweep that was refused wrote files")


if __name__ == "__main__":
    main([test_memory, test_memory_of_ranks_that_share_it, test_memory_with_bfloat16, test_plan, test_script,
          test_plan_refuses_as_run, test_doctor, test_doctor_tells_what_auto_means, test_doctor_finds_faults,
          test_products_of_an_older_core_are_told, test_sweep, test_sweep_refuses])
