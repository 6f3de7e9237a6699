"""`strangler diagram`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from strangler.cutover.moves import Kept, write_moves
from tests.support.cli import Cli


def test_mermaid_goes_to_standard_output(cli: Cli) -> None:
    ran = cli("diagram")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "flowchart LR"
    assert '    r1 -->|"25%"| u1' in lines
    assert '    r1 -->|"75%"| legacy' in lines
    assert '    r2 -.->|"copy"| legacy' in lines
    assert lines[-1].startswith("    linkStyle ")


def test_a_drawing_is_written_whole_or_not_at_all(cli: Cli, folder: Path) -> None:
    ran = cli("diagram", "--format", "svg", "--out", "migration.svg")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert ElementTree.parse(folder / "migration.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert (folder / "migration.svg").read_text() == cli("diagram", "--format", "svg").out
    assert not list(folder.glob(".migration*"))
    ran = cli("diagram", "--out", "gone/migration.mmd")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert not (folder / "gone").exists()


def test_another_format_is_exit_2(cli: Cli) -> None:
    ran = cli("diagram", "--format", "png")
    assert ran.code == 2
    assert "'mermaid', 'svg'" in ran.err


def test_the_picture_as_json(cli: Cli) -> None:
    drawn = json.loads(cli("diagram", "--json").out)
    assert (drawn["legacy"], drawn["routes"]) == ("monolith", 3)
    assert drawn["stages"] == {"shadow": 1, "cutover": 1, "extracted": 1}
    assert drawn["rows"][0] == {
        "name": "read",
        "claims": "GET /payments/{id}",
        "stage": "cutover",
        "extracted": "payments",
        "routes": 1,
        "share": 25.0,
        "shadow": 100.0,
        "file_share": None,
        "links": [
            {"kind": "answer", "side": "extracted", "percent": 25.0},
            {"kind": "answer", "side": "legacy", "percent": 75.0},
            {"kind": "copy", "side": "extracted", "percent": 100.0},
            {"kind": "copy", "side": "legacy", "percent": 100.0},
        ],
    }


def test_a_share_that_is_kept_is_drawn_beside_the_files(cli: Cli, folder: Path) -> None:
    (folder / ".strangler").mkdir()
    kept = Kept(share="0%", file="25%", at="2026-11-24T10:00:00.000Z", who="ramp", problem="read-only")
    write_moves(folder / ".strangler", {"read": kept})
    assert "<br/>0% (routes.yaml: 25%), shadow 100%" in cli("diagram").out
    assert json.loads(cli("diagram", "--json").out)["rows"][0]["file_share"] == 25.0
