"""docs/shop.md says what the code says."""

import argparse
import re
from typing import get_args

import pytest
import yaml

from extracted.inventory import metrics as inventory_metrics
from legacy_monolith import faults, settings, versions
from legacy_monolith.saga import RULES, WAITING, Step
from shop_events import metrics, relay_command
from tests.support.shop_services import ROOT

PAGE = (ROOT / "docs" / "shop.md").read_text()


def options() -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    settings.add_options(parser, {})
    return parser._actions


@pytest.mark.parametrize("option", options(), ids=lambda each: each.dest)
def test_every_setting_is_documented_with_its_variable_and_default(option: argparse.Action) -> None:
    default = re.sub(r"\.0$", "", option.default)
    row = rf"^\| `{option.option_strings[0]}` \| `SHOP_{option.dest.upper()}` \| `{re.escape(default)}` \|"
    assert re.search(row, PAGE, re.M), row


def test_the_machine_of_the_saga_is_documented() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| (\w+) \| ([a-z-]+) \| ([a-z-]+) \| ([a-z-]+) \|$", PAGE, re.M)
    assert [row for row in rows if row[0] in RULES] == [
        (state, rule.step, rule.done, rule.refused, rule.failed) for state, rule in RULES.items()
    ]
    assert set(WAITING) <= set(re.findall(r"`([a-z-]+)`", PAGE))


@pytest.mark.parametrize("step", get_args(Step))
def test_every_step_is_documented(step: str) -> None:
    assert re.search(rf"^\| {step} \| (payments|inventory) \| `POST /", PAGE, re.M)


def test_the_variable_for_tests_is_documented() -> None:
    assert f"`{faults.VARIABLE}=charge:after-call`" in PAGE


EVENTS = (ROOT / "docs" / "shop-events.md").read_text()


@pytest.mark.parametrize("name", versions.NEWEST)
def test_every_event_is_documented_with_its_newest_version(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| {versions.NEWEST[name]} \|", EVENTS, re.M)


@pytest.mark.parametrize("name", inventory_metrics.METRICS)
def test_every_metric_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", EVENTS, re.M)


def relay_options() -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    relay_command.add_options(parser)
    return parser._actions


@pytest.mark.parametrize("option", relay_options(), ids=lambda each: each.dest)
def test_every_option_of_the_relay_is_documented_with_its_default(option: argparse.Action) -> None:
    assert re.search(rf"^\| `{option.option_strings[0]}` \| `{option.default}` \|", EVENTS, re.M)


@pytest.mark.parametrize("option", ["--from", "--group", "--consumer"])
def test_every_option_of_consuming_is_documented(option: str) -> None:
    assert re.search(rf"^\| `{option}` \|", EVENTS, re.M)


def test_the_alerts_speak_of_metrics_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "shop.rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert {alert["alert"] for alert in alerts} == {
        *("ShopEventsLate", "ShopEventsDeadLetters", "ShopCatalogueLate", "ShopCatalogueIncomplete")
    }
    assert {re.match(r"\w+", alert["expr"])[0] for alert in alerts} <= set(inventory_metrics.METRICS)


def test_inventory_has_every_metric_of_the_monolith() -> None:
    assert metrics.METRICS.items() <= inventory_metrics.METRICS.items()
