# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of docs/results-in-python.md run on a finished run, as they stand. Those that need
pandas or matplotlib are skipped where these are not installed. TAP.

usage: test_recipes.py PROGRAM ROOT
"""
import contextlib
import importlib.util
import io
import os
import re
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "run"))
from harness import ENV, PROGRAM, Place, run  # noqa: E402

ARMS = """
arms = ( { name = "metaicl"; learner = { algorithm = "metaicl"; }; }, { name = "maml"; } );
"""
TEXT = (Path(sys.argv[2]) / "docs" / "results-in-python.md").read_text()
BLOCKS = re.findall(r"^## (.*?)$(.*?)(?=^## |\Z)", TEXT, re.M | re.S)


def missing(code, before):
    """A module that a recipe imports, or one before it, and that is not here."""
    for name in ("pandas", "matplotlib"):
        if not before and f"import {name}" in code and not importlib.util.find_spec(name):
            return name
    return before


def main():
    recipes = [(title, code) for title, body in BLOCKS
               for code in re.findall(r"^```python\n(.*?)^```$", body, re.M | re.S)]
    place, names, failed, lacks = Place(), {}, 0, None
    program = str(Path(PROGRAM).resolve())
    run(0, place.job(more=ARMS), place.path / "runs" / "quickstart", sets=["train.steps=30", "train.timers=true"])
    os.environ.update(ENV)
    (place.path / "outerloop").symlink_to(program)
    os.environ["PATH"] = f"{place.path}:{os.environ['PATH']}"
    os.chdir(place.path)
    print(f"1..{len(recipes)}")
    for number, (title, code) in enumerate(recipes, 1):
        lacks = missing(code, lacks)
        if lacks:
            print(f"ok {number} - {title} # SKIP {lacks} is not installed")
            continue
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(compile(code, title, "exec"), names)  # noqa: S102
            print(f"ok {number} - {title}")
        except Exception as error:  # the others may still run
            failed += 1
            print(f"# {type(error).__name__}: {error}")
            print(f"not ok {number} - {title}")
        for line in said.getvalue().splitlines():
            print("#", line)
    place.clear()
    return failed > 0


sys.exit(main())
