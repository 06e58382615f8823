"""Hypothesis strategies for documents, from noise to nearly valid, and the long form of a property."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas

EXAMPLES = sorted((Path(schemas.__file__).parent / "examples").rglob("*.md"))
SEEDS = [path.read_bytes() for path in EXAMPLES]
PIECES = st.sampled_from([
    b"'", b'"', b": ", b":", b"\n", b"\r", b"\t", b"- ", b"---\n", b"...\n", b"&a ", b"*a", b"<<: ", b"!!str ", b"!x ",
    b"{", b"}", b"[", b"]", b",", b"|\n", b">-\n", b"#", b"%", b"@", b"\\", b"\\0", b"\\ud800", b"\0", b"\x85",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff", b"? ", b"~", b"webUrl: ", b"secured: ", b"title: ", b"0",
    b"https://", b"  ", b"e\xcc\x81", b'\nsecured: "YQ==;YQ=="\n',
])  # fmt: skip

_FIELDS = [
    "title", "excerpt", "abstract", "publishedDateTime", "updatedDateTime", "webUrl", "sourceUrl", "originalUrl", "ampWebUrl",
    "ampUrl", "cdnAmpWebUrl", "cdnAmpUrl", "type", "quality", "score", "name", "category", "heat", "published", "locale",
    "topics", "images", "related", "provider", "secured", "sponsor", "taxonomy", "url", "width", "isCached", "domain", "id",
    "other", "extra", "images_", "web_url", "title_", "<<", "relatedWithoutUrl", "ſ", "e\u0301", "\u0130",
]  # fmt: skip
_URLS = [
    "https://a.example/x", "https://a.example/x?b=1&a=2#f", "http://www.a.example", "https://b.example/y", "https://[::1]:80/x",
    "https://bücher.example/ä", "https://a.example:70000/", "https://u:p@a.example/", "javascript:alert(1)", "//a.example/x",
    "https://a.example/%zz%00%C3%28", "https://a.example/\\..\\x", "https://a.example./x", "https://a.example/a b",
    "https://xn--.example/", "https://a\u3002example/", "https://a.example/\u202e", "https://٣.example/", "https://1.2.3.4/",
    "https://a.example/" + "x" * 2100, "https://amp.a.example/x", "https://ß.example/", "https://a_b.example/#!/x",
]  # fmt: skip
_VALUES = [
    "", "0", "-1", "34", "2147483648", "1.0", "1.5", "1e3", ".nan", "0x1f", "true", "No", "~", "2020-05-29T22:57:00Z",
    "2020-02-30", "1899-12-31T23:59:59-12:00", "2100-12-31T23:59:59-14:00", "2020-05-29", "12:30:45", "20200529",
    "9999-12-31T23:59:59-12:00", "A & B | C - D", "&#0;&#x1;&lt;b&gt;e&#x301;", "\u200b", "\ufeffx", "\ud7ff\ue000\uffff",
    "😀", "ａ\u0300", "\u0345" * 40, "x" * 300_000, "İıſß", "video", "\ta\n b", "a\u2028b\x85c", "co.uk", "a.example",
]  # fmt: skip
_TEXTS = st.sampled_from(_VALUES) | st.sampled_from(_URLS) | st.text(max_size=12)
_TREES = st.recursive(
    _TEXTS | st.none() | st.integers() | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=5),
    max_leaves=12,
)


@st.composite
def mutated(draw):
    """Return a valid document with a few places overwritten."""
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 40)))
        raw = raw[:start] + draw(st.one_of(PIECES, st.binary(max_size=4))) + raw[end:]
    return raw


@st.composite
def built(draw):
    """Return valid YAML (its JSON subset) with any value in any field: it passes the parser."""
    tree = draw(st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=5), _TREES, max_size=8))
    tree = {"title": "T", "webUrl": draw(st.sampled_from(_URLS[:6])), **tree}
    body = draw(st.sampled_from(["", "text", "a\0b\r\n---\n"]))
    fields = "".join(f"{json.dumps(k)}: {json.dumps(v)}\n" for k, v in tree.items())
    return f"---\n{fields}---\n{body}".encode()


ANY_BYTES = st.binary(max_size=400)
ANY_PIECES = st.lists(PIECES, max_size=40).map(lambda pieces: b"---\n" + b"".join(pieces) + b"\n---\n")
ANY_DOCUMENT = st.one_of(ANY_BYTES, ANY_PIECES, mutated(), built())


def texts(value: object) -> Iterator[str]:
    """Return all texts in a JSON value, including names."""
    if isinstance(value, str):
        yield value
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(part)


def at_length(strategy: st.SearchStrategy, hold: Callable[..., None]) -> None:
    """Try `hold` on new examples for COPYDESK_TEST_SECONDS (900 if not set)."""
    calm = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    tried = settings(max_examples=500, deadline=None, database=None, derandomize=False, suppress_health_check=calm)
    deadline = time.monotonic() + float(os.environ.get("COPYDESK_TEST_SECONDS", "900"))
    count = 0

    def counted(example):
        nonlocal count
        count += 1
        hold(example)

    while time.monotonic() < deadline:
        tried(given(strategy)(counted))()
    print(f"{count} examples")
