# SPDX-License-Identifier: BSD-3-Clause
"""Write the manual pages: outerloop(1) and one for each command from what --help says, and
outerloop-job(5) from what `outerloop reference` says. Nothing is said here that they say.

usage: pages.py PROGRAM FOLDER DATA    DATA: where jobs and fragments are installed
"""
import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM, FOLDER, DATA = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]), sys.argv[3]
OPTION = re.compile(r" +(?:(-.), )?(--[\w-]+)(?:=(\S+))? {2,}(.*)")

JOB = """A job is a file in the syntax of libconfig: keys with values, and groups of them in braces. A
line @include "FILE" stands for that file, which is looked for beside the file that names it. A key
that is not in the file has its default, which is shown behind it below. On the command line, --set
PATH=VALUE overrides a key for a start; a bare word is a string there, and [a, b] a list. What came
of it stands in job.cfg of the output folder, every key with its origin.

A key that is unknown, or of no use beside the others, is an error that names the nearest known one."""


def said(*arguments):
    """What the program prints, each paragraph one line."""
    env = dict(os.environ, ARGP_HELP_FMT="rmargin=100000", LC_ALL="C.UTF-8",
               ASAN_OPTIONS="detect_leaks=0")
    return subprocess.run([PROGRAM, *arguments], capture_output=True, encoding="utf-8", check=True,
                          env=env, cwd=FOLDER).stdout


# --- roff -------------------------------------------------------------------------------------

def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return re.sub(r"(?m)^(?=[.'])", r"\\&", text)


def bold(text):
    return f"\\fB{escape(text)}\\fR"


def paragraphs(text):
    """Running text; lines that begin with a blank are shown as they are."""
    out = []
    for block in text.strip("\n").split("\n\n"):
        if block.startswith(" "):
            out += [".PP", ".RS 4", ".EX", escape(block.rstrip()), ".EE", ".RE"]
        elif block:
            out += [".PP", escape(block)]
    return out


def item(head, *text):
    return [".TP", head, *(escape(line) for line in text if line)]


def write(name, section, what, body, see):
    version = said("--version").splitlines()[0].split(",")[0]
    title = name.replace("-", "\\-")
    lines = [f'.TH {title} {section} "" "{escape(version)}"', ".ad l", ".SH NAME",
             f"{title} \\- {escape(what)}", *body, ".SH SEE ALSO",
             ", ".join(f"\\%{bold(page)}({number})" for page, number in see)]
    (FOLDER / f"{name}.{section}").write_text("\n".join(lines) + "\n", encoding="ascii")


# --- commands ---------------------------------------------------------------------------------

def synopsis(usages):
    out = [".SH SYNOPSIS"]
    for usage in usages:
        words = re.sub(r"^(Usage:| *or:)", "", usage).split()
        out += [".br"] * (len(out) > 1) + [" ".join(
            bold(word) if i < 3 and word.islower() else f"\\fI{escape(word)}\\fR"
            for i, word in enumerate(words))]
    return out


def page_of(name):
    return "-".join(["outerloop", *name.split()])


def command_page(name, what, see):
    usages, before, options, after = [], [], [], []
    for line in said(*name.split(), "--help").splitlines():
        option = OPTION.fullmatch(line)
        if re.match(r"Usage:| +or:", line) and not before:
            usages.append(line)
        elif option and line.startswith("  "):
            short, long, value, text = option.groups()
            head = ", ".join(bold(flag) for flag in (short, long) if flag)
            options += item(head + (f"=\\fI{escape(value)}\\fR" if value else ""), text)
        else:
            (after if options else before).append(line)
    body = [*synopsis(usages), ".SH DESCRIPTION", *paragraphs("\n".join(before)),
            *paragraphs("\n".join(after)), ".SH OPTIONS", *options]
    write(page_of(name), 1, what, body, see)


def program_page(intro, commands, rest, see):
    usage, _, doc = intro.partition("\n")
    body = [*synopsis([usage]), ".SH DESCRIPTION", *paragraphs(doc), ".SH COMMANDS"]
    for name, what in commands:
        body += item(f"{bold(page_of(name))}(1)", what)
    for block in rest:
        head, *lines = block.splitlines()
        if head.startswith(" "):
            body += [".SH OPTIONS"]
            for line in block.splitlines():
                body += item(*(make(part) for make, part in
                               zip((bold, str), re.split(r" {2,}", line.strip(), maxsplit=1))))
        elif lines and head.startswith("Example"):
            body += [".SH EXAMPLE", *paragraphs(f"{head}\n\n" + "\n".join(lines))]
        else:
            body += [".SH EXIT STATUS", *paragraphs(" ".join(block.split()).removeprefix("Exit: "))]
    body += [".SH FILES", *item(f"\\fI{escape(DATA)}/jobs\\fR", "jobs to run, and to begin one's own from"),
             *item(f"\\fI{escape(DATA)}/slurm/run.sbatch\\fR", "runs a job under SLURM")]
    what = re.split(r"[,.]", doc)[0].strip()
    write("outerloop", 1, what[0].lower() + what[1:], body, see)


# --- the job file -----------------------------------------------------------------------------

def job_page(see):
    header, _, text = said("reference").partition("\n\n")
    body = [".SH DESCRIPTION", *paragraphs(JOB)]
    groups, comment, open_section = [], [], None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("# "):
            comment.append(line[2:])
        elif line.endswith("= {"):
            groups.append(line.split(" ")[0])
        elif line == "};":
            groups.pop()
        elif line:
            key, _, value = line.removesuffix(";").partition(" = ")
            section = groups[0] if groups else None
            if section != open_section or ".SH KEYS" not in body:
                body += [".SH KEYS"] * (".SH KEYS" not in body)
                body += [f".SS {section or 'Of the job'}"]
                open_section = section
            body += item(f"{bold('.'.join([*groups, key]))} = {escape(value)}", comment[0])
            body += [line for more in comment[1:] for line in (".br", escape(more))]
            comment = []
    body += [".SH LEARNERS"]
    for line in header.split(":\n", 1)[1].splitlines():
        name, what = line.lstrip("# ").split(None, 1)
        body += item(bold(name), what)
    write("outerloop-job", 5, "what a job of outerloop is told in", body, see)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    blocks = said("--help").strip("\n").split("\n\n")
    commands = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in blocks[1].splitlines()]
    pages = [("outerloop", 1), *((page_of(name), 1) for name, _ in commands),
             ("outerloop-job", 5)]
    program_page(blocks[0], commands, blocks[2:], pages[1:])
    for name, what in commands:
        command_page(name, what, [p for p in (pages[0], pages[-1], ("outerloop-run", 1))
                                  if p[0] != page_of(name)])
    job_page([("outerloop", 1), ("outerloop-run", 1), ("outerloop-reference", 1)])


main()
