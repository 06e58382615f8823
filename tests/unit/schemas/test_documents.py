"""What the published schemas of documents say is what a worker does: on real, example and generated documents.

The accepted form is valid for exactly the documents that are not rejected, the strict form for exactly those without a
warning, both with and without a key.
"""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.codes import CODES, TEXT_CODES, Severity
from schemas.export import DOCUMENTS, FORMS, HERE, STRICT, schema_of
from schemas.forms.written_values import MAX_ITEMS, MAX_KEY_LENGTH, MAX_SCALAR
from schemas.references import Organization, reference_model
from tests.support.front_matter import CoreLoader, TextLoader, front_matter
from tests.unit.schemas.generated_documents import ARTICLES, ORGANIZATIONS, TOPICS, as_document
from worker.documents.limits import Limits
from worker.documents.validation import read

CHECK = Path(__file__).with_name("check.mjs")
FIELD_ERRORS = {"no_identity", "no_title", "bad_primary_url", "reference_document"}
"""Errors about fields. With any other error the text is not valid YAML or is beyond a limit, and has no JSON."""
BODY_CLEANED = ("text_cleaned", None)  # the body is no part of the front matter
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def published(name: str, *, has_key: bool) -> dict[str, Any]:
    """The schema to validate a document with: the published one, or its part for documents with a key."""
    schema = json.loads(schema_of(name))
    return {**schema, "allOf": [{"$ref": "#/$defs/WithKey"}]} if has_key and "WithKey" in schema["$defs"] else schema


@cache
def validator(name: str, has_key: bool) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(published(name, has_key=has_key))


def form_of(document: dict[str, Any]) -> str:
    """The name of the form that a document has by its `taxonomy`."""
    if document.get("taxonomy") is None:
        return "article"
    return "organization" if reference_model(document) is Organization else "topic"


def disagreements(raw: bytes, document: Any) -> list[tuple[Any, ...]]:
    """(form, has_key, what the worker says, its problems) for each form whose schema says something else."""
    if not isinstance(document, dict):
        return []
    found = []
    for has_key in (False, True):
        reading = read(raw, has_key=has_key)
        if any(one.severity is Severity.ERROR and one.code not in FIELD_ERRORS for one in reading.problems):
            continue
        warned = [
            one for one in reading.problems if one.code not in TEXT_CODES and (one.code, one.field) != BODY_CLEANED
        ]
        accepted, silent = not reading.rejected, not reading.rejected and not warned
        for name, expected in ((form_of(document), accepted), (STRICT + form_of(document), silent)):
            if validator(name, has_key).is_valid(document) != expected:
                found.append((name, has_key, expected, [(one.code, one.field) for one in reading.problems]))
    return found


@pytest.mark.parametrize("loader", [CoreLoader, TextLoader])
@pytest.mark.parametrize(
    "path", sorted((HERE / "examples").rglob("*.md")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_example_is_judged_as_by_the_worker(path, loader):
    try:
        document = front_matter(path.read_bytes(), loader)
    except (ValueError, yaml.YAMLError):
        assert read(path.read_bytes(), has_key=True).rejected
        return
    assert disagreements(path.read_bytes(), document) == []


@pytest.mark.parametrize("folder", ["valid", "invalid", "warned"])
def test_a_parsed_example_that_is_dumped_fits_the_schemas(folder):
    for path in (HERE / "examples" / folder).glob("*.md"):
        reading = read(path.read_bytes(), has_key=True)
        described = reading.article or reading.reference
        if described is not None:
            dumped = described.model_dump(mode="json", exclude_unset=True)
            form = form_of(dumped)
            validator(form, True).validate(dumped)
            if not reading.problems:
                validator(STRICT + form, True).validate(dumped)


@QUICK
@given(ARTICLES)
@example({})
@example({"title": "T"})
@example({"title": [" "], "webUrl": "https://a.example/"})
@example({"title": "T", "webUrl": "x", "sourceUrl": "https://a.example/"})
@example({"title": "T", "webUrl": "", "sourceUrl": "https://a.example/"})
@example({"Title": "T", "WEBURL": "https://a.example/"})
@example({"sponsor": {"name": "S"}, "webUrl": "https://a.example/"})
@example({"title": "x" * 1001, "webUrl": "https://a.example/"})
def test_every_article_is_judged_as_by_the_worker(document):
    assert disagreements(as_document(document), document) == []


@QUICK
@given(ORGANIZATIONS | TOPICS)
def test_every_reference_document_is_judged_as_by_the_worker(document):
    assert disagreements(as_document(document), document) == []


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ARTICLES | ORGANIZATIONS | TOPICS)
def test_many_documents_are_judged_as_by_the_worker(document):
    assert disagreements(as_document(document), document) == []


def test_a_sample_of_a_collection_is_judged_as_by_the_worker(corpus):
    _judge_collection(corpus("microsoft-power-apps"), every=25)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["ai", "diablo4", "microsoft-power-apps"])
def test_a_collection_is_judged_as_by_the_worker(corpus, name):
    _judge_collection(corpus(name), every=1)


def _judge_collection(folder: Path, *, every: int) -> None:
    judged = 0
    for path in sorted(folder.rglob("*.md"))[::every]:
        raw = path.read_bytes()
        for loader in (CoreLoader, TextLoader):
            try:
                document = front_matter(raw, loader)
            except (ValueError, yaml.YAMLError):
                continue
            assert disagreements(raw, document) == [], path
            judged += 1
    assert judged


@pytest.mark.parametrize("name", [name for name in FORMS if name.removeprefix(STRICT) in DOCUMENTS])
def test_each_schema_of_documents_is_a_valid_schema(name):
    schema = json.loads(schema_of(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema_of(name)):
        re.compile(json.loads(text))


def test_ajv_judges_generated_documents_like_jsonschema(node_folder):
    documents: list[dict[str, Any]] = []

    @settings(max_examples=75, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(ARTICLES))
    def collect(document):
        documents.append(document)

    collect()
    for name in ("article", "strict/article"):
        given_text = "\n".join(map(json.dumps, documents))
        arguments = ["node", CHECK, "json", str(HERE / "json" / f"{name}.json")]
        ran = subprocess.run(
            arguments, cwd=node_folder, input=given_text, capture_output=True, text=True, timeout=110, check=False
        )
        assert ran.returncode == 0, ran.stderr
        expected = ["1" if validator(name, False).is_valid(document) else "0" for document in documents]
        assert [d for d, one, other in zip(documents, ran.stdout.split(), expected, strict=True) if one != other] == []
        assert {"0", "1"} == set(expected)


def test_the_limits_in_the_schemas_are_those_of_the_worker():
    limits = Limits()
    assert (limits.max_items, limits.max_key_length, limits.max_scalar) == (MAX_ITEMS, MAX_KEY_LENGTH, MAX_SCALAR)


def test_the_codes_about_the_text_are_warnings():
    assert {CODES[code].severity for code in TEXT_CODES} == {Severity.WARNING}
