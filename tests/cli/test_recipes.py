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
import traceback
import warnings
from pathlib import Path

from cases import Skipped
from harness import ENV, PROGRAM, main, run

ARMS = """
arms = ( { name = "metaicl"; learner = { algorithm = "metaicl"; }; }, { name = "maml"; } );
"""
TEXT = (Path(sys.argv[2]) / "docs" / "results-in-python.md").read_text()
BLOCKS = re.findall(r"^## (.*?)$(.*?)(?=^## |\Z)", TEXT, re.M | re.S)


def missing(code):
    """The modules that a recipe imports and that are not here."""
    return [name for name in ("pandas", "matplotlib") if f"import {name}" in code and not importlib.util.find_spec(name)]


def outcome(title, code, names):
    """What a recipe says that fails; nothing else is wrong."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, title, "exec"), names)  # noqa: S102
    except Exception:
        return traceback.format_exc() + said.getvalue()
    return None


def test_recipes(place):
    recipes = [(title, code) for title, body in BLOCKS
               for code in re.findall(r"^```python\n(.*?)^```$", body, re.M | re.S)]
    run(0, place.job(more=ARMS), place.path / "runs" / "quickstart", sets=["train.steps=30", "train.timers=true"])
    os.environ.update(ENV)
    (place.path / "outerloop").symlink_to(Path(PROGRAM).resolve())
    os.environ["PATH"] = f"{place.path}:{os.environ['PATH']}"
    os.chdir(place.path)
    names = {}
    for title, code in recipes:
        lacks = missing(code)
        if lacks:  # those after it need it too
            raise Skipped(f"from {title} on: {lacks[0]} is not installed")
        yield title, outcome(title, code, names)


main(globals())
