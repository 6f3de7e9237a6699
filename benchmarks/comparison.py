"""docs/comparison.md: `python -m benchmarks.comparison --write-docs` measures and writes it.

The answers are the shop's own, mutated in known ways at known rates (`mistakes`), judged by strangler and by a plain
deepdiff (`judgement`).
"""

from __future__ import annotations

import io
import sys

import click

from benchmarks.judgement import Judged, Speed, judge, speed
from benchmarks.machine import ROOT, describe
from benchmarks.mistakes import MUTATIONS, TRUTH, answers, shop
from strangler.evidence.verdict import number

DOCS = ROOT / "docs" / "comparison.md"
PAIRS = 10_000


def page(judged: list[Judged], measured: Speed, pairs: int) -> str:
    """docs/comparison.md."""
    out = io.StringIO()
    kinds = sorted({each.kind for each in MUTATIONS})
    print("# How well differences are told from noise\n", file=out)
    print("*Written by `python -m benchmarks.comparison --write-docs`; do not edit by hand.*\n", file=out)
    print(_preface(pairs), file=out)
    names = [each.name for each in judged]
    print("| kind | " + " | ".join(f"{name}: recall | precision" for name in names) + " |", file=out)
    print("|---" * (1 + 2 * len(names)) + "|", file=out)
    for kind in kinds:
        cells = [f"{each.recall(kind):.2f} | {_shown(each.precision(kind))}" for each in judged]
        print(f"| {kind} | " + " | ".join(cells) + " |", file=out)
    print("| false fingerprints | " + " | ".join(f"{len(each.false)} | " for each in judged) + " |", file=out)
    for each in judged:
        if each.false:
            shown = ", ".join(f"`{key[3]} {key[2]}`" for key in sorted(each.false)[:8])
            print(
                f"\n{each.name} tells of what is no mistake: {shown}{' and more' if len(each.false) > 8 else ''}.",
                file=out,
            )
    print("\n## Speed\n", file=out)
    print(f"CPU time for one pair of {measured.size} bytes with one difference, on {_machine()}.\n", file=out)
    print("| what | µs for a pair | of parsing | pairs/s on a core |\n|---|---|---|---|", file=out)
    for name, cost in (
        ("`json.loads` of both", measured.parse),
        ("strangler, parsing included", measured.ours),
        ("deepdiff, parsing included", measured.deepdiff),
        ("strangler, two of the same bytes", measured.same_ours),
        ("deepdiff, two of the same bytes", measured.same_deepdiff),
    ):
        pairs_a_second = number(round(1e6 / cost))
        print(f"| {name} | {cost:.1f} | {cost / measured.parse:.1f} | {pairs_a_second} |", file=out)
    print("\nThe pairs above, each of which differs in five places at least:\n", file=out)
    print("| what | µs for a pair | of strangler |\n|---|---|---|", file=out)
    for each in judged:
        print(f"| {each.name} | {each.cost:.0f} | {each.cost / judged[0].cost:.0f} |", file=out)
    print("\n| target | measured | |\n|---|---|---|", file=out)
    for name, value, met in targets(judged, measured):
        print(f"| {name} | {value} | {'met' if met else '**missed**'} |", file=out)
    return out.getvalue()


def _preface(pairs: int) -> str:
    return f"""\
{number(pairs)} pairs of the shop's own answers, with {len(MUTATIONS)} mistakes of the extracted side in 0.2 % to 2 %
of the pairs of their kind of answer, among timestamps, UUIDs, tokens, a counter, a list in random order and a replica
that lags in 1 %. strangler asks one side twice for 5 % of the pairs, asks again about mismatches, and has one rule:
`unordered: [$.tags]`. deepdiff gets the same pairs, parsed. A fingerprint is found when it is told as a mismatch at
its path and of its kind; it is false when there is no such mistake. One of the mistakes is in a field that is noise: a
timestamp an hour off.
"""


def targets(judged: list[Judged], measured: Speed) -> list[tuple[str, str, bool]]:
    ours = judged[0]
    return [
        ("recall, of all kinds", f"{len(ours.found) / len(TRUTH):.2f}", ours.found == TRUTH),
        ("false fingerprints", str(len(ours.false)), not ours.false),
        (
            "cost, at most 3 × parsing both",
            f"{measured.ours / measured.parse:.2f}",
            measured.ours <= 3 * measured.parse,
        ),
        ("at least 20 000 pairs/s", number(round(1e6 / measured.ours)), measured.ours <= 50),
        _times("the same bytes", measured.same_deepdiff / measured.same_ours),
        _times("one difference", measured.deepdiff / measured.ours),
        *(_times(f"the pairs above ({each.name})", each.cost / ours.cost) for each in judged[1:]),
    ]


def _times(pairs: str, measured: float) -> tuple[str, str, bool]:
    return f"at least 100 × deepdiff, on {pairs}", f"{measured:.0f}", measured >= 100


def _machine() -> str:
    found = describe()
    return f"{found['cores']} cores of {found['processor']}, Python {found['python']}"


def _shown(share: float | None) -> str:
    return "–" if share is None else f"{share:.2f}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", type=click.IntRange(100, 1_000_000), default=PAIRS, show_default=True)
@click.option("--write-docs", is_flag=True, help="Write docs/comparison.md.")
def main(pairs: int, write_docs: bool) -> None:
    """Judge known mistakes among noise, with strangler and with deepdiff. Exit code 1 when a target is missed."""
    with shop() as address:
        documents = answers(address)
    judged = judge(documents, pairs)
    measured = speed(documents)
    text = page(judged, measured, pairs)
    if write_docs:
        DOCS.write_text(text, "utf-8")
    print(text)
    sys.exit(0 if all(met for _, _, met in targets(judged, measured)) else 1)


if __name__ == "__main__":
    main()
