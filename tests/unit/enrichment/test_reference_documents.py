"""Reference documents: their subject, and their form as JSON."""

import pytest

from schemas.references import Organization, Topic
from worker.enrichment.reference_documents import (
    changed_reference_fields,
    edit_reference,
    reference_from_form,
    reference_to_form,
)


def organization(**fields):
    return edit_reference(Organization.model_validate({"taxonomy": "organization", "name": "N", **fields}))


def test_an_organisation_is_known_by_its_registrable_domain():
    copy = organization(domain="www.news.example.co.uk", otherNames=["The N", "the n"], odd="kept")
    assert (copy.subject, copy.other_names) == ("example.co.uk", ["The N"])
    assert copy.extra == {"domain": "www.news.example.co.uk", "odd": "kept"}
    assert organization(_id="example.com").subject == "example.com"


@pytest.mark.parametrize("domain", ["", "nowhere", "127.0.0.1"])
def test_without_a_domain_there_is_no_provider_to_complete(domain):
    assert organization(domain=domain) is None


def test_a_topic_is_known_by_its_name():
    fields = {"taxonomy": "term", "name": "  Deep &amp;  Wide ", "parent": "AI", "keywords": ["deep", "Deep"]}
    copy = edit_reference(Topic.model_validate(fields))
    assert (copy.taxonomy, copy.subject, copy.name) == ("topic", "deep & wide", "Deep & Wide")
    assert (copy.parent, copy.keywords) == ("AI", ["Deep"])


def test_a_reference_document_survives_the_round_trip_through_its_form():
    copy = organization(domain="a.example", images=[{"url": "/logo.png", "width": "50"}], description="D")
    assert reference_from_form(reference_to_form(copy)) == copy
    assert changed_reference_fields(copy, organization(domain="a.example", name="M")) == [
        "name",
        "description",
        "images",
    ]
