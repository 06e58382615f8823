"""Valid and odd URLs and times, and messages for a JSON Schema, generated from the schema itself."""

from __future__ import annotations

import random
from typing import Any

GOOD_URLS = [
    "https://news.example/story", "http://a.b", "HTTPS://News.Example:8080/x?y=z#q", "https://127.0.0.1/x", "https://[::1]:80/x",
    "https://küste.example/straße", "https://a.example/with blank", "https://a.example/\u202fx\u2028y", " https://a.example/x ", "https://a.example.:443/", "https://a_b.example",
    "https://x.example?q=1", "https://a.example:/x", "https://a.example?q=a b",
]  # fmt: skip
ODD_URLS = [
    "", "x", "//a.example", "ftp://a.example/x", "https:/a.example", "https:a.example", "https://a", "https://", "https:///x",
    "https://user:secret@a.example/x", "https://a.example\\x", "https://a.example/\tx", "https://a.example/\nx", "https://a.example:0/x",
    "https://a.example:65536/", "https://a.example:x/", "https://-a.example/", "https://a-.example/", "https://a..example/",
    "https://1.2.3.256/", "https://1.2.3/", "https://a.exa mple/", "https://[zz]/", "javascript:alert(1)", "https://a.example/" + "x" * 2048,
    "https://" + "a" * 64 + ".example/", "https://a.example/\ufffd",
]  # fmt: skip
GOOD_IMAGES = [
    *GOOD_URLS, "/assets/1.jpg", " /a ", "/with blank.jpg", "/küste?x=1&y#z", "/x\\y", "//cdn.example/1.jpg", "//cdn.example",
    "//127.0.0.1:80?q=a b", "//[::1]/x", "//a_b.example:/x y",
]  # fmt: skip
ODD_IMAGES = [
    *(url for url in ODD_URLS if url != "//a.example"), "/", "//", "///x", "/\\x", "/ x", "x.jpg", "./x.jpg", "?x", "#x", "/a\tb", "/\ufffd",
    "//user@a.example/x", "//a", "//a.example:0/x", "//-a.example/x", "//a.exa mple/x", "//a.example\\x", "data:image/png;base64,AA==",
    "/" + "x" * 2048, "//a.example/" + "x" * 2048,
]  # fmt: skip
GOOD_TIMES = [
    "2020-05-29T22:57:00Z", "2020-05-29", "2020-5-9 2:03", "2020-02-29t22:57:00.123456+05:30", "1900-01-02", "2100-12-30T00:00",
    "2000-02-29T23:59:59-0800", "2020-05-29 22:57:00 UTC", "2020-05-29T22:57+2", "2020-12-31T10:00:00,5 GMT", " 2020-05-29T22:57:00Z ",
    "2020-05-29T24:00:00Z", "2016-12-31T23:59:60Z", "2017-01-01T05:29:60+0530", "20200529T225700Z", "20200529T2257+02", "20200529T240000.0Z",
    "Sat, 19 Mar 2022 22:45:00 +0000", "sat 19 MAR 2022 22:45 gmt", "19 Mar 22 22:45:00 UT", "29 Feb 2020 24:00:00 Z", "29 Feb 96 10:00",
    "Sat, 19 Mar 2022 22:45:00 +0000 (UTC)", "2022-03-20T00:45:00+02:00[Africa/Tripoli]", "2020-05-29 22:57:00 UT",
]  # fmt: skip
ODD_TIMES = [
    "", "garbage", "20200529", "2020-13-01", "2020-00-10", "2020-02-30", "2019-02-29", "1900-02-29", "2020-04-31", "1899-05-01",
    "2101-05-01", "2020-05-29T24:00:01Z", "2020-05-29T24:01Z", "2020-05-29T10:60Z", "2020-05-29T10:00:61Z", "2020-05-29T10Z", "2020-05-29Z",
    "2020-05-29T10:00:00+15:00", "2020-05-29T10:00:00+14:30", "2020-05-29T10:00:00+05:75", "29 May 2020",
    "20200529T2260Z", "20200230T225700Z", "20200529T22570Z", "19 Mar 2022 22:45 EST", "29 Feb 2019 10:00 GMT", "31 Apr 2022 10:00 Z", "1 Jam 2022 10:00 Z",
    "19 Mar 1822 10:00 Z", "05/29/2020", "1590793020", "2020-05-29[Europe/Paris]",
]  # fmt: skip
NUMBERS = [0, 34, -1, 4.5, -0.25, 1e15]
ODD_VALUES = [None, True, False, 0, -1, 2**31, 1.5, "", "x", [], {}, [[]], ["x"], {"url": 1}]


class Generator:
    """`document()` returns a value for the schema; about every second one contains something invalid."""

    def __init__(self, schema: dict[str, Any], seed: int) -> None:
        self._schema, self._dice = schema, random.Random(seed)
        self._oddness = 0.0

    def document(self) -> Any:
        self._oddness = self._dice.choice([0.0, 0.05])
        return self._value(self._schema)

    def _value(self, schema: dict[str, Any]) -> Any:
        dice = self._dice
        if "$ref" in schema:
            return self._value(self._schema["$defs"][schema["$ref"].rpartition("/")[2]])
        if dice.random() < self._oddness:
            return dice.choice(ODD_VALUES)
        if "anyOf" in schema:
            return self._value(dice.choice(schema["anyOf"]))
        if "enum" in schema:
            return dice.choice([*schema["enum"], *(["nonsense"] if self._oddness else [])])
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        if kind is None and "properties" not in schema:
            return dice.choice(ODD_VALUES)
        if kind == "object" or "properties" in schema:
            return self._object(schema)
        if kind == "array":
            return [self._value(schema["items"]) for _ in range(dice.choice([0, 1, 1, 2]))]
        if kind == "integer":
            low, high = schema.get("minimum", -(10**6)), schema.get("maximum", 10**6)
            return dice.choice(
                [low, high, 0, 34, *([low - 1, high + 1] if self._oddness and "minimum" in schema else [])]
            )
        if kind == "number":
            return dice.choice([*NUMBERS, *([1e16, -(10**16), 10**400] if self._oddness else [])])
        if kind in ("boolean", "null"):
            return dice.random() < 0.5 if kind == "boolean" else None
        return self._text(schema)

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        dice, properties = self._dice, schema.get("properties", {})
        needed = set(schema.get("required", ()))
        found = {}
        for name in properties:
            if dice.random() < 0.5 if name not in needed else dice.random() >= self._oddness:
                found[name] = self._value(properties[name])
        if dice.random() < 0.3:
            found["somethingElse"] = dice.choice(ODD_VALUES)
        return found

    def _text(self, schema: dict[str, Any]) -> str:
        dice, odd = self._dice, bool(self._oddness) and self._dice.random() < 0.3
        if schema.get("format") == "date-time":
            return dice.choice(
                ["garbage", "2020-13-01T00:00:00Z", "2020-05-29T22:57:00"] if odd else ["2020-05-29T22:57:00Z"]
            )
        longest = schema.get("maxLength")
        edge = ["🌊" * (longest + odd)] if longest else []
        return dice.choice(["", "x", "No", "1.10", "Küste 🌊", "a\nb", *edge])
