"""The story: a shop is taken apart, on evidence, while its customers go on shopping."""

from __future__ import annotations

from typing import Final

from demo import moving, watching
from demo.play import Play

#: By name, in their order. Each raises Disproved or Trouble when it does not go as told.
CHAPTERS: Final = {
    "observe": watching.observe,
    "shadow": watching.shadow,
    "find": watching.find,
    "fix": watching.fix,
    "compare": watching.compare,
    "ramp": moving.ramp,
    "crash": moving.crash,
    "roll-back": moving.roll_back,
    "finish": moving.finish,
}


async def tell(play: Play, until: str) -> None:
    """The chapters, one after the other, up to the one of this name."""
    for name, chapter in CHAPTERS.items():
        await chapter(play)
        if name == until:
            break
