# SPDX-License-Identifier: BSD-3-Clause
"""What all tests in Python share: checks, a folder of their own, and TAP.

A test is a function. It raises Failed, by check() most often, or Skipped; or returns what is wrong, a text. One that yields
(name, what is wrong) is as many cases as it yields, and may end itself by Skipped. It is given a folder if it takes an
argument. tests/meson.build puts this file's folder where Python looks; `meson devenv -C build` does by hand.
"""
import contextlib
import inspect
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path


class Failed(Exception):
    """A check that did not hold."""


class Skipped(Exception):
    """A test that cannot run here."""


def check(holds, text):
    if not holds:
        raise Failed(text)


def skip_all(reason):
    """End the program: none of its tests can run here."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


@contextlib.contextmanager
def scratch(name):
    """An empty folder for a test of that name, removed after it."""
    folder = Path(tempfile.mkdtemp(prefix="outerloop-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cases(test, given):
    """Name, what is wrong, and why it was skipped, of each case of a test."""
    name = test.__name__
    try:
        with given(name) as place:
            said = test(place) if inspect.signature(test).parameters else test()
            if inspect.isgenerator(said):
                for case, wrong in said:
                    yield case, wrong, None
            elif said:
                raise Failed(said)
            else:
                yield name, None, None
    except Skipped as reason:
        yield name, None, reason
    except Failed as failure:
        yield name, str(failure) or "failed", None
    except Exception:  # a broken test is a failed one, not the end of the others
        yield name, traceback.format_exc(), None


def seconds():
    """Of the clock, and of processors in all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.time(), used.ru_utime + used.ru_stime


def main(tests, given=scratch):
    """Run tests, a list or the globals() of a file whose names begin with test_, each in the context that given(name) is;
    exit 1 when a case failed or there was none."""
    if isinstance(tests, dict):
        tests = [test for name, test in tests.items() if name.startswith("test_")]
    count = failed = 0
    for test in tests:
        began = seconds()
        for name, wrong, skipped in cases(test, given):
            count += 1
            failed += bool(wrong)
            for line in wrong.splitlines() if isinstance(wrong, str) else wrong or ():
                print("#", line)
            print("not ok" if wrong else "ok", count, "-", name, *(["# SKIP", skipped] if skipped else []), flush=True)
        print("# %.1f s, %.1f of processors" % tuple(b - a for a, b in zip(began, seconds())), flush=True)
    print(f"1..{count}", flush=True)
    sys.exit(failed > 0 or not count)
