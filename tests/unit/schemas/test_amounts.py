"""Durations and prices: the values of their texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.amounts import MAX_NUMBER, Price, price_of, read_number, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT44M", 2640), ("PT6S", 6), ("PT1H30M", 5400), ("P1DT2H", 93_600), ("P1M", 2_592_000), ("P1W", 604_800),
        ("pt0.5h", 1800), ("1:16", 76), ("0:58", 58), ("1:00:05", 3605), ("16 hours", 57_600), ("1 hour", 3600),
        ("1h 46m", 6360), ("36m", 2160), ("2 weeks", 1_209_600), ("4 Months", 10_368_000), ("1 hr 20 mins", 4800),
        ("1.5 hours", 5400),
        ("", None), ("P", None), ("PT", None), ("soon", None), ("5 hours/week", None), ("5", None), ("-PT5M", None),
        ("PT999999999999H", None), ("999999 years", None),
    ],
)  # fmt: skip
def test_durations_are_parsed(text, seconds):
    assert seconds_of(text) == seconds


@given(st.text(alphabet="PTHMS0123456789.:, wdhms", max_size=80))
def test_any_text_is_a_duration_that_fits_or_none(text):
    found = seconds_of(text)
    assert found is None or 0 <= found < 2**31


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("Free", Price(0, None)), ("Free+", Price(0, None)), ("$25.20", Price(25.2, "USD")), ("$0.00", Price(0, "USD")),
        ("1,200.00 EUR", Price(1200, "EUR")), ("EUR 5", Price(5, "EUR")), ("5 €", Price(5, "EUR")),
        ("$$", None), ("", None), ("12", None), ("ask", None),
    ],
)  # fmt: skip
def test_prices_are_parsed(text, price):
    assert price_of(text) == price


@pytest.mark.parametrize(
    ("written", "number"),
    [("4.5", 4.5), (" -1 ", -1), (4, 4), (4.5, 4.5), (MAX_NUMBER, 1e15), ("9" * 15 + "." + "9" * 15, 1e15)],
)
def test_numbers_are_parsed(written, number):
    assert read_number(written) == number


@pytest.mark.parametrize(
    ("written", "code"),
    [("", "bad_number"), ("1e5", "bad_number"), ("9" * 16, "bad_number"), (float("nan"), "bad_number"),
     (float("inf"), "bad_number"), (10**400, "bad_number"), (True, "wrong_shape"), (None, "wrong_shape")],
)  # fmt: skip
def test_invalid_numbers_have_their_code(written, code):
    with pytest.raises(PydanticCustomError) as caught:
        read_number(written)
    assert caught.value.type == code
