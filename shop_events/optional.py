"""What is installed only where it is wanted."""

from importlib.util import find_spec

from shop_events.program import WrongUse


def check_redis() -> None:
    """Raises WrongUse when the library that speaks to Redis is not there."""
    if find_spec("redis") is None:
        raise WrongUse("a stream in Redis needs the package redis: pip install 'strangler[redis]'")
