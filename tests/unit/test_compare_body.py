import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from strangler.compare import Answered, Difference, Incomparable, Redactor, compare, compile_rules

JSON = (("Content-Type", "application/json"),)
CASES = json.loads((Path(__file__).parent.parent / "cases/compare/bodies.json").read_text("utf-8"))
NOTHING_IGNORED = compile_rules([])
REDACTOR = Redactor(b"key", NOTHING_IGNORED)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text("abé'\\\n", max_size=2)
)
names = st.sampled_from(["a", "b", "id", "odd name", "ü", "", "it's", "\x1b[2J"])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects_only = st.recursive(scalars, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12)


def answered(value: Any, **how: Any) -> Answered:
    return Answered(200, JSON, json.dumps(value, **how).encode())


def differences(legacy: Any, extracted: Any, ignore: list[str] | None = None) -> tuple[Difference, ...]:
    # Spelled differently, so that equal bytes do not spare the walk.
    return compare(
        answered(legacy), answered(extracted, indent=1), compile_rules(ignore or []), REDACTOR
    ).differences


def places(found: tuple[Difference, ...]) -> Counter[tuple[str, str, str, str]]:
    return Counter((one.path, one.kind, one.legacy, one.extracted) for one in found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_bodies(case: dict[str, Any]) -> None:
    found = differences(case["legacy"], case["extracted"], case["ignore"])
    assert [[d.path, d.kind, d.legacy, d.extracted] for d in found] == case["differences"]


@settings(deadline=None)
@given(documents)
def test_a_document_equals_itself_however_it_is_spelled(document: Any) -> None:
    assert (
        compare(
            answered(document, sort_keys=True), answered(document, indent=2), NOTHING_IGNORED, REDACTOR
        ).differences
        == ()
    )


@settings(deadline=None)
@given(documents, documents)
def test_swapping_the_sides_swaps_missing_and_added(one: Any, other: Any) -> None:
    swapped = {"missing": "added", "added": "missing"}
    there, back = places(differences(one, other)), places(differences(other, one))
    assert there == Counter({(p, swapped.get(k, k), e, le): n for (p, k, le, e), n in back.items()})


@settings(deadline=None)
@given(documents, documents)
def test_each_kind_of_difference_comes_once(one: Any, other: Any) -> None:
    assert set(places(differences(one, other)).values()) <= {1}


@settings(deadline=None)
@given(objects_only, objects_only, st.data())
def test_ignoring_a_path_hides_exactly_what_is_at_it(one: Any, other: Any, data: st.DataObject) -> None:
    found = differences(one, other)
    assume(found)
    path = data.draw(st.sampled_from(sorted({difference.path for difference in found})))
    assert differences(one, other, [path]) == tuple(d for d in found if not at_or_below(d.path, path))


@settings(deadline=None)
@given(documents, documents, st.data())
def test_nothing_ignored_is_ever_reported(one: Any, other: Any, data: st.DataObject) -> None:
    found = differences(one, other)
    assume(found)
    path = data.draw(st.sampled_from(sorted({difference.path for difference in found})))
    assert not [d for d in differences(one, other, [path]) if at_or_below(d.path, path)]


def at_or_below(path: str, ignored: str) -> bool:
    return path == ignored or (path.startswith(ignored) and path[len(ignored)] in ".[")


def spots(value: Any, steps: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, ...]] = [steps]
    if isinstance(value, dict):
        for name, child in value.items():
            below += spots(child, (*steps, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            below += spots(child, (*steps, index))
    return below


def collapsed(steps: tuple[Any, ...]) -> str:
    shorthand = {"a": ".a", "b": ".b", "id": ".id", "ü": ".ü", "odd name": "['odd name']", "": "['']"}
    shorthand |= {"it's": r"['it\'s']", "\x1b[2J": r"['\u001b[2J']"}
    return "$" + "".join("[*]" if isinstance(step, int) else shorthand[step] for step in steps)


def changed(value: Any, steps: tuple[Any, ...]) -> Any:
    if not steps:
        return "a value that was not there before"
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[steps[0]] = changed(value[steps[0]], steps[1:])
    return copy


@settings(deadline=None)
@given(documents, st.data())
def test_one_change_is_found_where_it_is(document: Any, data: st.DataObject) -> None:
    steps = data.draw(st.sampled_from(spots(document)))
    found = differences(document, changed(document, steps))
    assert [(d.path, d.kind in {"value", "type"}) for d in found] == [(collapsed(steps), True)]


@settings(deadline=None)
@given(st.lists(documents, min_size=1, max_size=5), st.data())
def test_one_element_more_or_less_is_one_difference(elements: list[Any], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(elements)))
    more = [*elements[:place], "new here", *elements[place:]]
    assert [d.kind for d in differences(elements, more)] == ["length"]
    assert [d.kind for d in differences(more, elements)] == ["length"]


@settings(deadline=None)
@given(st.lists(documents, max_size=6), st.randoms(use_true_random=False))
def test_shuffled_elements_are_at_most_an_order(elements: list[Any], random: Any) -> None:
    shuffled = list(elements)
    random.shuffle(shuffled)
    assert [d.kind for d in differences(elements, shuffled)] in ([], ["order"])


def test_values_are_short_printable_and_not_part_of_the_identity() -> None:
    found = differences({"a": "x" * 10_000, "b": 1}, {"a": "\x1b[31m\n\x9b\u202e" + "y" * 10_000, "b": 1})
    assert len(found[0].legacy_value) <= 200
    assert found[0].extracted_value.isprintable()
    assert found[0].extracted_value.startswith(r'"\u001b[31m\n\x9b\u202ey')


def test_at_most_two_hundred_kinds_of_difference() -> None:
    legacy = {f"k{number}": number for number in range(1000)}
    assert len(differences(legacy, {})) == 200


def nested_array(end: str) -> str:
    return "[1," * 250 + "[" + "7," * 60_000 + end + "]" + "]" * 250


def test_a_difference_at_the_bottom_of_a_deep_body_is_found() -> None:
    legacy, extracted = (Answered(200, JSON, nested_array(end).encode()) for end in ("1", "2"))
    (found,) = compare(legacy, extracted, NOTHING_IGNORED, REDACTOR).differences
    assert (found.kind, found.legacy_value, found.extracted_value) == ("value", "1", "2")


def shuffled_members(number: int) -> tuple[Answered, Answered]:
    document = [{"a": True, "b": place} for place in range(number)]
    turned = [dict(reversed(element.items())) for element in document]
    return answered(document), answered(turned)


def test_a_budget_of_visits_bounds_the_work_and_names_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    legacy, extracted = shuffled_members(2_000)
    assert compare(legacy, extracted, NOTHING_IGNORED, REDACTOR).differences == ()
    monkeypatch.setattr("strangler.compare.body.NODE_LIMIT", 1_500)
    with pytest.raises(Incomparable, match="too_complex"):
        compare(legacy, extracted, NOTHING_IGNORED, REDACTOR)


def test_a_budget_of_time_bounds_the_work_and_names_the_reason() -> None:
    legacy, extracted = shuffled_members(2_000)
    with pytest.raises(Incomparable, match="too_complex"):
        compare(legacy, extracted, NOTHING_IGNORED, REDACTOR, overdue=lambda: True)


@pytest.mark.parametrize("depth", [600, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    legacy, extracted = (
        Answered(200, JSON, b'{"a":' * depth + inner + b"}" * depth) for inner in (b"1", b"2")
    )
    with pytest.raises(Incomparable, match="too_complex"):
        compare(legacy, extracted, NOTHING_IGNORED, REDACTOR)


def test_a_long_path_is_cut_but_stays_itself() -> None:
    legacy = {"k" * 600 + end: 1 for end in "xy"}
    found = differences(legacy, {})
    assert len({d.path for d in found}) == 2
    assert all(len(d.path) <= 512 for d in found)
