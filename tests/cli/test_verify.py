# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop verify`: the reference files on 1, 2 and 3 ranks, changed numbers, bad files. TAP.

usage: test_verify.py PROGRAM       (reference folder from OUTERLOOP_REFERENCE)

The files made here are well formed but hold no truth: they only show what is refused.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Failed, Skipped, check, main, skip_all

try:
    import h5py
    import numpy
except ImportError:
    skip_all("needs python3-h5py")

PROGRAM = str(Path(sys.argv[1]).resolve())
REFERENCE = os.environ.get("OUTERLOOP_REFERENCE", "")
QUANTITIES = 8  # of a file, besides a meta-gradient for each task


def verify(ranks, *words):
    launch = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    return subprocess.run([*launch, PROGRAM, "verify", *map(str, words)], text=True,
                          capture_output=True, timeout=120)


def messages(done):
    return [line for line in done.stderr.splitlines() if "outerloop: " in line]


# --- with the reference ------------------------------------------------------------------------

def reference_files():
    if not REFERENCE:
        raise Skipped("configure with -Dreference=FOLDER to run this test")
    files = [file for folder in ("meta_step", "meta_step_hf")
             for file in sorted(Path(REFERENCE, "oracle", folder).glob("*.h5"))]
    check(len(files) >= 9, f"only {len(files)} reference files")
    return files


def all_pass(ranks, precision, files):
    done = verify(ranks, "--precision", precision, *files)
    check(done.returncode == 0, f"exit {done.returncode}:\n{done.stdout}{done.stderr}")
    for path in files:
        with h5py.File(path) as file:
            tasks = len(file["tasks"])
        after = done.stdout.split(f"{path}: {precision}")
        check(len(after) == 2, f"{path} was verified {len(after) - 1} times")
        lines = [line for line in after[1].split(".h5:")[0].splitlines() if line.endswith("  ok")]
        check(len(lines) == QUANTITIES + tasks, f"{path}: {len(lines)} quantities")


def test_reference_alone(folder):
    all_pass(0, "f64", reference_files())


def test_reference_in_float32_on_two_ranks(folder):
    all_pass(2, "f32", reference_files())


def test_reference_on_three_ranks(folder):
    all_pass(3, "f64", [file for file in reference_files() if "wide" not in file.name][::3])


def change_attribute(group, name):
    def change(file):
        values = numpy.array(file[group].attrs[name])
        if values.dtype.kind == "i":
            file[group].attrs[name] = values + 1
        else:
            values.reshape(-1)[-1] *= 1 + 1e-6
            file[group].attrs[name] = values
    return change


def change_dataset(name):
    def change(file):
        values = file[name][...]
        at = numpy.unravel_index(numpy.argmax(abs(values)), values.shape)
        values[at] *= 1 + 1e-4
        file[name][...] = values
    return change


CHANGES = {
    "query_loss_before": change_attribute("expected/tasks/0", "query_loss_before"),
    "inner_losses": change_attribute("expected/tasks/1", "inner_losses"),
    "query_loss_after": change_attribute("expected/tasks/0", "query_loss_after"),
    "meta_gradient of task 1": change_dataset("expected/tasks/1/meta_gradient/wte.weight"),
    "meta_gradient_norm": change_attribute("expected", "meta_gradient_norm"),
    "params": change_dataset("expected/params/h.0.mlp.c_fc.weight"),
    "moments/m": change_dataset("expected/moments/m/wte.weight"),
    "moments/v": change_dataset("expected/moments/v/wte.weight"),
    "step": change_attribute("expected", "step"),
}


def test_changed_numbers(folder):
    """One number of what is expected is changed: exit 1, and that quantity alone is named."""
    source = reference_files()[0]
    for quantity, change in CHANGES.items():
        path = folder / "changed.h5"
        shutil.copyfile(source, path)
        path.chmod(0o644)
        with h5py.File(path, "r+") as file:
            change(file)
        done = verify(0, "--precision", "f64", path)
        past = [line.rsplit(maxsplit=4)[0].strip() for line in done.stdout.splitlines()
                if line.endswith("PAST THE TOLERANCE")]
        check(done.returncode == 1, f"{quantity}: exit {done.returncode}:\n{done.stdout}")
        check([line for line in done.stdout.splitlines() if "PAST" in line and
               line.strip().startswith(quantity + " ")], f"{quantity} is not named: {past}")
        check(len(past) == 1, f"{quantity}: past the tolerance are {past}")
        check(len(messages(done)) == 1 and "changed.h5: 1 of " in done.stderr, done.stderr)


def test_one_failure_does_not_hide_the_next_file(folder):
    source = reference_files()[0]
    path = folder / "changed.h5"
    shutil.copyfile(source, path)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        CHANGES["params"](file)
    for ranks in (0, 2):
        done = verify(ranks, "--precision", "f64", path, source)
        check(done.returncode == 1, f"exit {done.returncode}")
        check(f"{source}: f64" in done.stdout, f"the second file was left out:\n{done.stdout}")
        check(len(messages(done)) == 1, done.stderr)


# --- without -----------------------------------------------------------------------------------

SHAPE = {"n_layer": 1, "n_head": 2, "n_embd": 4, "n_vocab": 5, "n_ctx": 5}


def tensors():
    """Names and shapes of the parameters of SHAPE."""
    c, v, n = 4, 5, 5
    block = {"ln_1.weight": (c,), "ln_1.bias": (c,), "attn.c_attn.weight": (c, 3 * c),
             "attn.c_attn.bias": (3 * c,), "attn.c_proj.weight": (c, c), "attn.c_proj.bias": (c,),
             "ln_2.weight": (c,), "ln_2.bias": (c,), "mlp.c_fc.weight": (c, 4 * c),
             "mlp.c_fc.bias": (4 * c,), "mlp.c_proj.weight": (4 * c, c), "mlp.c_proj.bias": (c,)}
    return {"wte.weight": (v, c), "wpe.weight": (n, c), "ln_f.weight": (c,), "ln_f.bias": (c,),
            **{f"h.0.{name}": shape for name, shape in block.items()}}


def write_small(path):
    """A whole file whose expectations are made up."""
    adam = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    random = numpy.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "meta-step-verification", "version": 1, "float32_error": 1e-6})
        file.create_group("model").attrs.update({"arch": "gpt2", "ln_eps": 1e-5, **SHAPE})
        file.create_group("inner").attrs.update(
            {"optimizer": "adamw", "moments": "read", "steps": 2, "lr": 0.01, **adam})
        file.create_group("outer").attrs.update(
            {"optimizer": "adamw", "lr": 0.01, "order": 2, "max_grad_norm": 0.0, **adam})
        file.create_group("moments").attrs["step"] = 3
        for i in range(2):
            for side in ("support", "query"):
                group = file.create_group(f"tasks/{i}/{side}")
                group["tokens"] = numpy.array([0, 1, 2, 3, 4, 1, 0], "i4")
                group["loss_mask"] = numpy.array([0, 0, 1, 0, 0, 1, 1], "u1")
                group["offsets"] = numpy.array([0, 3, 7], "i8")
            file.create_group(f"expected/tasks/{i}").attrs.update(
                {"query_loss_before": 1.0, "inner_losses": numpy.ones(2), "query_loss_after": 1.0})
        file["expected"].attrs.update({"meta_gradient_norm": 1.0, "step": 4})
        for name, shape in tensors().items():
            file[f"params/{name}"] = 0.1 * random.standard_normal(shape)
            for kind in ("moments/m", "expected/params", "expected/moments/m",
                         "expected/tasks/0/meta_gradient", "expected/tasks/1/meta_gradient"):
                file[f"{kind}/{name}"] = numpy.ones(shape)
            file[f"moments/v/{name}"] = file[f"expected/moments/v/{name}"] = numpy.ones(shape)


def attribute(group, **values):
    return lambda file: file[group].attrs.update(values)


def without(name):
    def change(file):
        del file[name]
    return change


def without_attribute(group, name):
    def change(file):
        del file[group].attrs[name]
    return change


def dataset(name, values, kind=None):
    def change(file):
        kept = kind or file[name].dtype
        del file[name]
        file[name] = numpy.array(values, kept)
    return change


# What is wrong with a file, and a word of what is said.
BAD = {
    "another format": (attribute("/", format="something-else"), "something-else"),
    "no format": (without_attribute("/", "format"), "format"),
    "a format that is a number": (attribute("/", format=1), "format"),
    "a later version": (attribute("/", version=3), "version 3"),
    "no float32_error": (without_attribute("/", "float32_error"), "float32_error"),
    "another architecture": (attribute("model", arch="llama"), "llama"),
    "heads that do not divide": (attribute("model", n_head=3), "heads 3"),
    "no blocks": (attribute("model", n_layer=0), "layers (0, at most 1000)"),
    "a block too many": (attribute("model", n_layer=2), "h.1.ln_1.weight"),
    "no inner group": (without("inner"), "/inner"),
    "an unknown optimizer": (attribute("inner", optimizer="lion"), "lion"),
    "unknown moments": (attribute("inner", moments="borrow"), "borrow"),
    "no inner rate": (without_attribute("inner", "lr"), "lr"),
    "no inner steps": (attribute("inner", steps=0), "steps"),
    "a third order": (attribute("outer", order=3), "order"),
    "a missing parameter": (without("params/h.0.mlp.c_fc.bias"), "h.0.mlp.c_fc.bias"),
    "a parameter of another shape": (dataset("params/wpe.weight", numpy.ones((6, 4))), "wpe.weight"),
    "a parameter that is a group": (
        lambda file: (without("params/ln_f.bias")(file), file.create_group("params/ln_f.bias")),
        "ln_f.bias"),
    "missing moments": (without("moments/v"), "moments/v"),
    "no tasks": (without("tasks"), "/tasks"),
    "a missing side": (without("tasks/1/query"), "/tasks/1/query"),
    "tokens outside the vocabulary": (
        dataset("tasks/1/support/tokens", [0, 1, 2, 3, 5, 1, 0]), "token 5"),
    "negative tokens": (dataset("tasks/0/query/tokens", [0, 1, 2, 3, -1, 1, 0]), "token -1"),
    "a mask too short": (dataset("tasks/0/query/loss_mask", [0, 1]), "loss_mask"),
    "offsets that go back": (
        dataset("tasks/0/query/offsets", [0, 5, 4, 7]), "tasks/0/query/offsets"),
    "offsets that leave tokens over": (
        dataset("tasks/0/query/offsets", [0, 3, 6]), "tasks/0/query/offsets"),
    "a prompt beyond the context": (dataset("tasks/0/query/offsets", [0, 7]), "context"),
    "nothing scored": (dataset("tasks/1/query/loss_mask", [0, 0, 1, 0, 0, 0, 0]), "scores no token"),
    "no expected losses": (without("expected/tasks/1"), "expected/tasks/1"),
    "too few expected losses": (
        attribute("expected/tasks/0", inner_losses=numpy.ones(1)), "inner_losses"),
    "no expected gradient": (
        without("expected/tasks/1/meta_gradient/wte.weight"), "tasks/1/meta_gradient/wte.weight"),
    "no expected parameters": (without("expected/params/wte.weight"), "expected/params/wte.weight"),
}


def refused(path, said, ranks):
    done = verify(ranks, path)
    check(done.returncode == 2, f"exit {done.returncode}, not 2:\n{done.stdout}{done.stderr}")
    check(len(messages(done)) == 1, f"{len(messages(done))} messages:\n{done.stderr}")
    check(str(path) in messages(done)[0], f"the file is not named: {messages(done)[0]}")
    check(said in messages(done)[0], f"no {said!r} in: {messages(done)[0]}")


def test_made_up_expectations(folder):
    """The files that BAD starts from are whole: they run, and what is made up does not hold."""
    write_small(folder / "small.h5")
    for ranks in (0, 2, 3):
        done = verify(ranks, folder / "small.h5")
        check(done.returncode == 1, f"exit {done.returncode}:\n{done.stdout}{done.stderr}")
        check(done.stdout.count("PAST THE TOLERANCE") == QUANTITIES - 1 + 2,
              f"all but the step should be past the tolerance:\n{done.stdout}")
        check(len(messages(done)) == 1 and "9 of 10 quantities" in done.stderr, done.stderr)


def test_bad_content(folder):
    write_small(folder / "small.h5")
    for number, (name, (change, said)) in enumerate(BAD.items()):
        path = shutil.copy(folder / "small.h5", folder / f"bad-{number}.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        try:
            # A rank that reads alone what others do not is where two could differ.
            for ranks in (0, 2) if number % 6 == 0 or "expected" in name else (0,):
                refused(path, said, ranks)
        except Failed as failure:
            raise Failed(f"{name}: {failure}") from None


def test_bad_files(folder):
    small = folder / "small.h5"
    write_small(small)
    whole = small.read_bytes()
    cases = {"text.h5": b"not a model\n" * 100, "empty.h5": b"", "half.h5": whole[:len(whole) // 2],
             "tail.h5": whole[:-200], "head.h5": whole[:64]}
    for name, content in cases.items():
        (folder / name).write_bytes(content)
        for ranks in (0, 2) if name in ("text.h5", "tail.h5") else (0,):
            refused(folder / name, "", ranks)
    for ranks in (0, 2):
        refused(folder / "none.h5", "none.h5", ranks)
        refused(folder, "", ranks)


def test_torn_anywhere(folder):
    """Zeros over any part: refused, or past the tolerance; never a crash or a pass."""
    small = folder / "small.h5"
    write_small(small)
    whole = small.read_bytes()
    for at in range(0, len(whole), len(whole) // 24):
        torn = folder / "torn.h5"
        torn.write_bytes(whole[:at] + bytes(512) + whole[at + 512:])
        done = verify(0, torn)
        check(done.returncode in (1, 2), f"zeros at {at}: exit {done.returncode}:\n{done.stderr}")


def test_usage(folder):
    for words, said in ((("--precision", "f8", "x.h5"), "f8"), ((), "At least one FILE.h5")):
        for ranks in (0, 2):
            done = verify(ranks, *words)
            check(done.returncode == 2, f"exit {done.returncode}, not 2: {done.stderr}")
            check(done.stderr.count(said) == 1, f"not said once: {done.stderr}")


main(globals())
