# SPDX-License-Identifier: BSD-3-Clause
"""Files of a run that are damaged while nobody runs: checkpoints, both metrics files, job.cfg."""
import shutil

import h5py

import results
from ground import Refused
from cases import Failed, check

# --- ways to damage a file --------------------------------------------------------------------


def flip(path, random, at=None):
    data = bytearray(path.read_bytes())
    for _ in range(1 if at is not None else random.choice((1, 1, 3, 20))):
        place = random.randrange(len(data)) if at is None else at
        data[place] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def zero_page(path, random):
    data = bytearray(path.read_bytes())
    pages = range(0, len(data), 4096)
    at = random.choice([4096 if len(data) > 8192 else 0, random.choice(pages)])
    data[at:at + 4096] = bytes(len(data[at:at + 4096]))
    path.write_bytes(data)


def truncate(path, random):
    data = path.read_bytes()
    path.write_bytes(data[:random.choice((0, 1, len(data) - 1, random.randrange(len(data))))])


def garbage(path, random):
    path.write_bytes(random.randbytes(random.choice((1, 100, 100000))))


def remove(path, random):
    path.unlink()


def folder_instead(path, random):
    path.unlink()
    path.mkdir()


WAYS = (flip, flip, zero_page, truncate, garbage, remove, folder_instead)


# --- checkpoints ------------------------------------------------------------------------------

def newest_first(trial):
    return sorted((trial.out / "checkpoints").glob("step-*.h5"), reverse=True)


def swap(files, trial):
    a, b = files[0].read_bytes(), files[-1].read_bytes()
    files[0].write_bytes(b)
    files[-1].write_bytes(a)


def foreign(files, trial):
    other = sorted((trial.ground.path / "foreign" / "out" / "checkpoints").glob("step-*.h5"))
    shutil.copy(trial.random.choice(other), files[0])


def foreign_beside(files, trial):
    other = trial.ground.path / "foreign" / "out" / "checkpoints" / "step-000024.h5"
    shutil.copy(other, files[0].with_name("step-000099.h5"))


def left_aside(files, trial):
    for file in files[:2]:
        file.with_name(f"{file.name}.tmp-20260101T000000Z-elsewhere-1").write_bytes(file.read_bytes()[:5000])
    (trial.out / "job.cfg.tmp-99999").write_text("half")


def wrong_hint(files, trial):
    (files[0].parent / "latest").write_text("step-999999.h5\n")


SETS = (swap, foreign, foreign_beside, left_aside, wrong_hint)


def checkpoints(trial):
    trial.begin_from(trial.random.choice(("half", "half", "done")))
    files = newest_first(trial)
    spoiled, taken = trial.random.randint(0, 3), None
    if spoiled == 0:
        way = trial.random.choice(SETS)
        way(files, trial)
        trial.tell(way.__name__)
    for file in files[:spoiled]:
        way = trial.random.choice(WAYS)
        way(file, trial.random)
        trial.tell(f"{way.__name__} {file.name}")
        taken = file.name if way is folder_instead else taken
    trial.command("inspect", "out", "--check")
    return through_or_undone(trial, "checkpoint" if spoiled == len(files) else taken)


def through_or_undone(trial, refusable):
    """Done to the bit; or, where `refusable`, refused in words with that in them, and nothing harmed: with the
    damage undone, the same bits."""
    untouched = trial.ground.path / trial.story[0].split()[1] / "out"
    before = trial.path / "damaged"
    shutil.copytree(trial.out, before, symlinks=True)
    try:
        trial.come_through()
        return "same"
    except Refused as refusal:
        said = str(refusal)
    check(refusable is not None and refusable in said, f"refused: {said}")
    trial.tell(f"refused: {said}")
    for file in untouched.rglob("*"):
        there = trial.out / file.relative_to(untouched)
        was = before / file.relative_to(untouched)
        damaged = not was.is_file() or was.read_bytes() != file.read_bytes() if file.is_file() else False
        if damaged:
            if there.is_dir():
                shutil.rmtree(there)
            shutil.copy(file, there)
    trial.come_through()
    return "refused"


# --- metrics ----------------------------------------------------------------------------------

def flip_column(path, random):
    """A byte of the rows of some column."""
    with h5py.File(path, "r") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset)
                        and item.chunks and item.id.get_num_chunks() else None)
        item = file[random.choice(sorted(names))]
        chunk = item.id.get_chunk_info(random.randrange(item.id.get_num_chunks()))
        rows = min(item.shape[0], item.chunks[0])
        at = chunk.byte_offset + random.randrange(max(1, rows * item.dtype.itemsize))
    flip(path, random, min(at, path.stat().st_size - 1))


def bad_line(path, random):
    """One line altered, deleted, doubled, swapped with the next or cut; or the last ones deleted."""
    lines = path.read_bytes().split(b"\n")
    at = random.randrange(len(lines) - 2)
    way = random.choice(("digit", "delete", "double", "swap", "cut", "join", "end"))
    if way == "digit":
        places = [i for i, c in enumerate(lines[at]) if 48 <= c < 57]
        place = random.choice(places)
        lines[at] = lines[at][:place] + bytes([lines[at][place] + 1]) + lines[at][place + 1:]
    elif way == "delete":
        del lines[at]
    elif way == "end":
        del lines[at + 1:-1]
    elif way == "double":
        lines.insert(at, lines[at])
    elif way == "swap":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif way == "cut":
        lines[at] = lines[at][:random.randrange(1, len(lines[at]))]
    else:
        lines[at:at + 2] = [lines[at] + lines[at + 1]]
    path.write_bytes(b"\n".join(lines))


def check_says_whole(trial, folder, before):
    """`inspect --check` may call whole only what is; it never hangs or crashes."""
    run = trial.command("inspect", "out", "--check")
    check(run.code in (0, 1, 2), f"inspect --check: exit {run.code}: {run.tail()}")
    if run.code != 0:
        return
    try:
        now = results.read_all(folder)
    except Failed as unreadable:
        raise Failed(f"inspect --check calls it whole: {unreadable}") from None
    for part, values in before.items():
        differ = sorted(name for name in values if now[part].get(name) != values[name])
        check(not differ, f"inspect --check calls it whole: {part} {', '.join(differ[:3])} differ")


def check_rebuilt(trial):
    """`inspect --rebuild` exits 0 only where no row of training is lost; scores are made again by --resume."""
    copy = trial.path / "rebuilt"
    shutil.copytree(trial.out, copy)
    run = trial.command("inspect", "rebuilt", "--rebuild")
    check(run.code in (0, 1, 2), f"inspect --rebuild: exit {run.code}: {run.tail()}")
    if run.code == 0:
        was, now = (results.read_all(folder)["metrics.h5"] for folder in
                    (trial.ground.path / trial.story[0].split()[1] / "out", copy))
        differ = sorted(name for name in was if name.startswith("train/") and now.get(name) != was[name])
        check(not differ, f"inspect --rebuild: exit 0, and {', '.join(differ[:3])} differ")
    shutil.rmtree(copy)


def spoil_metrics(trial, which):
    """@return  the way that the last of them was damaged"""
    state = trial.begin_from(trial.random.choice(("half", "done")))
    folder = trial.out / "untrained" if state == "done" and trial.random.random() < 0.3 else trial.out
    before = results.read_all(folder)
    for name in which:
        ways = (flip_column, flip_column, *WAYS) if name == "metrics.h5" else (bad_line, bad_line, *WAYS)
        way = trial.random.choice(ways)
        way(folder / name, trial.random)
        trial.tell(f"{way.__name__} {folder.name}/{name}")
    check_says_whole(trial, folder, before)
    return way


def one_of_two(trial, name):
    """The other has it all. A folder in a file's place is somebody's doing, and theirs to undo."""
    way = spoil_metrics(trial, (name,))
    return through_or_undone(trial, name if way is folder_instead else None)


def tables_file(trial):
    return one_of_two(trial, "metrics.h5")


def journal(trial):
    return one_of_two(trial, "metrics.jsonl")


def both(trial):
    """Both: what neither has is lost, and is said to be; θ and the rest of the run are not touched."""
    spoil_metrics(trial, ("metrics.h5", "metrics.jsonl"))
    check_rebuilt(trial)
    run = trial.start().wait()
    if run.code == 0:
        wrong = trial.ground.reference.differences(results.read(trial.out))
        if not wrong:
            return "same"
        check("checkpoint" not in wrong, wrong)
        lost = [line for line in run.said.splitlines()
                if "rows" in line and ("lost" in line or "has rows of" in line)]
        check(lost, f"exit 0, rows are lost and nobody says so: {wrong}: {run.tail()}")
        trial.tell(lost[0])
        check(trial.start().wait().code == 0, "what is lost is mourned twice")
        return "refused"
    check(run.code in (1, 2) and len(run.messages()) == 1 and "metrics" in run.messages()[0],
          f"exit {run.code}: {run.tail()}")
    trial.tell(run.messages()[0])
    return "refused"


# --- job.cfg ----------------------------------------------------------------------------------

def other_job(path, random):
    path.write_text(path.read_text().replace("seed = 5;", "seed = 77;"))


def words_lost(path, random):
    lines = path.read_text().splitlines()
    del lines[random.randrange(len(lines))]
    path.write_text("\n".join(lines) + "\n")


def job_file(trial):
    """job.cfg: the newest checkpoint has the job too. Where it now is another job's, in good words, that
    may be refused."""
    trial.begin_from(trial.random.choice(("half", "done")))
    way = trial.random.choice((*WAYS, other_job, words_lost, words_lost))
    way(trial.out / "job.cfg", trial.random)
    trial.tell(f"{way.__name__} job.cfg")
    trial.command("inspect", "out")
    return through_or_undone(trial, "this run began with" if way in (flip, other_job, words_lost)
                             else "job.cfg" if way is folder_instead else None)


KINDS = {"damaged checkpoints": checkpoints, "damaged metrics.h5": tables_file,
         "damaged metrics.jsonl": journal, "both metrics files": both, "damaged job.cfg": job_file}
