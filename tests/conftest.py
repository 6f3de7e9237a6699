"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.left import left_since, open_sockets


@pytest.fixture(autouse=True)
def _closes_its_sockets() -> Iterator[None]:
    """A test fails that leaves a socket open. Set up first, so torn down after the test's loop has been closed."""
    before = open_sockets()
    yield
    left = left_since(before)
    if left:
        pytest.fail("\n".join(["left open:", *left]), pytrace=False)
