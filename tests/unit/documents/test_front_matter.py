from __future__ import annotations

import pytest

from schemas.problem import Problem
from worker.documents.front_matter import FrontMatter, fingerprint, split
from worker.documents.limits import Limits
from worker.documents.validation import read


@pytest.mark.parametrize(
    ("raw", "text", "body"),
    [
        (b"---\na: b\n---\n", "a: b\n", ""),
        (b"---\na: b\n---", "a: b\n", ""),
        (b"---\na: b\n...\ntext", "a: b\n", "text"),
        (b"\xef\xbb\xbf---\na: b\n---\ntext\n", "a: b\n", "text\n"),
        (b"--- \t\na: b\n---  \ntext", "a: b\n", "text"),
        (b"---\r\na: b\r\n---\r\ntext\r\n", "a: b\r\n", "text\r\n"),
        (b"---\ra: b\r---\rtext\r", "a: b\r", "text\r"),
        (b"---\na: |\n  ---\n  x\n---\ntext\n---\nmore\n", "a: |\n  ---\n  x\n", "text\n---\nmore\n"),
        (b"---\na: --- b\nc: d---\n---\n", "a: --- b\nc: d---\n", ""),
        (b"---\na: b\n----\nc: d\n---\n", "a: b\n----\nc: d\n", ""),
    ],
)
def test_every_form_of_front_matter_is_split(raw, text, body):
    matter = split(raw)
    assert isinstance(matter, FrontMatter)
    assert (matter.text, matter.first_line, matter.body) == (text, 2, body)


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (b"", "empty_document", (1, 1)),
        (b"\xef\xbb\xbf", "empty_document", (1, 1)),
        (b" \n\n", "empty_document", (1, 1)),
        (b"text\n", "no_front_matter", (1, 1)),
        (b"\n---\na: b\n---\n", "no_front_matter", (1, 1)),
        (b" ---\na: b\n---\n", "no_front_matter", (1, 1)),
        (b"----\na: b\n----\n", "no_front_matter", (1, 1)),
        (b"+++\na = 1\n+++\n", "toml_front_matter", (1, 1)),
        (b'{"a": 1}', "json_front_matter", (1, 1)),
        (b"---js\na\n---\n", "front_matter_language", (1, 1)),
        (b"--- yaml\na: b\n---\n", "front_matter_language", (1, 1)),
        (b"---\na: b\n", "front_matter_not_closed", (1, 1)),
        (b"---\na: b\n ---\n", "front_matter_not_closed", (1, 1)),
        (b"---", "front_matter_not_closed", (1, 1)),
        (b"---\n---\n", "empty_front_matter", (1, 1)),
        (b"---\n\n---\nx", "empty_front_matter", (1, 1)),
        ("---\na: b\n---\n".encode("utf-16"), "utf16", (1, 1)),
        ("---\na: b\n---\n".encode("utf-16-le"), "utf16", (1, 1)),
        (b"---\na: \xff\n---\n", "not_utf8", (2, 4)),
        (b"---\na: b\n---\n\xc3\xa9\xe9", "not_utf8", (4, 2)),
        (b"---\na: \xed\xa0\x80\n---\n", "not_utf8", (2, 4)),
    ],
)
def test_missing_front_matter_is_a_problem_with_its_place(raw, code, place):
    found = split(raw)
    assert isinstance(found, Problem)
    assert (found.code, (found.line, found.column)) == (code, place)


def test_the_size_is_bounded_before_decoding():
    assert split(b"\xff" * 11, Limits(max_bytes=10)).code == "too_large"


def test_a_fingerprint_ignores_secured():
    document = b'---\ntitle: x\nsecured: "%b"\n---\nbody %b\n'
    assert fingerprint(document % (b"YQ==;YQ==", b"")) == fingerprint(document % (b"YmJi;Yg==", b""))
    assert fingerprint(document % (b"YQ==;YQ==", b"")) != fingerprint(document % (b"YQ==;YQ==", b"!"))
    assert fingerprint(document % (b'YQ==;"b', b"")) != fingerprint(document % (b'YQ==;"c', b""))


def test_a_fingerprint_omits_the_last_line_alone_that_may_be_secured():
    document = b'---\nsecured: "%b;a"\nsecured: "%b;b"\n---\n'
    assert fingerprint(document % (b"a", b"b")) != fingerprint(document % (b"c", b"b"))
    assert fingerprint(document % (b"a", b"b")) == fingerprint(document % (b"a", b"c"))


@pytest.mark.parametrize("front", ["", 'secured: "YQ==;YQ=="\n'])
def test_a_line_of_the_body_is_never_taken_for_secured(front):
    raw = f'---\ntitle: x\nwebUrl: https://a.example/\n{front}---\nsecured: "b;b"\n'.encode()
    reading = read(raw, has_key=True)
    assert reading.article is not None
    assert reading.fingerprint is None  # so the store never recognises a document by it
