"""The documents are complete: what the program offers stands in them, or a test fails."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any

import click
import pytest

import strangler.routes
from strangler.cli import commands
from strangler.console import make_app
from strangler.observer.metrics import NAMES
from strangler.routes.reader import Shape

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def _read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _section(name: str) -> str:
    """What docs/commands.md says of one command."""
    found = re.search(rf"^## `strangler {name}\b.*?(?=^## |^# |\Z)", _read("commands.md"), re.S | re.M)
    assert found, f"docs/commands.md has no section on `strangler {name}`"
    return found[0]


OPTIONS = [
    (name, parameter)
    for name, command in commands.commands.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
]


@pytest.mark.parametrize(
    ("name", "option"), OPTIONS, ids=lambda each: each if isinstance(each, str) else each.name
)
def test_every_option_is_documented(name: str, option: click.Option) -> None:
    shared = option.opts[0] in ("--routes", "--state")
    text = _read("commands.md").split("## `strangler")[0] if shared else _section(name)
    for spelling in option.opts:
        assert re.search(rf"`{re.escape(spelling)}[ `]", text), (
            f"{name} {spelling} is not in docs/commands.md"
        )


@pytest.mark.parametrize("name", commands.commands)
def test_every_command_is_documented_with_arguments_and_an_example(name: str) -> None:
    section = _section(name)
    for parameter in commands.commands[name].params:
        if isinstance(parameter, click.Argument):
            shown = parameter.metavar or (parameter.name or "").upper()
            assert shown in section.splitlines()[0]
    assert f"$ strangler {name}" in section


def test_no_command_is_documented_that_is_not_there() -> None:
    documented = re.findall(r"^## `strangler (\w+)", _read("commands.md"), re.M)
    assert sorted(documented) == sorted(commands.commands)


def _examples() -> list[str]:
    lines = [line for page in sorted(DOCS.glob("*.md")) for line in page.read_text().splitlines()]
    said = [line.removeprefix("$ ") for line in lines if line.startswith("$ strangler ")]
    parts = [part.strip() for line in said for part in re.split(r"&&|\|\||\||;|\s>", line)]
    return [part for part in parts if part.startswith("strangler ")]


@pytest.mark.parametrize("line", _examples())
def test_every_example_is_one_that_the_program_takes(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "strangler"
    command = commands.commands[words[1]]
    if {"-h", "--help"}.isdisjoint(words):
        command.make_context(words[1], words[2:], help_option_names=["-h", "--help"]).close()


def test_every_exit_code_is_documented() -> None:
    assert set(re.findall(r"^\| (\d+) \|", _read("commands.md"), re.M)) == {"0", "1", "2", "3", "130", "141"}


def _endpoints() -> list[str]:
    panel: Any = SimpleNamespace(token=None)  # nothing else of it is asked here
    resources = make_app(panel).router.resources()
    routes = [(route.method, resource.canonical) for resource in resources for route in resource]
    return [f"{method} {path}" for method, path in routes if method != "HEAD"]


def test_every_endpoint_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `((?:GET|PATCH|POST|PUT|DELETE) [^`]+)` \|", _read("commands.md"), re.M)
    assert sorted(documented) == sorted(_endpoints())


def _keys() -> list[str]:
    modules = [
        import_module(f"strangler.routes.{each.name}") for each in iter_modules(strangler.routes.__path__)
    ]
    shapes = [each for module in modules for each in vars(module).values() if isinstance(each, Shape)]
    assert len(shapes) >= 5
    return sorted({key for shape in shapes for key in shape.known})


@pytest.mark.parametrize("key", _keys())
def test_every_key_of_routes_yaml_is_documented(key: str) -> None:
    assert re.search(rf"`(?:[a-z_.]+\.)?{key}[`:]", _read("routes.md")), f"`{key}` is not in docs/routes.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}`" in _read("operations.md")


def _environment() -> list[str]:
    """Every name that the program looks up in its environment."""
    names = set()
    for path in (ROOT / "strangler").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.update(re.findall(r"\bSTRANGLER_[A-Z_]+\b", node.value))
    return sorted(names)


@pytest.mark.parametrize("name", _environment())
def test_every_environment_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in _read("operations.md")
    assert f"`{name}`" in _read("commands.md")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


REFUSALS = sorted(
    {
        int(status)
        for path in (ROOT / "strangler" / "gateway").glob("*.py")
        for status in re.findall(r"(?:Refused|problem)\((?:\s*)(\d{3})", path.read_text(encoding="utf-8"))
    }
    - {500}  # a fault of ours is nobody's to expect
)


@pytest.mark.parametrize("status", REFUSALS)
def test_every_refusal_is_documented(status: int) -> None:
    assert re.search(rf"^\|[^|]*\b{status}\b", _read("http.md"), re.M), (
        f"docs/http.md does not say when {status}"
    )
