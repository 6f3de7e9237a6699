"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.left import left_since, open_sockets

#: Each of these has a shop, a proxy with an observer that stands back behind everything else, and traffic: two at once
#: starve each other on two cores. So they come one after the other, beside the rest.
HEAVY = {
    *("test_console_browser.py", "test_cutover_shop.py", "test_demo.py", "test_tutorial.py"),
    *("test_lately.py", "test_ramp.py", "test_shop_under_faults.py"),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file stay together, for some share what they have started; those that are heavy all do."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where there are several at work

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return "heavy" if path.rsplit("/", 1)[-1] in HEAVY else path

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _closes_its_sockets() -> Iterator[None]:
    """A test fails that leaves a socket open. Set up first, so torn down after the test's loop has been closed."""
    before = open_sockets()
    yield
    left = left_since(before)
    if left:
        pytest.fail("\n".join(["left open:", *left]), pytrace=False)
