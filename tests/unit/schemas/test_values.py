from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.values import Assumption, Boolean, Context, Integer, Text, Timestamp, WebUrl

INTEGER, BOOLEAN, TIME, URL, TEXT = map(TypeAdapter, (Integer, Boolean, Timestamp, WebUrl, Text))


def fault(adapter, value, context=None):
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value, context=context)
    return caught.value.errors()[0]["type"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("34", 34),
        ("-1", -1),
        ("+7", 7),
        ("219", 219),
        ("0777", 777),
        ("640.0", 640),
        (" 5 ", 5),
        (2147483647, 2147483647),
    ],
)
def test_integers_are_decimal(text, number):
    assert INTEGER.validate_python(text) == number


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("about 30", "bad_integer"),
        ("", "bad_integer"),
        ("1_000", "bad_integer"),
        ("0x1F", "bad_integer"),
        ("1e3", "bad_integer"),
        ("34.5", "bad_integer"),
        ("12:30:45", "bad_integer"),
        ("٣٤", "bad_integer"),
        ("9" * 5000, "bad_integer"),
        ("true", "bad_integer"),
        (True, "wrong_shape"),
        (["1"], "wrong_shape"),
        ("2147483648", "integer_out_of_range"),
        (2**70, "integer_out_of_range"),
    ],
)
def test_invalid_integers_have_their_code(value, code):
    assert fault(INTEGER, value) == code


@pytest.mark.parametrize(
    ("word", "meant"),
    [("true", True), ("Yes", True), ("ON", True), ("false", False), ("no", False), ("Off", False), (True, True)],
)
def test_words_are_read_as_booleans(word, meant):
    assert BOOLEAN.validate_python(word) is meant


@pytest.mark.parametrize("word", ["1", "0", "y", "tRUE", "perhaps", ""])
def test_other_words_are_no_booleans(word):
    assert fault(BOOLEAN, word) == "bad_boolean"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2020-05-29T22:57:00Z", "2020-05-29T22:57:00"),
        ("2020-05-29T22:57:00.123456789Z", "2020-05-29T22:57:00.123456"),
        ("2020-05-29t22:57:00z", "2020-05-29T22:57:00"),
        ("2020-05-30T00:57:00+02:00", "2020-05-29T22:57:00"),
        ("2020-05-30 00:57:00 +2", "2020-05-29T22:57:00"),
        ("2020-05-29T22:57-0500", "2020-05-30T03:57:00"),
        ("2020-5-9 2:57:00", "2020-05-09T02:57:00"),
        ("2020-05-29", "2020-05-29T00:00:00"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00"),
        ("2101-01-01T05:00:00+14:00", "2100-12-31T15:00:00"),
    ],
)
def test_times_become_utc(text, iso):
    assert TIME.validate_python(text) == datetime.fromisoformat(iso).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("20200529", "bad_time"),
        ("1590793020", "bad_time"),
        ("true", "bad_time"),
        ("May 29, 2020", "bad_time"),
        ("2020-W22-5T22:57:00Z", "bad_time"),
        ("2020-02-30T10:00:00Z", "bad_time"),
        ("2020-02-30", "bad_time"),
        ("2020-05-29T24:57:00Z", "bad_time"),
        ("2020-05-29T22:57:00+24:00", "bad_time"),
        ("2020-05-29T22:57:00+02:75", "bad_time"),
        ("9999-12-31T23:59:59-12:00", "time_out_of_range"),
        ("0001-01-01T00:00:00+12:00", "time_out_of_range"),
        ("1900-01-01T00:00:00+02:00", "time_out_of_range"),
        ("2" * 100_000, "bad_time"),
        (20200529, "wrong_shape"),
        ({}, "wrong_shape"),
    ],
)
def test_invalid_times_have_their_code(value, code):
    assert fault(TIME, value) == code


def test_a_time_without_zone_is_noted():
    context = Context()
    TIME.validate_python("2020-05-29 22:57:00", context=context)
    TIME.validate_python("2020-05-29T22:57:00Z", context=context)
    assert context.notes == [Assumption("time_without_zone", "2020-05-29 22:57:00")]


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "HTTP://A.Example/B?c=d#e",
        "https://a.example:8443/x",
        "http://192.0.2.7/x",
        "http://[2001:db8::1]:8080/x",
        "https://bücher.example/ü?q=ä",
        "https://xn--bcher-kva.example/",
        "https://my_site.example./x",
        "https://a.example/~x/(y);z=1,2|3",
        "https://a.example?x=1",
        "https://日本.example/記事",
    ],
)
def test_urls_stay_as_written(url):
    assert URL.validate_python(f" {url}\n") == url


@pytest.mark.parametrize(
    "url",
    [
        "https:///path",
        "https://",
        "https:a.example",
        "//a.example/x",
        "/x",
        "a.example/x",
        "ftp://a.example/x",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user:word@a.example/",
        "https://user@a.example/",
        "https://a.example\\@b.example/",
        "https://a.exa mple/x",
        "https://a.example/x\ny",
        "https://a.example/x\ty",
        "https://a.example/x\0",
        "https://-a.example/",
        "https://a..example/",
        "https://.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "ü" * 900 + ".example/",
        "https://nodot/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:x/",
        "http://999.1.1.1/",
        "http://[::1/",
        "http://[nonsense]/",
        "",
        "https://[fe80::1%25eth0]/",
        "https://a-.example/",
        "https://a.example/\ufffd",
    ],
)
def test_invalid_urls_are_refused(url):
    assert fault(URL, url) == "bad_url"


def test_a_url_has_a_cap_in_bytes():
    assert fault(URL, "https://a.example/" + "ü" * 1100) == "url_too_long"
    assert fault(URL, "https://a.example/abc", Context(max_url_bytes=20)) == "url_too_long"


def test_a_blank_after_the_host_is_escaped_and_noted():
    context = Context()
    assert URL.validate_python("https://a.example/the market", context=context) == "https://a.example/the%20market"
    assert context.notes == [Assumption("url_with_space", "https://a.example/the market")]


@pytest.mark.parametrize("value", [{}, [], ["a"], 5])
def test_other_types_are_not_text(value):
    assert fault(TEXT, value) == "wrong_shape"
