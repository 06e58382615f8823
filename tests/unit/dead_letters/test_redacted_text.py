"""Secrets in a document are not shown, and are restored when the text is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.dead_letters.redacted_text import redact
from worker.telemetry.redaction import mask_page

VALUE = "QUJDREVGR0hJSktMTU5PUA==;QUJDREVGR0hJSktMTU5PUA=="

FORMS = {
    "quoted": '---\nsecured: "{}"\n---\n',
    "plain": "---\nsecured: {}\n---\n",
    "single": "---\nsecured: '{}'\n---\n",
    "named in quotes": '---\n"secured": "{}"\n---\n',
    "nested": "---\nrelated:\n  - secured: {}\n    title: x\n---\n",
    "literal": "---\nsecured: |\n  {}\n  SECONDLINE\ntitle: x\n---\n",
    "folded": "---\nsecured: >-\n\n  {}\n---\n",
    "next line": "---\nsecured:\n  {}\n---\n",
    "over lines": '---\nsecured: "FIRST\n  {}"\n---\n',
    "flow": '---\n{{"title": "x", "secured": "{}"}}\n---\n',
    "not closed": '---\nsecured: "{}\ntitle: x\n',
    "indented": "---\n  secured: {}\n---\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secured_value_is_redacted_in_every_form(form):
    raw = FORMS[form].format(VALUE).encode()
    shown = redact(raw)

    for part in (VALUE, "QUJD", "SECONDLINE", "FIRST"):
        assert part not in shown.text
    assert shown.raw(shown.text) == raw
    assert shown.text.count("\n") == raw.count(b"\n")


def test_credentials_are_redacted():
    raw = b"---\nwebUrl: https://me:hunter22@host.example/\npassword: hunter33\n---\n"

    text = redact(raw).text

    assert "hunter" not in text
    assert "host.example" in text


def test_an_empty_value_redacts_nothing_of_the_next_line():
    assert redact(b"---\nsecured:\ntitle: One: two\n---\n").text == "---\nsecured:\ntitle: One: two\n---\n"


def test_a_placeholder_in_a_document_is_not_replaced_by_a_secret():
    first = redact(f'---\nsecured: "{VALUE}"\ntitle: x\n---\n'.encode())
    [mark] = first.secrets

    second = redact(f'---\nsecured: "{VALUE}"\ntitle: {mark}\n---\n'.encode())

    assert second.raw(second.text).decode().count(VALUE) == 1


def test_an_edit_beside_a_secret_keeps_the_secret():
    shown = redact(f'---\ntitle: a: b\nsecured: "{VALUE}"\n---\n'.encode())

    assert shown.raw(shown.text.replace("a: b", "a b")) == f'---\ntitle: a b\nsecured: "{VALUE}"\n---\n'.encode()


@pytest.mark.parametrize(("raw", "encoding", "text"), [
    ("caf\u00e9".encode("latin-1"), "Windows-1252", "café"),
    ("café".encode("utf-16"), "UTF-16", "café"),
    (b"\xff\xfe\x00", "UTF-16", "\ufffd"),
    ("café".encode(), "UTF-8", "café"),
])  # fmt: skip
def test_invalid_utf8_is_shown_and_becomes_utf8(raw, encoding, text):
    shown = redact(raw)

    assert (shown.encoding, shown.text) == (encoding, text)
    assert shown.raw(shown.text) == text.encode()


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
def test_line_breaks_are_kept(breaks):
    raw = f"---{breaks}title: x{breaks}---{breaks}".encode()
    shown = redact(raw)

    assert shown.raw(shown.text.replace("\n", "\r\n")) == raw


PIECES = st.sampled_from(
    [
        "secured",
        ": ",
        '"',
        "'",
        "\n",
        "  ",
        "- ",
        "|",
        "://",
        "a:b@",
        "password=",
        VALUE,
        "⟦hidden 1 ",
        "⟧",
        "x",
        "é",
        "{",
        "}",
        "\t",
    ]
)


@given(st.lists(PIECES, max_size=40))
def test_any_document_is_restored_without_loss(pieces):
    raw = "".join(pieces).encode()
    shown = redact(raw)

    assert shown.raw(shown.text) == raw
    assert all(value not in ("", "\n") for value in shown.secrets.values())


@pytest.mark.parametrize("count", [1, 65_000, 65_536])
def test_a_document_with_every_four_digit_placeholder_is_shown(count):
    named = " ".join(f"⟦hidden 1 {number:04x}⟧" if number < 100 else f"{number:04x}⟧" for number in range(count))
    raw = f"---\nsecured: {VALUE}\n---\n {named}\n".encode()
    shown = redact(raw)

    (mark,) = shown.secrets
    assert shown.text.count(mark) == 1
    assert shown.raw(shown.text) == raw


def test_large_repetitive_documents_are_redacted_quickly():
    for piece in ("secured:", "secured: \n ", " ", "://", "password=", '"secured": "', "secured:\n"):
        raw = (piece * (100_000 // len(piece))).encode()
        assert redact(raw).raw(redact(raw).text) == raw


@pytest.mark.parametrize("text", [
    f"see {VALUE}", "https://me:hunter22@host.example/",
])  # fmt: skip
def test_no_page_shows_a_secret(text):
    shown = mask_page(text)

    assert "QUJD" not in shown
    assert "hunter" not in shown


@pytest.mark.parametrize(
    "text", ["Forgot your password: what now?", "Funding secured: millions", "a@b.example", "10:30;20"]
)
def test_a_sentence_about_secrets_is_not_redacted(text):
    assert mask_page(text) == text
