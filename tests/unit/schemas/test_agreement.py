"""What the JSON Schemas accept is what the models accept, on every example and on thousands of generated documents.

A document agrees with a model if every known value is kept *as written*: a number in quotes is read as a number, and
is no number for the schema. Two validators check it: jsonschema, and ajv from npm if Node.js is installed.
"""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from schemas.export import DOCUMENTS, FORMS, HERE, schema_of
from tests.unit.schemas.generated import Generator, other_names
from worker.documents.validation import read

CHECK = Path(__file__).with_name("check.mjs")
COUNT = 600  # for each schema, and four times as many for each schema of a document

FORMATS = jsonschema.FormatChecker(formats=[])


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def as_written(given: Any, read_back: Any, older: dict[str, str]) -> bool:
    """Return whether the parsed value has the given values: of the same type, under the same or the newer name."""
    if isinstance(given, dict) and isinstance(read_back, dict):
        return all(
            as_written(value, read_back[name if name in read_back else older[name]], older)
            for name, value in given.items()
            if name in read_back or older.get(name) in read_back
        )
    if isinstance(given, list) and isinstance(read_back, list):
        return len(given) == len(read_back) and all(map(as_written, given, read_back, [older] * len(given)))
    return type(given) is type(read_back) or (type(given) is int and read_back == given)  # 4 is read as 4.0


def model_accepts(name: str, document: Any, older: dict[str, str]) -> bool:
    try:
        if name in DOCUMENTS:
            model = FORMS[name].model_validate(document)
            return as_written(document, model.model_dump(mode="json", exclude_unset=True), older)
        FORMS[name].model_validate_json(json.dumps(document), strict=True)
    except ValidationError:
        return False
    return True


def older_names(schema: dict[str, Any]) -> dict[str, str]:
    parts = (schema, *schema.get("$defs", {}).values())
    return {other: newest for part in parts for other, newest in other_names(part.get("properties", {})).items()}


def node(folder: Path, *arguments: object, given: str = "") -> str:
    ran = subprocess.run(["node", CHECK, *map(str, arguments)], cwd=folder, input=given, capture_output=True, text=True, timeout=110,
                         check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@cache
def tried(name: str) -> list[tuple[Any, bool]]:
    """Generated documents, each with whether the model accepts it."""
    schema = json.loads(schema_of(name))
    generator, older = Generator(schema, seed=20201123), older_names(schema)
    made = [generator.document() for _ in range(4 * COUNT if name in DOCUMENTS else COUNT)]
    return [(document, model_accepts(name, document, older)) for document in made]


@pytest.mark.parametrize("name", FORMS)
def test_schema_and_model_agree_both_ways(name):
    schema = json.loads(schema_of(name))
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    verdicts = [validator.is_valid(document) for document, _ in tried(name)]
    differing = [d for (d, accepted), valid in zip(tried(name), verdicts, strict=True) if valid != accepted]
    assert differing == []
    assert min(verdicts.count(True), verdicts.count(False)) > len(verdicts) / 10, "both verdicts are tried"


@pytest.mark.parametrize("name", FORMS)
def test_ajv_agrees_with_the_models(name, node_folder):
    given = "\n".join(json.dumps(document) for document, _ in tried(name))
    verdicts = node(node_folder, "json", HERE / "json" / f"{name}.json", given=given).split()
    assert [d for (d, accepted), v in zip(tried(name), verdicts, strict=True) if (v == "1") != accepted] == []


@pytest.mark.parametrize("folder", ["valid", "invalid", "warned"])
def test_the_parsed_examples_fit_the_schema(folder):
    validator = jsonschema.Draft202012Validator(json.loads(schema_of("article")))
    for path in (HERE / "examples" / folder).glob("*.md"):
        article = read(path.read_bytes(), has_key=True).article
        if article is not None:
            validator.validate(article.model_dump(mode="json", exclude_unset=True))


def test_asyncapis_own_parser_finds_nothing_wrong(node_folder):
    assert node(node_folder, "asyncapi", HERE / "asyncapi.yaml") == ""


def test_the_asyncapi_file_describes_the_envelope():
    import yaml

    from schemas.envelope import MAX_KEY, MAX_REPLY_TO, MAX_SOURCE, Envelope, Op
    from worker.settings import Settings

    api = yaml.safe_load((HERE / "asyncapi.yaml").read_text("utf-8"))
    put, retract = (api["components"]["messages"][name]["payload"]["properties"] for name in ("put", "retract"))
    assert set(put) == set(Envelope.model_fields)
    assert set(retract) == set(Envelope.model_fields) - {"raw"}
    assert {put["op"]["const"], retract["op"]["const"]} == set(Op)
    assert put["raw"]["maxLength"] == Settings().max_document_bytes
    forms = [form["$ref"] for form in put["raw"]["contentSchema"]["anyOf"]]
    assert forms == [f"json/{name}.json" for name in DOCUMENTS]
    schemas = api["components"]["schemas"]
    assert [schemas[name]["maxLength"] for name in ("source", "key", "replyTo")] == [MAX_SOURCE, MAX_KEY, MAX_REPLY_TO]
