"""Every value of a document is in the article, in its parts, in `extra`, or in a problem."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.any_documents import EXAMPLES
from tests.support.lost_values import lost_values
from worker.documents.validation import read

ACCEPTED = [path for path in EXAMPLES if path.parent.name != "invalid"]
COLLECTIONS = os.environ.get("COPYDESK_TEST_CORPUS")


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_no_value_of_the_examples_is_lost(path):
    raw = path.read_bytes()
    assert lost_values(raw, read(raw, has_key=True)) == []


def test_a_lost_value_is_found():
    raw = b"---\ntitle: T\nexcerpt: something else\n---\n"
    reading = read(raw, has_key=True)
    reading.article.excerpt = None
    assert lost_values(raw, reading) == [("excerpt", "something else")]


@pytest.mark.skipif(COLLECTIONS is None, reason="COPYDESK_TEST_CORPUS is not set: no real documents at hand")
def test_no_value_of_real_documents_is_lost():
    lost = []
    for path in sorted(Path(COLLECTIONS or "").rglob("*.md")):
        raw = path.read_bytes()
        reading = read(raw, has_key=True)
        if not reading.rejected:
            lost += [(path.name, *value) for value in lost_values(raw, reading)]
    assert lost == []
