"""The invariants hold for real collections, if any are available, and merging is rare."""

from collections import defaultdict

import pytest
import yaml
from pydantic import ValidationError

from schemas.article import Article
from worker.enrichment.document_json import document_from_json, document_to_json
from worker.enrichment.enricher import enrich
from worker.enrichment.urls.canonical_urls import canonicalise


def documents(folder):
    for path in sorted(folder.rglob("*.md")):
        head, closed, body = path.read_text(encoding="utf-8", errors="replace").removeprefix("---").partition("\n---")
        try:
            article = Article.model_validate(yaml.load(head, Loader=yaml.CBaseLoader) if closed else None)
        except (yaml.YAMLError, ValidationError, ValueError):
            continue
        yield path, article, body


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [
    "microsoft-power-apps", pytest.param("diablo4", marks=pytest.mark.long), pytest.param("ai", marks=pytest.mark.long),
])  # fmt: skip
def test_real_documents_round_trip_and_their_urls_are_stable(corpus, name):
    spellings = defaultdict(set)
    edited = 0
    for path, article, body in documents(corpus(name)):
        copy = enrich(article, body, source="corpus", key=str(path))
        edited += 1
        assert document_from_json(document_to_json(copy), copy.secured) == copy
        for described in (article, *article.related):
            for url in filter(
                None,
                (
                    described.web_url,
                    described.source_url,
                    described.original_url,
                    described.amp_url,
                    described.cdn_amp_url,
                ),
            ):
                form = canonicalise(url)
                assert canonicalise(form) == form
                if url == described.primary_url:
                    spellings[form].add(url)
    assert edited
    merged = sum(len(urls) > 1 for urls in spellings.values())
    assert merged < len(spellings) / 50
