"""Whatever bytes come: an answer, in time, with places inside the document."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from schemas.codes import CODES
from worker.document.explain import render
from worker.document.frontmatter import fingerprint
from worker.document.validate import read

EXAMPLES = sorted((Path(schemas.__file__).parent / "examples").rglob("*.md"))
SEEDS = [path.read_bytes() for path in EXAMPLES]
PIECES = st.sampled_from([
    b"'", b'"', b": ", b":", b"\n", b"\r", b"\t", b"- ", b"---\n", b"...\n", b"&a ", b"*a", b"<<: ", b"!!str ", b"!x ",
    b"{", b"}", b"[", b"]", b",", b"|\n", b">-\n", b"#", b"%", b"@", b"\\", b"\\0", b"\\ud800", b"\0", b"\x85",
    b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff", b"? ", b"~", b"webUrl: ", b"secured: ", b"title: ", b"0",
    b"https://", b"  ", b"e\xcc\x81", b'\nsecured: "YQ==;YQ=="\n',
])  # fmt: skip


def hold(raw: bytes) -> None:
    at = time.perf_counter()
    reading = read(raw, has_key=True)
    assert time.perf_counter() - at < 2
    rows = re.split(r"\r\n|\n|\r", raw.decode("utf-8", "replace").removeprefix("\ufeff"))
    assert reading.rejected == any(found.severity == "error" for found in reading.problems)
    for found in reading.problems:
        assert found.code in CODES
        assert found.value is None or len(found.value) <= 80
        if found.line is not None:
            assert 1 <= found.line <= len(rows)
            assert 1 <= found.column <= len(rows[found.line - 1]) + 1
        render(raw, found)
    if reading.article is not None:
        dumped = reading.article.model_dump(mode="json")
        assert type(reading.article).model_validate(dumped) == reading.article
        text = reading.article.model_dump_json() + reading.body
        text.encode("utf-8")
        assert "\\u0000" not in text.replace("\\\\", "")
    if reading.fingerprint is not None:
        assert reading.fingerprint == fingerprint(raw)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes(raw):
    hold(raw)


@given(st.lists(PIECES, max_size=40).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_pieces_of_yaml(block):
    hold(b"---\n" + block + b"\n---\n")


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_documents(data):
    raw = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 40)))
        raw = raw[:start] + data.draw(st.one_of(PIECES, st.binary(max_size=4))) + raw[end:]
    hold(raw)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_equal_fingerprints_mean_equal_but_for_secured(data):
    lines = data.draw(st.lists(st.sampled_from(
        ["title: T", "a: |", "  x", 'secured: "YQ==;YQ=="', "b: 'x", "y'", 'c: "x', 'y"', "---", "...", "", "name: N"]
    ), max_size=8))  # fmt: skip
    raw = "\n".join(["---", *lines, "---", ""]).encode()
    other = raw.replace(b"YQ==;YQ==", b"YmI=;YmI=")
    one, two = read(raw, has_key=True), read(other, has_key=True)
    if one.fingerprint is not None and fingerprint(other) == one.fingerprint:
        assert not two.rejected
        assert one.article.model_dump(exclude={"secured"}) == two.article.model_dump(exclude={"secured"})
        assert one.body == two.body


HOSTILE = """
import resource, sys, time
from worker.document.validate import read
A, Z, M = b"---\\ntitle: x\\nwebUrl: https://a.example/x\\n", b"---\\n", 1_040_000
fill = lambda piece, size=M: (piece * (size // len(piece) + 1))[:size]
block = lambda *parts: A + b"".join(parts) + Z
cases = [
    block(b"a: ", fill(b"["), b"\\n"), block(b"a: ", fill(b"{a: "), b"\\n"), block(b"a:\\n  ", fill(b"- "), b"\\n"),
    block(fill(b"? "), b"\\n"), block(b"a: [", fill(b"a,"), b"]\\n"), block(b"topics:\\n", fill(b"- a\\n")),
    block(b"topics:\\n", b"- [a]\\n" * 20000), block(b"related:\\n", b"- {webUrl: x, quality: a}\\n" * 8000),
    block(b"a0: &a0 [x,x,x,x,x,x,x,x,x]\\n",
          *(b"a%d: &a%d [%s]\\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 20))),
    block(b"m0: &m0 {a: 1}\\n",
          *(b"m%d: &m%d {<<: [%s]}\\n" % (i, i, b",".join([b"*m%d" % (i - 1)] * 9)) for i in range(1, 20))),
    block(b'a: &a "', fill(b"x", 260000), b'"\\nb: [', b"*a," * 9000, b"]\\n"),
    block(b"a: [", fill(b"&a [&b 1],"), b"]\\n"), block(b"quality: ", fill(b"9", 200000), b"\\n"),
    block(b"a: ", fill(b'"a'), b"\\n"), block(b"a: [", fill(b'"\\\\ud83d",'), b"]\\n"), block(fill(b"a: b\\n")),
    block(b"a: [", fill(b"!x a,"), b"]\\n"), block(b"originalUrl: https://", b"a." * 1000, b"\\n"),
    block(b'a: "a', "\\u0301\\u0323".encode() * 60000, b'"\\n'), block(fill(b'secured: "a;a"\\n')),
    block(fill(b"\\r")),
    block(fill(b"a:"), b"\\n"), block(fill(b"# x\\n")), b"---" + fill(b" ") + b"\\n",
    A + fill(b"-- \\n") + Z + "\\u0301".encode() * 400000,
    b"---\\n" + fill(b"%A B\\n") + Z, block(b"".join(b" " * i + b"a:\\n" for i in range(1400))),
    block(b"a: ", fill(b"x # "), b"\\n"),
]
slowest = 0
for raw in cases:
    at = time.perf_counter(); read(raw, has_key=True); slowest = max(slowest, time.perf_counter() - at)
print(slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is a module of POSIX")
def test_hostile_documents_take_neither_time_nor_memory_nor_the_process():
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 2
    assert megabytes < 300
