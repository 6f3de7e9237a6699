"""docs/tutorial.md as it is written: every command in one shell, in its order, and what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 60.0
PAUSE = 0.2  # between two looks at something that is to come
#: Its ports are fixed, as a reader types them, so the shell has a network of its own, where the machine gives one.
ALONE = ["unshare", "--map-root-user", "--net"]
UP = """
import fcntl, socket, struct
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP and IFF_RUNNING
"""
LOG = re.compile(r"> (\S+\.log) 2>&1 &$")


@dataclass(frozen=True)
class Step:
    """A command, and the lines that it prints among others."""

    command: str
    prints: tuple[str, ...]


def steps() -> list[Step]:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for said in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *prints = said.rstrip("\n").split("\n")
            found.append(Step(command, tuple(prints)))
    return found


def pattern(line: str) -> re.Pattern[str]:
    """What a line may be: numbers and the space between columns differ from run to run; `...` is any rest."""
    parts = re.split(r"(\d[\d ]*(?:\.\d+)?|\s+|\.\.\.)", line.strip())
    made = "".join(
        ".*"
        if part == "..."
        else r"\d[\d ]*(?:\.\d+)?\s*"
        if part[:1].isdigit()
        else r"\s+"
        if part.isspace()
        else re.escape(part)
        for part in parts
        if part
    )
    return re.compile(rf"^\s*{made}\s*$")


def missing(prints: tuple[str, ...], said: str) -> str | None:
    """The first line that was not printed, each looked for behind the one before."""
    lines = iter(said.splitlines())
    for line in prints:
        wanted = pattern(line)
        if not any(wanted.match(each) for each in lines):
            return line
    return None


@pytest.mark.parametrize(
    ("line", "said", "fits"),
    [
        ("1100 rows, all the same", "9 rows, all the same", True),
        ("1100 rows, all the same", "9 rows, 2 differ", False),
        ("2 000 requests, 0 failed", "1 999 requests, 1 failed", True),  # its exit code tells: it is 1
        ("a   b  50%", "a b 5%", True),
        ("a b", "a c", False),
        ('{"order_id": 10901, ...', '{"order_id": 7, "x": 1}', True),
    ],
)
def test_what_counts_as_printed(line: str, said: str, fits: bool) -> None:
    assert (missing((line,), said) is None) is fits


class Shell:
    """The reader's shell; what it is told and what it says are in a file, for whoever looks for a fault."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("STRANGLER_", "SHOP_"))
        }
        self.process = subprocess.Popen(
            [*prefix, "bash"],
            cwd=folder,
            env={
                **environment,
                "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
                "COLUMNS": "120",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.folder = folder

    def type(self, command: str) -> tuple[int, str]:
        """Give a command: its exit code, and what was printed until it ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f'{command}\nended=$?; echo; echo "<the end: $ended>"\n')
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            if ended := re.match(r"<the end: (\d+)>", line):
                return int(ended[1]), said
            said += line
        raise AssertionError(f"the shell ended at {command}:\n{said}")

    def close(self) -> None:
        self.type("kill -9 $(jobs -p) 2>/dev/null; wait 2>/dev/null")
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(WITHIN)
        self.process.stdout.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    # A checkout, as far as the tutorial needs one; it makes a folder of its own in it.
    for each in ("legacy_monolith", "extracted", "shop_events", "demo", "routes.yaml"):
        (tmp_path / each).symlink_to(ROOT / each)
    alone = subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0
    opened = Shell(tmp_path, ALONE if alone else [])
    try:
        if alone:
            assert opened.type(f"{sys.executable} -c '{UP}'") == (0, "\n")
        yield opened
    finally:
        opened.close()


def until_ready(shell: Shell, command: str) -> None:
    """What a reader does without noticing: to wait until a program is there, or a save is in force."""
    if log := LOG.search(command):
        wait_for(shell, f"grep -q 'listening on' {log[1]}")
    if "routes.yaml" in command and not command.startswith(("cp", "strangler")) and "wrong" not in command:
        table = 'grep -o \'"table": "[0-9a-f]*"\''
        wait_for(
            shell,
            f'[ "$(strangler check --json | {table})" = "$(strangler status --json | {table})" ]',
        )
    if command.startswith("kill %"):
        for job in re.findall(r"%(\d)", command):
            wait_for(shell, f"! jobs -r | grep -q '^.{job}.'")


def wait_for(shell: Shell, condition: str) -> None:
    end = time.monotonic() + WITHIN
    while shell.type(condition)[0]:
        assert time.monotonic() < end, f"never: {condition}"
        time.sleep(PAUSE)


@pytest.mark.timeout(400)  # a reader takes fifteen minutes
def test_the_tutorial_as_it_is_written(shell: Shell) -> None:
    walked = steps()
    assert walked[0].command == "make install"  # which is what has made this test run
    assert walked[1].command == ". .venv/bin/activate"
    for step in walked[2:]:
        end = time.monotonic() + WITHIN
        if log := LOG.search(step.command):
            shell.type(f": > {log[1]}")  # what a program of before has said is not taken for its word
        while True:
            code, said = shell.type(step.command)
            line = missing(step.prints, said)
            if line is None:
                break
            # "while events are still to come, ask again"
            again = "reconcile" in step.command or "sagas" in step.command
            if not again or time.monotonic() > end:
                pytest.fail(f"$ {step.command}\n{said}\n  does not print: {line}", pytrace=False)
        wrong = "wrong.yaml" in step.command and step.command.startswith("strangler check")
        assert code == (2 if wrong else 0), f"$ {step.command}\n{said}"
        until_ready(shell, step.command)
    assert not (shell.folder / "tutorial").exists()
