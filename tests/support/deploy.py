"""The dashboard and the rules in deploy/, as the tests look at them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "strangler.json").read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    text = (DEPLOY / "prometheus" / "strangler.rules.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def asked() -> Iterator[tuple[str, str, str]]:
    """Every expression: where it stands, what it is, and the text in which labels of its result are named."""
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"], annotation["titleFormat"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield (
                variable["name"],
                re.sub(r"label_values\((.*), (\w+)\)", r"sum by (\2) (\1)", variable["definition"]),
                "",
            )
    for rule in rules():
        said = " ".join(rule.get("annotations", {}).values()).replace("$labels.", "")
        yield rule.get("alert") or rule["record"], rule["expr"], said


def named(text: str) -> set[str]:
    """Labels that a legend or an annotation names: `{{route}}`, `{{ $labels.route }}`."""
    return set(re.findall(r"{{\s*(\w+)\s*}}", text))
