from __future__ import annotations

import copy
import json

import pytest

from schemas.diff import compare
from schemas.export import FORMS, HERE, schema_of
from tests.servers import copydesk


def changed(name, change):
    old = json.loads(schema_of(name))
    new = copy.deepcopy(old)
    change(new)
    return [(found.path, found.breaks) for found in compare(name, old, new)]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_as_itself(name):
    assert changed(name, lambda schema: None) == []


@pytest.mark.parametrize(
    ("change", "path", "breaks"),
    [
        (lambda s: s["properties"].update(colour={"type": "string"}), "colour", None),
        (lambda s: s["properties"].pop("heat"), "heat", "producers"),
        (lambda s: s.update(required=["title"]), "title", "producers"),
        (lambda s: s["properties"].update(heat={"type": "integer"}), "heat", "producers"),
        (lambda s: s["properties"].update(heat={"anyOf": [*s["properties"]["heat"]["anyOf"], {"type": "string"}]}), "heat", None),
        (lambda s: s["properties"]["heat"]["anyOf"][0].update(maximum=100), "heat", "producers"),
        (lambda s: s["properties"]["heat"]["anyOf"][0].update(maximum=2**40), "heat", None),
        (lambda s: s["properties"]["webUrl"]["anyOf"][0].pop("pattern"), "webUrl", None),
        (lambda s: s["properties"]["webUrl"]["anyOf"][0].update(pattern="^https:"), "webUrl", "producers"),
        (lambda s: s["$defs"]["Image"].update(required=["url", "width"]), "images[].width", "producers"),
        (lambda s: s["$defs"]["Image"].update(additionalProperties=False), "images[]", "producers"),
    ],
)  # fmt: skip
def test_what_takes_less_breaks_producers(change, path, breaks):
    assert (path, breaks) in changed("article", change)


@pytest.mark.parametrize(
    ("change", "path", "breaks"),
    [
        (lambda s: s["properties"].update(colour={"type": "string"}), "colour", None),
        (lambda s: s["properties"].pop("url"), "url", "consumers"),
        (
            lambda s: s["properties"]["outcome"]["anyOf"].append({"const": "lost", "type": "string"}),
            "outcome",
            "consumers",
        ),
        (lambda s: s["$defs"]["Outcome"]["enum"].remove("superseded"), "outcome", None),
        (lambda s: s["properties"]["attempts"].update(type=["integer", "null"]), "attempts", "consumers"),
        (lambda s: s["required"].remove("id"), "id", "consumers"),
        (lambda s: s["$defs"]["Problem"]["properties"].pop("code"), "problems[].code", "consumers"),
    ],
)
def test_what_says_more_breaks_consumers(change, path, breaks):
    assert (path, breaks) in changed("receipt", change)


def test_the_command_names_what_breaks_and_for_whom(tmp_path):
    assert copydesk("schema", "export", "old", cwd=tmp_path).returncode == 0
    exported = {str(path.relative_to(tmp_path / "old")) for path in (tmp_path / "old").rglob("*.*")}
    assert exported == {"asyncapi.yaml", *(f"json/{name}.json" for name in FORMS)}
    assert (tmp_path / "old/asyncapi.yaml").read_text() == (HERE / "asyncapi.yaml").read_text()
    assert copydesk("schema", "export", "new", cwd=tmp_path).returncode == 0
    same = copydesk("schema", "diff", "old/json", "new/json", cwd=tmp_path)
    assert (same.returncode, same.stdout) == (0, "")
    article = json.loads((tmp_path / "new/json/article.json").read_text())
    article["required"] = ["title"]
    (tmp_path / "new/json/article.json").write_text(json.dumps(article))
    (tmp_path / "new/json/summary.json").unlink()
    differs = copydesk("schema", "diff", "old/json", "new/json", cwd=tmp_path)
    assert differs.returncode == 4
    assert differs.stdout.splitlines() == [
        "breaks producers: article: title: is now needed",
        "breaks producers and consumers: summary: (the whole): the form is gone",
    ]
    told = copydesk("schema", "diff", "--json", "old/json/article.json", "new/json/article.json", cwd=tmp_path)
    expected = {"form": "article", "path": "title", "what": "is now needed", "breaks": "producers"}
    assert json.loads(told.stdout) == expected
