import json
from decimal import ROUND_HALF_UP, Decimal

from hypothesis import given
from hypothesis import strategies as st

from extracted.inventory.money import to_wire as inventory_to_wire
from extracted.inventory.releases import RELEASES as INVENTORY_RELEASES
from extracted.payments.money import to_wire as payments_to_wire
from extracted.payments.releases import RELEASES as PAYMENTS_RELEASES
from legacy_monolith import money, payments

CENTS = st.integers(min_value=0, max_value=10**12)


@given(CENTS)
def test_money_on_the_wire_is_the_exact_amount(cents: int) -> None:
    shown = json.loads(json.dumps(money.to_wire(cents)), parse_float=Decimal)
    assert shown == {"amount": Decimal(cents) / 100, "currency": "EUR"}


@given(CENTS)
def test_all_three_services_show_money_alike(cents: int) -> None:
    assert money.to_wire(cents) == payments_to_wire(cents) == inventory_to_wire(cents)


@given(CENTS, st.integers(0, 100), st.integers(1, 1000))
def test_a_share_is_rounded_half_up(cents: int, numerator: int, denominator: int) -> None:
    exact = Decimal(cents * numerator) / denominator
    if exact % 1 == Decimal("0.5"):
        assert money.share_half_up(cents, numerator, denominator) == exact.to_integral_value(ROUND_HALF_UP)
    assert abs(money.share_half_up(cents, numerator, denominator) - exact) <= Decimal("0.5")


def test_tax_is_the_share_contained_in_the_price() -> None:
    assert money.tax_within(11_900, 19) == 1_900
    assert money.tax_within(10_700, 7) == 700
    assert money.tax_within(999, 0) == 0


def test_v2_takes_the_fee_the_monolith_takes() -> None:
    v2 = PAYMENTS_RELEASES["v2"].card_fee
    assert all(v2(cents) == payments.fee("card", cents) for cents in range(200_000))


def test_v1_is_one_cent_short_on_exactly_the_documented_amounts() -> None:
    v1, v2 = PAYMENTS_RELEASES["v1"].card_fee, PAYMENTS_RELEASES["v2"].card_fee
    wrong = {cents: v1(cents) - v2(cents) for cents in range(200_000) if v1(cents) != v2(cents)}
    assert wrong == dict.fromkeys(range(20, 200_000, 80), -1)


@given(CENTS)
def test_v1_of_inventory_shows_the_right_cost_as_text(cents: int) -> None:
    v1, v2 = INVENTORY_RELEASES["v1"].cost(cents), INVENTORY_RELEASES["v2"].cost(cents)
    assert isinstance(v1["amount"], str)
    assert float(v1["amount"]) == v2["amount"]
