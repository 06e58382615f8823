"""What the JSON Schemas of messages (receipts, problems …) accept is what the models accept, on generated messages.

Two validators check it: jsonschema, and ajv from npm if Node.js is installed. `test_documents.py` checks documents.
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

from schemas.export import DOCUMENTS, HERE, MESSAGES, schema_of
from tests.unit.schemas.generated import Generator

CHECK = Path(__file__).with_name("check.mjs")
COUNT = 200  # for each schema

FORMATS = jsonschema.FormatChecker(formats=[])


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def model_accepts(name: str, message: Any) -> bool:
    try:
        MESSAGES[name].model_validate_json(json.dumps(message), strict=True)
    except ValidationError:
        return False
    return True


def node(folder: Path, *arguments: object, given: str = "") -> str:
    ran = subprocess.run(["node", CHECK, *map(str, arguments)], cwd=folder, input=given, capture_output=True, text=True, timeout=110,
                         check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@cache
def tried(name: str) -> list[tuple[Any, bool]]:
    """Generated messages, each with whether the model accepts it."""
    generator = Generator(json.loads(schema_of(name)), seed=20201123)
    made = [generator.document() for _ in range(COUNT)]
    return [(message, model_accepts(name, message)) for message in made]


@pytest.mark.parametrize("name", MESSAGES)
def test_schema_and_model_agree_both_ways(name):
    schema = json.loads(schema_of(name))
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    verdicts = [validator.is_valid(document) for document, _ in tried(name)]
    differing = [d for (d, accepted), valid in zip(tried(name), verdicts, strict=True) if valid != accepted]
    assert differing == []
    assert min(verdicts.count(True), verdicts.count(False)) > len(verdicts) / 10, "both verdicts are tried"


@pytest.mark.parametrize("name", MESSAGES)
def test_ajv_agrees_with_the_models(name, node_folder):
    given = "\n".join(json.dumps(document) for document, _ in tried(name))
    verdicts = node(node_folder, "json", HERE / "json" / f"{name}.json", given=given).split()
    assert [d for (d, accepted), v in zip(tried(name), verdicts, strict=True) if (v == "1") != accepted] == []


@pytest.mark.long
def test_asyncapis_own_parser_finds_nothing_wrong(asyncapi_folder):
    assert node(asyncapi_folder, "asyncapi", HERE / "asyncapi.yaml") == ""


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
