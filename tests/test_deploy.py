"""What is in deploy/ is whole: every panel has its place, and every alert says what to do."""

from __future__ import annotations

import re
import shlex
from itertools import combinations
from typing import Any

import pytest

from strangler.cli import commands
from tests.support.deploy import DEPLOY, alerts, dashboard

PANELS = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def test_panels_do_not_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        ), f"{one} and {other}"


def test_panels_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_shows_and_asks_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".") or panel["description"].endswith("`")
    assert panel["targets"]
    for each in (panel, *panel["targets"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_waits_has_a_severity_and_says_what_to_type(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+m", alert["for"])
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"]
    typed = re.findall(r"`((?:strangler|df) [^`]+)`", alert["annotations"]["description"])
    assert typed, "it names no command"
    for line in typed:
        words = shlex.split(line.replace("{{ $labels.route }}", "payment-read"))
        if words[0] == "strangler":
            command = commands.commands[words[1]]
            command.make_context(words[1], words[2:], help_option_names=["-h", "--help"]).close()


def test_every_alert_is_documented_and_no_other() -> None:
    text = (DEPLOY.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(Strangler\w+)` \|", text, re.M)
    assert sorted(documented) == sorted(alert["alert"] for alert in alerts())
