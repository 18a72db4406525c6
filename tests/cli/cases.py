# SPDX-License-Identifier: BSD-3-Clause
"""What tests of single commands share: checks, folders of their own, and TAP."""
import shutil
import tempfile
import traceback
from pathlib import Path


class Failed(Exception):
    """A check that did not hold."""


class Skipped(Exception):
    """A test that cannot run here."""


def check(holds, text):
    if not holds:
        raise Failed(text)


def outcome(test, folder):
    """What is wrong, or None; and why it was skipped."""
    try:
        return test(folder) if test.__code__.co_argcount else test(), None
    except Skipped as reason:
        return None, reason
    except Failed as failure:
        return str(failure), None
    except Exception:  # a broken test is a failed one, not the end of the others
        return traceback.format_exc(), None


def main(tests):
    """Run them; a test raises or returns what is wrong, and is given a folder if it takes one. The exit code."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        folder = Path(tempfile.mkdtemp(prefix="outerloop-test-"))
        wrong, skipped = outcome(test, folder)
        shutil.rmtree(folder, ignore_errors=True)
        failed += wrong is not None
        print("ok" if wrong is None else "not ok", number, "-", test.__name__, f"# SKIP {skipped}" if skipped else "",
              flush=True)
        for line in (wrong or "").splitlines():
            print("#", line)
    return failed > 0 or not tests
