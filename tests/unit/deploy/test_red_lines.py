"""The runbook has each sentence with which status, health and the console say what is wrong."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.servers import ROOT

RUNBOOK = (ROOT / "worker" / "deploy" / "RUNBOOK.md").read_text("utf-8")
SOURCES = (
    "monitoring/alarms.py", "monitoring/lane_faults.py", "monitoring/source_pauses.py", "monitoring/sources/alarm.py",
    "queue/connection_faults.py",
)  # fmt: skip
PART_OF_A_SENTENCE = ("; what a repair does",)


def _text(node):
    """Return a string or an f-string with … for each value in it; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def _candidates(tree):
    """Yield what a module says: values of `yield`, of `sentence`, of lists, of `append`, and of alarms and faults."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Yield):
            yield node.value
        elif isinstance(node, ast.Return):
            yield node.value
            yield from node.value.elts if isinstance(node.value, ast.List) else ()
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("sentence", "more", "begin"):
            yield from (node.value.body, node.value.orelse) if isinstance(node.value, ast.IfExp) else (node.value,)
        elif isinstance(node, ast.Call):
            yield from node.args[:2]
        elif isinstance(node, ast.Tuple):
            yield from node.elts


def sentences():
    found = set()
    for source in SOURCES:
        for node in _candidates(ast.parse((ROOT / "worker" / source).read_text("utf-8"))):
            text = _text(node) if node is not None else None
            if (
                text
                and " " in text
                and len(re.findall(r"[a-z]{2,}", text)) >= 3
                and not text.startswith(PART_OF_A_SENTENCE)
            ):
                found.add(text)
    return sorted(found)


def patterns():
    table = RUNBOOK.partition("## The red lines of status")[2].partition("\n## ")[0]
    lines = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    return [
        ".*".join(map(re.escape, part.strip("…").split("…"))) for line in lines for part in re.findall(r"`(.*?)`", line)
    ]


SAID = sentences()


def test_the_sentences_and_the_patterns_are_found():
    assert min(map(len, patterns())) > 8
    assert len(SAID) > 30
    for begin in ("Redis is not running at …", "Lane … is paused by", "No worker is alive", "Nothing comes from any"):
        assert any(sentence.startswith(begin) for sentence in SAID), begin


NOT_FAULTS = (
    "copydesk lane resume", "there is no receipt yet", "the last receipt is", "documents wait in Redis", "Name or service",
    "Temporary failure", "nodename nor", "HELLO must be", "Connection refused", "No such file", "Authentication required",
    "invalid", "documents were expected", "… documents were expected", "worker/deploy has", "Correct COPYDESK", "Add it to",
    "Free space", "Try again", "See whether", "Start it", "Check ", "sources", "copydesk sources", "…; 19 of 20", "… s",
)  # fmt: skip
"""Parts of sentences, remedies, and texts of servers that are recognised."""


@pytest.mark.parametrize("sentence", [one for one in SAID if not one.startswith(NOT_FAULTS)])
def test_a_sentence_is_in_the_table_of_the_runbook(sentence):
    assert any(re.search(pattern, sentence, re.IGNORECASE) for pattern in patterns())
