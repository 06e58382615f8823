"""The form stored with each document is read back exactly as it was written."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from worker.enrichment.document_json import document_from_json, document_to_json, hash_of_document_json
from worker.enrichment.enriched_document import Claim, EnrichedDocument, ImageRef, Mention
from worker.enrichment.providers import ProviderRef

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MAYBE = st.none() | TEXT
HASH = st.binary(min_size=16, max_size=16)
NUMBER = st.none() | st.integers(-(2**31), 2**31 - 1)
TIME = st.none() | st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  # Hypothesis takes naive bounds
EXTRA = st.dictionaries(
    TEXT,
    st.recursive(
        MAYBE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
    ),
    max_size=3,
)
PROVIDER = st.none() | st.builds(ProviderRef, TEXT, MAYBE)
IMAGES = st.lists(st.builds(ImageRef, TEXT, NUMBER, NUMBER, st.none() | st.booleans(), MAYBE), max_size=2)
MENTION = st.builds(Mention, TEXT, HASH, TEXT, MAYBE, MAYBE, TIME, PROVIDER, NUMBER, IMAGES, EXTRA)
COPY = st.builds(
    EnrichedDocument,
    canonical_url=MAYBE,
    url_hash=HASH,
    kind=TEXT,
    category=MAYBE,
    title=MAYBE,
    excerpt=MAYBE,
    body=TEXT,
    published_at=TIME,
    updated_at=TIME,
    provider=PROVIDER,
    language=MAYBE,
    quality=NUMBER,
    reported_heat=NUMBER,
    reported_published=st.none() | st.booleans(),
    secured=MAYBE,
    extra=EXTRA,
    claims=st.lists(st.builds(Claim, TEXT, HASH, TEXT), max_size=3),
    topics=st.lists(TEXT, max_size=3),
    images=IMAGES,
    related=st.lists(MENTION, max_size=3),
)


@given(COPY)
def test_an_article_survives_the_round_trip_through_its_form(copy):
    form = document_to_json(copy)
    copy.content_hash = hash_of_document_json(form)
    assert document_from_json(form, copy.secured) == copy
    assert document_to_json(document_from_json(form, copy.secured)) == form


@given(COPY, MAYBE)
def test_secured_is_no_part_of_the_form(copy, other):
    form = document_to_json(copy)
    copy.secured = other
    assert document_to_json(copy) == form
    assert "secured" not in json.loads(form)
