import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("legacy_monolith", "extracted.payments", "extracted.inventory")
CONTEXTS = (
    *("catalogue", "stock", "accounts", "payments", "orders", "saga_log"),
    *("passwords", "sessions", "progress"),
    *("outbox", "deliveries", "inbox", "sent", "arrivals"),
)
#: Which contexts a context may know: the others it reaches through the doors of these, or not at all.
DOORS: dict[str, set[str]] = {
    "catalogue": {"outbox"},
    "stock": {"outbox"},
    "accounts": set(),
    "payments": {"accounts", "outbox"},
    "in_transaction": {"stock", "payments"},
    "over_http": {"accounts"},
    "orders": {"catalogue", "accounts", "payments", "in_transaction", "outbox"},
    "outbox": set(),
    "deliveries": {"outbox", "sent"},
    "sent": set(),
    "arrivals": set(),
    "inbox": {"stock", "payments"},
    "saga_log": set(),
    "placing": {"accounts", "in_transaction", "over_http", "orders", "saga_log"},
}
OTHER_PACKAGES = {"strangler", "legacy_monolith", "extracted", "demo", "tests"}


def folder(service: str) -> Path:
    return ROOT.joinpath(*service.split("."))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module or ""


def texts(path: Path) -> str:
    nodes = ast.walk(ast.parse(path.read_text()))
    return "\n".join(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


def tables(context: str) -> set[str]:
    return set(
        re.findall(
            r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", texts(folder("legacy_monolith") / f"{context}.py")
        )
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_code_of_ours_but_its_own(service: str) -> None:
    modules = list(folder(service).glob("*.py"))
    assert modules
    for module in modules:
        for name in imports(module):
            ours = name.split(".")[0] in OTHER_PACKAGES
            assert not ours or f"{name}.".startswith(f"{service}."), f"{module} imports {name}"


@pytest.mark.parametrize("context", DOORS)
def test_a_context_knows_no_more_of_the_others_than_it_has_to(context: str) -> None:
    module = folder("legacy_monolith") / f"{context}.py"
    assert contexts_in(module) <= DOORS[context]


def contexts_in(module: Path) -> set[str]:
    """The contexts and adapters that a module imports, or imports from."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "legacy_monolith":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.removeprefix("legacy_monolith."))
    return found & DOORS.keys()


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_touches_no_table_of_another(context: str) -> None:
    own = tables(context)
    assert own
    used = set(
        re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (\w+)", texts(folder("legacy_monolith") / f"{context}.py"))
    )
    others = set().union(*(tables(other) for other in CONTEXTS if other != context))
    assert not used & others


def test_no_other_module_of_the_monolith_touches_a_table() -> None:
    every = set().union(*map(tables, CONTEXTS))
    for module in folder("legacy_monolith").glob("*.py"):
        if module.stem not in CONTEXTS:
            assert not set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (\w+)", texts(module))) & every, module
