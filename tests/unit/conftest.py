"""What tests of commands share: a folder with a routes.yaml in it, and commands given there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strangler.cli import run
from tests.support.cli import TEXT, Ran


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a routes.yaml."""
    (tmp_path / "routes.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Gives one command line, and what came of it."""

    def ran(*arguments: str) -> Ran:
        code = run(arguments)
        return Ran(code, *capsys.readouterr())

    return ran
