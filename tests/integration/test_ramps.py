"""Ramps with all that the state folder knows: real files, real evidence, a clock that is told."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from strangler.cutover import (
    BadValue,
    CannotWrite,
    change,
    ledger,
    note_by_hand,
    read_moves,
    read_table,
    roll_back,
    set_order,
    skip_gate,
)
from strangler.cutover.ramps import Ramps, read_stands
from strangler.cutover.report import report_on
from strangler.evidence import Observation, Releases, Store
from strangler.routes import Faults, Table

TEXT = """\
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes:
  - name: pay
    match: GET /pay/{id}
    extracted: new
    share: 0%
    shadow: 100%
    ramp: {steps: [5%, 50%], hold: 10s, match: 99%, errors: 1%, p99: none}
"""


class World:
    """A folder, its evidence, and the one that moves the ramps."""

    def __init__(self, folder: Path) -> None:
        self.routes = folder / "etc" / "routes.yaml"
        self.routes.parent.mkdir()
        self.routes.write_text(TEXT)
        self.state = folder / "state"
        self.store = Store.open(self.state / "evidence.sqlite3")
        self.now = 1_800_000_000.0
        self.told: dict[str, int] = {}
        self.seen = 0
        self.restart()

    def restart(self) -> None:
        """As when the observer is killed and comes back."""
        self.ramps = Ramps(self.routes, self.state, self.store.mark)

    def traffic(self, pairs: int = 1_200, *, errors: int = 0, release: str = "v1") -> None:
        """Exchanges that were compared, and what a gateway counted meanwhile."""
        for number in range(pairs):
            self.seen += 1
            self.store.record(
                Observation(
                    route="pay",
                    method="GET",
                    target="",
                    at=self.now,
                    releases=Releases("shop", release),
                    outcome="match",
                    worker="w",
                    statuses=(200, 200),
                    caller=number % 50 + 1,
                    request=number % 50 + 1,
                    shadow="shadow_extracted_ok",
                )
            )
        for name, count in (("legacy_2xx", pairs), ("fallback", errors), ("extracted_2xx", pairs // 2)):
            self.told[f"traffic:{name}"] = self.told.get(f"traffic:{name}", 0) + count
        self.store.fold("w", {"pay": {"handed": self.seen, **self.told}})
        assert self.store.flush()

    def look(self, after: float = 1.0) -> str:
        """One look, later; the share of the file, or what holds in its place."""
        self.now += after
        self.ramps.look(read_table(self.routes, self.state)[0], self.now)
        self.store.flush()
        return self.share

    @property
    def share(self) -> str:
        route = read_table(self.routes, self.state)[0].routes[0]
        return f"{route.share / 1000:g}%"

    @property
    def waits(self) -> str:
        table = read_table(self.routes, self.state)[0]
        return str(report_on(table, self.state)["routes"][0]["ramp"]["waits"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.store.close()


def climbed(world: World, share: str) -> None:
    world.look()
    for _ in range(4):
        world.traffic()
        if world.look(11) == share:
            return
    raise AssertionError(world.waits)


def test_the_edit_of_the_file_is_the_move(world: World) -> None:
    climbed(world, "5%")
    assert world.routes.read_text() == TEXT.replace("share: 0%", "share: 5%")
    [entry] = ledger.read(world.state).entries
    assert (entry.who, entry.from_, entry.to) == ("ramp", "0%", "5%")
    assert entry.evidence.startswith("pass: the step was held for 10 s; match rate is at least 99.")
    climbed(world, "50%")
    assert world.waits == "the ramp is finished"


def test_the_state_survives_a_restart(world: World) -> None:
    climbed(world, "5%")
    world.traffic()
    before = read_stands(world.state)
    world.restart()
    assert world.look(5) == "5%", "the hold goes on where it was"
    assert read_stands(world.state) == before
    assert world.look(6) == "50%"
    world.traffic(1_200, errors=100)
    assert world.look() == "0%"
    world.restart()
    for _ in range(3):
        world.traffic()
        assert world.look(20) == "0%"
    assert "held (errors: " in world.waits


@pytest.mark.parametrize("data", [None, b"", b"{", b'{"pay": 1}', b"\xff" * 100])
def test_a_lost_state_does_not_set_free_what_was_held(world: World, data: bytes | None) -> None:
    climbed(world, "5%")
    world.traffic(1_200, errors=100)
    assert world.look() == "0%"
    if data is None:
        (world.state / "ramps.json").unlink()
    else:
        (world.state / "ramps.json").write_bytes(data)
    world.restart()
    for _ in range(3):
        world.traffic()
        assert world.look(20) == "0%"
    assert "held (" in world.waits
    set_order(world.routes, world.state, "pay", paused=False, who="me", why="mended")
    # An order is given at the time of the machine's clock, so that is where this story goes on.
    orders = json.loads((world.state / "orders.json").read_text())
    orders["pay"]["at"] = world.now + 1
    (world.state / "orders.json").write_text(json.dumps(orders))
    world.look(2)
    climbed(world, "5%")


def test_a_rollback_by_command_is_not_undone(world: World) -> None:
    climbed(world, "5%")
    roll_back(world.routes, world.state, "pay", None, who="me", why="wait")
    for _ in range(3):
        world.traffic()
        assert world.look(20) == "0%"
    assert "the share was lowered by hand" in world.waits


def test_a_move_that_the_file_cannot_be_told_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    climbed(world, "5%")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("strangler.cutover.file._write", refused)
    world.traffic(1_200, errors=100)
    assert world.look() == "0%"
    assert "share: 5%" in world.routes.read_text()
    kept = read_moves(world.state)["pay"]
    assert (kept.share, kept.file, kept.who) == ("0%", "5%", "ramp (rollback)")
    assert "Read-only file system" in kept.problem
    world.restart()
    assert world.look(5) == "0%"
    monkeypatch.undo()
    change(world.routes, world.state, "pay", "share", "5%", "me", "well again")
    assert (world.look(), read_moves(world.state)) == ("5%", {})


def spoil(routes: Path, how: str) -> None:
    """What becomes of the file: a fault, nothing at all, or not even the folder that it was in."""
    if how == "faulty":
        routes.write_text(routes.read_text() + "nonsense: [\n")
    elif how == "gone":
        routes.unlink()
    else:
        routes.parent.rename(routes.parent.with_name("away"))


@pytest.mark.parametrize("how", ["faulty", "gone", "gone with its folder"])
@pytest.mark.parametrize("who", ["a ramp", "a person"])
def test_no_file_is_needed_for_a_rollback(world: World, who: str, how: str) -> None:
    note_by_hand(world.routes, world.state)
    climbed(world, "5%")
    running, text = read_table(world.routes, world.state)[0], world.routes.read_text()
    world.traffic(1_200, errors=100)
    spoil(world.routes, how)
    if who == "a ramp":
        world.ramps.look(running, world.now + 1)
    else:
        assert roll_back(world.routes, world.state, "pay", None, who="me", why="") is not None
        assert roll_back(world.routes, world.state, "pay", None, who="me", why="") is None
        with pytest.raises(BadValue, match="a rollback only lowers"):
            roll_back(world.routes, world.state, "pay", "3%", who="me", why="")
        with pytest.raises(Faults):
            roll_back(world.routes, world.state, "unknown", None, who="me", why="")
    kept = read_moves(world.state)["pay"]
    assert (kept.share, kept.file) == ("0%", "5%")
    assert "error: " in kept.problem
    world.routes.parent.mkdir(exist_ok=True)
    world.routes.write_text(text)
    assert world.share == "0%", "mended, the file says what it said"
    history = ledger.read(world.state)
    assert (history.entries[-1].from_, history.entries[-1].to) == ("5%", "0%")
    assert history.broken == ()


def test_the_running_table_may_be_a_moment_behind(world: World) -> None:
    before = read_table(world.routes, world.state)[0]
    world.look()
    world.traffic()
    world.ramps.look(before, world.now + 11)
    assert world.share == "5%"
    world.ramps.look(before, world.now + 12)  # the reload is not through yet
    assert read_stands(world.state)["pay"].held is None, "our own move is not somebody's hand"
    assert world.look(13) == "5%"
    assert read_stands(world.state)["pay"].held is None


def test_a_hand_right_after_a_move_is_seen_at_once(world: World) -> None:
    climbed(world, "5%")
    change(world.routes, world.state, "pay", "share", "4%", "me", "")
    world.look(0.5)
    held = read_stands(world.state)["pay"].held
    assert held is not None
    assert held.by == "hand"
    world.traffic(1_200, errors=100)
    assert world.look(0.5) == "0%", "and what goes wrong then is, too"


def test_a_step_does_not_undo_what_somebody_has_just_done(world: World) -> None:
    """The running table is from before the rollback: to the ramp that reads it, the step would be due."""
    climbed(world, "5%")
    running = read_table(world.routes, world.state)[0]
    world.traffic()
    roll_back(world.routes, world.state, "pay", None, who="me", why="wait")
    world.ramps.look(running, world.now + 11)
    assert world.share == "0%"
    assert [entry.who for entry in ledger.read(world.state).entries] == ["ramp", "me"]
    world.traffic()
    assert world.look(12) == "0%"
    assert "the share was lowered by hand" in world.waits


def test_a_rollback_raises_no_share_that_somebody_has_just_lowered(world: World) -> None:
    world.routes.write_text(TEXT.replace("errors: 1%", "errors: 1%, back: step"))
    climbed(world, "50%")
    running = read_table(world.routes, world.state)[0]
    world.traffic(1_200, errors=100)
    change(world.routes, world.state, "pay", "share", "1%", "me", "")
    world.ramps.look(running, world.now + 1)
    assert world.share == "1%", "and not 5 %, the last good step"


def test_nobody_skips_a_rollback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ramp falls back between the moment that somebody looks and the moment that the step is taken."""
    climbed(world, "5%")

    def looked_before(path: Path, state: Path | None = None) -> tuple[Table, bytes]:
        table = read_table(path, state)
        change(world.routes, world.state, "pay", "share", "0%", "ramp (rollback)", "errors")
        return table

    monkeypatch.setattr("strangler.cutover.orders.read_table", looked_before)
    with pytest.raises(CannotWrite, match="has just left 5%"):
        skip_gate(world.routes, world.state, "pay", who="me", why="")
    change(world.routes, world.state, "pay", "share", "5%", "me", "")
    monkeypatch.setattr("strangler.cutover.back.read_table", looked_before)
    assert roll_back(world.routes, world.state, "pay", "3%", who="me", why="") is None
    assert world.share == "0%"


def test_the_ledger_of_a_ramp_and_of_hands_holds(world: World) -> None:
    note_by_hand(world.routes, world.state)
    climbed(world, "5%")
    world.routes.write_text(world.routes.read_text().replace("share: 5%", "share: 7%"))
    note_by_hand(world.routes, world.state)
    climbed(world, "50%")
    history = ledger.read(world.state)
    assert [(e.who, e.from_, e.to) for e in history.entries if e.key == "share"] == [
        ("ramp", "0%", "5%"),
        ("by hand: routes.yaml", "5%", "7%"),
        ("ramp", "7%", "50%"),
    ]
    assert (history.broken, history.outside, history.torn) == ((), (), ())


def test_a_route_without_a_ramp_is_left_alone(world: World) -> None:
    climbed(world, "5%")
    world.routes.write_text(
        "\n".join(line for line in world.routes.read_text().split("\n") if "ramp" not in line)
    )
    world.traffic(1_200, errors=300)
    assert world.look(100) == "5%"
    assert read_stands(world.state) == {}
