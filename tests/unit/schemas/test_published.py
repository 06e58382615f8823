"""The generated files, the codes and the examples agree with the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.codes import CELERY_CODES, CODES, ENVELOPE_CODES, WORKER_CODES, Severity
from schemas.export import FORMS, HERE, schema_of, with_table
from schemas.kinds import KINDS, is_known, kind_of
from worker.documents.validation import read

EXAMPLES = HERE / "examples"
# Their examples would be large files; tests/unit/documents builds them.
BUILT = {"too_large", "too_many_nodes", "too_many_items", "too_many_problems"}


@pytest.mark.parametrize("name", FORMS)
def test_the_json_schemas_are_those_of_the_models(name):
    assert (HERE / "json" / f"{name}.json").read_text(encoding="utf-8") == schema_of(name)


def test_the_page_has_the_current_codes():
    page = (HERE / "README.md").read_text(encoding="utf-8")
    assert page == with_table(page)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "valid").glob("*.md")), ids=lambda path: path.stem)
def test_a_valid_example_has_no_problem(path: Path):
    reading = read(path.read_bytes(), has_key=True)
    assert not reading.rejected
    assert reading.problems == ()
    described = reading.article or reading.reference
    assert reading.article is None or is_known(kind_of(reading.article))
    assert type(described).model_validate(described.model_dump(mode="json")) == described


def test_each_kind_has_an_example():
    articles = [read(path.read_bytes(), has_key=True).article for path in (EXAMPLES / "valid").glob("*.md")]
    assert {kind_of(article) for article in articles if article} == set(KINDS)


@pytest.mark.parametrize("folder", ["invalid", "warned"])
def test_each_code_has_its_example(folder):
    severity = Severity.ERROR if folder == "invalid" else Severity.WARNING
    codes = {c.name for c in CODES.values() if c.severity is severity}
    wanted = codes - ENVELOPE_CODES - CELERY_CODES - WORKER_CODES - BUILT
    found = {path.stem for path in (EXAMPLES / folder).glob("*.md")}
    assert found == wanted
    for path in (EXAMPLES / folder).glob("*.md"):
        reading = read(path.read_bytes(), has_key=False)
        assert [problem.code for problem in reading.problems] == [path.stem]
        assert reading.rejected == (folder == "invalid")


def test_a_related_entry_of_one_example_is_another_example():
    articles = [read(path.read_bytes(), has_key=True).article for path in (EXAMPLES / "valid").glob("*.md")]
    articles = [article for article in articles if article]
    described = {article.primary_url for article in articles}
    named = {entry.primary_url for article in articles for entry in article.related}
    assert len(described & named) >= 3
    assert named - described
