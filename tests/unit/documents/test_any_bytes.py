"""For any bytes the parser returns in time, with places inside the document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codes import CODES
from tests.support.any_documents import ANY_BYTES, ANY_DOCUMENT, ANY_PIECES, at_length, built, mutated, texts
from worker.documents.characters import clean_text
from worker.documents.front_matter import fingerprint
from worker.documents.problem_display import render
from worker.documents.validation import read
from worker.enrichment.document_json import document_from_json, document_to_json
from worker.enrichment.enricher import enrich


def hold(raw: bytes) -> None:
    at = time.process_time()  # of this process only, because the machine may be busy
    reading = read(raw, has_key=True)
    assert time.process_time() - at < 2
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
        copy = enrich(reading.article, reading.body, source="s", key="k")
        form = document_to_json(copy)
        for part in texts(json.loads(form)):
            assert clean_text(part) == (part, 0, -1)
        assert document_from_json(form, copy.secured) == copy
    if reading.fingerprint is not None:
        assert reading.fingerprint == fingerprint(raw)


@given(ANY_BYTES)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read(raw):
    hold(raw)


@given(ANY_PIECES)
@settings(max_examples=80, deadline=None)
def test_any_pieces_of_yaml_are_read(raw):
    hold(raw)


@given(mutated())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_documents_are_read(raw):
    hold(raw)


@given(built())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_in_any_field_is_read(raw):
    hold(raw)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_any_document_is_read_at_length():
    at_length(ANY_DOCUMENT, hold)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_documents_with_equal_fingerprints_differ_only_in_secured(data):
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
from pathlib import Path
from worker.documents.validation import read
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
    at = time.process_time(); read(raw, has_key=True); slowest = max(slowest, time.process_time() - at)
# VmHWM: what getrusage calls the peak counts that of the process which started this one, too.
status = Path("/proc/self/status")
peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1] if status.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(slowest, int(peak) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is a module of POSIX")
def test_hostile_documents_take_neither_time_nor_memory_nor_the_process():
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 2
    assert megabytes < 300
