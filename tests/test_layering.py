"""Imports point one way. Which way is the table below; an arrow that is not in it fails."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Room -> the rooms of strangler it may import. `cli/serve.py` is a room of its own, since only it may start
#: the processes; `strangler/__init__.py` is everybody's.
ROOMS: dict[str, set[str]] = {
    "strangler": set(),
    "strangler.__main__": {"cli"},
    "strangler.routes": set(),
    "strangler.compare": set(),
    "strangler.http": set(),
    "strangler.exchange": set(),
    "strangler.control": {"routes"},
    "strangler.evidence": {"compare"},
    "strangler.cutover": {"evidence", "compare", "routes"},
    "strangler.console": {"cutover", "evidence", "compare", "routes", "exchange"},
    "strangler.gateway": {"routes", "http", "exchange", "control"},
    "strangler.observer": {
        "routes",
        "http",
        "exchange",
        "compare",
        "evidence",
        "cutover",
        "console",
        "control",
    },
    "strangler.listening": {"routes"},
    "strangler.loading": {"cutover", "http", "routes"},
    "strangler.cli": {"routes", "compare", "http", "exchange", "evidence", "cutover", "console", "loading"},
    "strangler.cli.serve": {"cli", "supervisor"},
    "strangler.cli.replay": {"cli", "routes", "evidence", "cutover", "observer"},
    "strangler.supervisor": {
        *("routes", "http", "exchange", "evidence", "cutover", "console", "control", "loading", "listening"),
    },
    # What carries events is a library, which the shop and its services share; nothing else of each other's.
    "shop_events": set(),
    "legacy_monolith": {"shop_events"},
    "extracted": set(),
    "extracted.payments": {"shop_events"},
    "extracted.inventory": {"shop_events"},
    "demo": set(),
}

#: Rooms with neither socket, clock, log, file, thread nor `await`; time and randomness come in as arguments.
PURE = (
    "strangler/routes/*.py",
    "strangler/compare/*.py",
    "strangler/observer/metrics/*.py",
    *(f"strangler/gateway/{name}.py" for name in ("inbound", "breaker", "instead")),
    *(
        f"strangler/cutover/{name}.py"
        for name in (
            "ramp",
            "past",
            "definition",
            "progress",
            "diagram",
            "layout",
            "drawing",
            "mermaid",
            "question",
        )
    ),
    *(f"strangler/http/{name}.py" for name in ("headers", "trace")),
    *(f"strangler/console/{name}.py" for name in ("curl", "ruling", "detail")),
    *(f"legacy_monolith/{name}.py" for name in ("saga", "replies", "reasons", "backoff", "drafts", "money")),
    *(f"legacy_monolith/{name}.py" for name in ("versions", "events", "searching", "media")),
    *(f"shop_events/{name}.py" for name in ("delivery", "stream")),
    *(f"extracted/inventory/{name}.py" for name in ("projection", "searching", "media")),
    *(
        f"extracted/{service}/{name}.py"
        for service in ("payments", "inventory")
        for name in ("versions", "events")
    ),
    *(
        f"strangler/evidence/{name}.py"
        for name in (
            "observation",
            "tally",
            "bounds",
            "verdict",
            "model",
            "shape",
            "report",
            "changes",
            "views",
            "words",
            "documents",
            "judged",
            "sketch",
            "rates",
            "step",
            "window",
            "lately",
            "pairs",
        )
    ),
)
IMPURE = {
    *("asyncio", "socket", "ssl", "select", "selectors", "http", "urllib.request", "aiohttp", "uvloop"),
    *("logging", "threading", "multiprocessing", "concurrent", "subprocess", "signal"),
    *("time", "random", "secrets", "uuid", "os", "pathlib", "io", "tempfile", "shutil", "sqlite3", "sys"),
}


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever in the file, as (line, dotted name)."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _room(module: str) -> str | None:
    """The room that a module of ours belongs to, the table's or not; None for a module of others."""
    parts = module.split(".")
    if parts[0] == "strangler" and len(parts) > 1 and ".".join(parts[:2]) not in ROOMS:
        place = ROOT.joinpath(*parts[:2])
        return ".".join(parts[:2]) if place.exists() or place.with_suffix(".py").exists() else "strangler"
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len, default=None)


def _files() -> list[Path]:
    folders = ("strangler", "legacy_monolith", "extracted", "shop_events", "demo")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _wrong_arrows(path: Path) -> Iterator[str]:
    own = _room(_name(path))
    if own not in ROOMS:
        yield f"{path.relative_to(ROOT)}: this room is not in the table"
        return
    allowed = {own, *(room if room in ROOMS else f"strangler.{room}" for room in ROOMS[own])}
    if own.startswith("strangler"):
        allowed.add("strangler")
    if own == "strangler.cli":
        allowed |= {"strangler.cli.serve", "strangler.cli.replay"}
    for line, module in _imports(path):
        room = _room(module)
        if room is not None and room not in allowed:
            yield f"{path.relative_to(ROOT)}:{line}: {own} may not import {module}"


def test_every_arrow_is_in_the_table() -> None:
    assert [wrong for path in _files() for wrong in _wrong_arrows(path)] == []


def test_the_table_has_no_circle() -> None:
    done: set[str] = set()
    rooms = {
        name.removeprefix("strangler."): needs
        for name, needs in ROOMS.items()
        if name not in {"strangler.cli.serve", "strangler.cli.replay"}
    }
    while rooms.keys() - done:
        ready = {name for name in rooms.keys() - done if rooms[name] <= done}
        assert ready, f"a circle among {rooms.keys() - done}"
        done |= ready


@pytest.mark.parametrize("pattern", PURE)
def test_pure_modules_touch_nothing(pattern: str) -> None:
    files = sorted(ROOT.glob(pattern))
    assert files, f"{pattern} names no file"
    wrong = []
    for path in files:
        tree = ast.parse(path.read_bytes())
        for line, module in _imports(path):
            if any(module == name or module.startswith(f"{name}.") for name in IMPURE):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: imports {module}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: awaits")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("open", "print")
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: calls {node.func.id}")
    assert wrong == []


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "strangler/routes/x.py",
            "from strangler.compare import fault",
            "routes may not import strangler.compare",
        ),
        (
            "strangler/gateway/x.py",
            "import strangler.evidence.store",
            "may not import strangler.evidence.store",
        ),
        (
            "strangler/gateway/x.py",
            "def f():\n    from ..console import admin",
            "may not import strangler.console",
        ),
        ("strangler/evidence/x.py", "from strangler import cutover", "may not import strangler.cutover"),
        (
            "strangler/cli/x.py",
            "from strangler.supervisor import serve",
            "may not import strangler.supervisor",
        ),
        ("strangler/new/x.py", "", "not in the table"),
        ("demo/x.py", "from strangler import __version__", "demo may not import strangler"),
        ("legacy_monolith/x.py", "import strangler", "may not import strangler"),
        (
            "extracted/payments/x.py",
            "from extracted.inventory import app",
            "may not import extracted.inventory",
        ),
        ("strangler/cli/x.py", "from strangler import __version__\nimport json", None),
    ],
)
def test_an_arrow_turned_round_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, says: str | None
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = "\n".join(_wrong_arrows(path))
    assert says in found if says else found == ""
