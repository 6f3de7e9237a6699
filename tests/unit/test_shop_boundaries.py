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
    "inbox",
)
#: Which contexts a context may know: the others it reaches through the doors of these, or not at all.
DOORS: dict[str, set[str]] = {
    "catalogue": set(),
    "stock": set(),
    "accounts": set(),
    "payments": {"accounts"},
    "in_transaction": {"stock", "payments"},
    "over_http": {"accounts"},
    "orders": {"catalogue", "accounts", "payments", "in_transaction"},
    "inbox": {"stock", "payments"},
    "saga_log": set(),
    "placing": {"accounts", "in_transaction", "over_http", "orders", "saga_log"},
}
#: The read model of inventory, and the modules that may know it: none of them decides anything about the business.
READ_MODEL = {
    "catalogue": {"database", "projecting", "browsing"},
    "projecting": {"projector", "catalogue_command", "metrics"},
}
#: The one module of inventory that may ask these tables; the schema brings a database of before up to date.
KEEPERS = {"catalogue": set(), "history": {"database"}}
OTHER_PACKAGES = {"strangler", "legacy_monolith", "extracted", "demo", "tests"}
#: What carries events is a library of theirs; it knows none of them, and they leave its tables to it.
LIBRARY = "shop_events"


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


def tables(context: str, service: str = "legacy_monolith") -> set[str]:
    text = texts(folder(service) / f"{context}.py")
    return set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(?:main\.|\{place\}\.)?(\w+)", text))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_code_of_ours_but_its_own(service: str) -> None:
    modules = list(folder(service).glob("*.py"))
    assert modules
    for module in modules:
        for name in imports(module):
            ours = name.split(".")[0] in OTHER_PACKAGES
            assert not ours or f"{name}.".startswith(f"{service}."), f"{module} imports {name}"


def test_the_library_imports_no_code_of_ours_but_its_own() -> None:
    for module in folder(LIBRARY).glob("*.py"):
        ours = {name.split(".")[0] for name in imports(module)} & {*OTHER_PACKAGES, LIBRARY}
        assert ours <= {LIBRARY}, f"{module} imports {ours}"


def test_the_tables_of_the_library_are_left_to_it() -> None:
    own = {table for module in folder(LIBRARY).glob("*.py") for table in tables(module.stem, LIBRARY)}
    assert {"outbox", "subscriptions", "deliveries", "dead_events", "sent", "dead_arrivals"} <= own
    for service in SERVICES:
        for module in folder(service).glob("*.py"):
            used = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (\w+)", texts(module)))
            assert not used & own, module


@pytest.mark.parametrize("context", DOORS)
def test_a_context_knows_no_more_of_the_others_than_it_has_to(context: str) -> None:
    module = folder("legacy_monolith") / f"{context}.py"
    assert contexts_in(module) <= DOORS[context]


def contexts_in(module: Path) -> set[str]:
    """The contexts and adapters that a module imports, or imports from."""
    return imported_from("legacy_monolith", module) & DOORS.keys()


def imported_from(package: str, path: Path) -> set[str]:
    """The modules of a package that a module imports, or imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.removeprefix(f"{package}."))
        elif isinstance(node, ast.Import):
            found |= {name.name.removeprefix(f"{package}.") for name in node.names}
    return found


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


@pytest.mark.parametrize("module", READ_MODEL)
def test_no_rule_of_the_business_knows_the_read_model(module: str) -> None:
    modules = folder("extracted.inventory").glob("*.py")
    knowing = {path.stem for path in modules if module in imported_from("extracted.inventory", path)}
    assert knowing == READ_MODEL[module]


@pytest.mark.parametrize("keeper", KEEPERS)
def test_no_other_module_of_inventory_asks_the_tables_of_the_read_model_or_its_history(keeper: str) -> None:
    own = tables(keeper, "extracted.inventory")
    assert len(own) == 3
    for path in folder("extracted.inventory").glob("*.py"):
        if path.stem not in {keeper, *KEEPERS[keeper]}:
            used = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (?:main\.|temp\.)?(\w+)", texts(path)))
            assert not used & own, path
