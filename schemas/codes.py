"""The list of all problem codes: the message of each, and what the sender of the document should do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error` rejects the document; `warning` costs at most the part it names."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """A problem code, its message, and what the sender of the document should do."""

    name: str
    severity: Severity
    message: str
    remedy: str


_ERRORS = (
    # front matter
    ("empty_document", "The document is empty.", "Send the document's text."),
    ("too_large", "The document is larger than the limit.", "Send the article, not its attachments."),
    ("not_utf8", "The document is not valid UTF-8.", "Save or encode it as UTF-8."),
    ("utf16", "The document is UTF-16.", "Save or encode it as UTF-8."),
    ("no_front_matter", "The document does not begin with front matter.",
     "Begin with a line that contains only ---, then the fields, then another such line."),
    ("toml_front_matter", "The front matter is TOML.", "Write it as YAML between two --- lines."),
    ("json_front_matter", "The front matter is JSON.", "Write it as YAML between two --- lines."),
    ("front_matter_language", "The opening --- names a language.", "Write only --- on the first line, and YAML after it."),
    ("front_matter_not_closed", "The front matter is not closed.", "Put a line that contains only --- after the last field."),
    ("empty_front_matter", "The front matter has no fields.", "Give at least a title and a URL."),
    # YAML
    ("yaml_syntax", "The front matter is not valid YAML.", "Correct the line shown."),
    ("yaml_unquoted_colon", "A value with a colon and a space is not in quotes.",
     "Put the whole value in double quotes."),
    ("yaml_inner_quotes", "Text follows the closing quote.",
     "Write \\\" for each double quote inside double quotes, or '' inside single ones."),
    ("yaml_unclosed_quote", "A quoted value is not closed.", "Close it with the quote that opened it."),
    ("yaml_escape", "A backslash in double quotes is not followed by an escape.",
     "Write \\\\ for a backslash, or put the value in single quotes."),
    ("yaml_tab", "A line is indented with a tab.", "Indent with spaces."),
    ("yaml_control_character", "A raw control character is in the text.", "Remove it, or correct the encoding."),
    ("yaml_indentation", "A line's indentation matches no level above it.",
     "Give the fields of one level the same number of spaces."),
    ("yaml_missing_colon", "A line has no colon after its field's name.", "Write it as name: value."),
    ("yaml_unclosed_bracket", "A [ or { is not closed.", "Close it, or put the value in quotes."),
    ("yaml_text_after_bracket", "Text follows a closing ] or }.", "Put the whole value in quotes."),
    ("yaml_special_character", "A value begins with a character that YAML reserves.",
     "Put the value in quotes."),
    ("yaml_unknown_alias", "An alias (*) has no anchor before it.", "Put a value that begins with * in quotes."),
    ("yaml_tag", "A tag (!) that is not one of YAML's own.", "Remove it, or put the value in quotes."),
    ("yaml_key", "A field's name is not a plain text.",
     "Name the field, or put a value that begins with { in quotes."),
    ("yaml_merge", "A << does not name a mapping.", "Use << with a mapping or a list of mappings."),
    ("duplicate_key", "A field is given twice.", "Keep one of the two."),
    ("several_documents", "The front matter holds several YAML documents.", "Send each as a document of its own."),
    ("not_a_mapping", "The front matter is not a list of named fields.", "Write fields as name: value."),
    ("too_deep", "The front matter is nested too deeply.", "Flatten it."),
    ("too_many_nodes", "The front matter has too many values.", "Split it."),
    ("too_many_aliases", "Aliases (*) expand to too many values.", "Write the values out, or leave them out."),
    ("too_many_merges", "Merges (<<) copy too many fields.", "Write the fields out."),
    # the article
    ("reference_document", "A reference document whose taxonomy is unknown.",
     "Use taxonomy organization, provider, topic or term; or leave it out and give a type."),
    ("no_identity", "The document has neither a URL nor a key.", "Give webUrl, or send a key with the document."),
    ("no_title", "The article has neither a title nor a name.", "Give a title."),
    ("bad_primary_url", "The URL of the article is not a valid URL.", "Give the whole address, beginning with https://."),
    # the worker
    ("poison", "Each process that read or stored the document ended.",
     "Do not send it again; show it to the operators."),
    ("internal_error", "The worker failed on the document.", "Nothing; the document is kept, and an error is logged for the operators."),
    # the stream entry
    ("no_raw", "The entry has no field raw.", "Put the document's bytes in the field raw."),
    ("unknown_op", "The entry's op is unknown.", "Use put or retract, or leave it out."),
    ("bad_source", "The entry's source is not a short text.", "Name the crawler in at most 200 characters."),
    ("bad_key", "The entry's key is not a short text.", "Use at most 1,024 characters without control characters."),
    ("retract_what", "The retraction has no key.", "Give key: the document's key or URL."),
    ("bad_reply_to", "The entry's reply_to is not a stream for replies.",
     "Use a name that begins with replies: and has at most 200 characters."),
    # a message on Celery's queue
    ("not_a_task", "A message on Celery's queue is not a readable task.",
     "Send documents with XADD, or the task copydesk.submit as JSON."),
    ("unknown_task", "A message on Celery's queue names an unknown task.",
     "Send the task copydesk.submit."),
    ("bad_task_arguments", "The task copydesk.submit does not take these arguments.",
     "Give raw as text (or raw_base64). Give source, key, op, reply_to and lane as text, or leave them out."),
    ("task_option", "The task copydesk.submit was sent with an option that documents cannot have.",
     "Send it when it is due, without expires, eta, countdown, link or chain."),
    ("lane_unusable", "The lane of the task copydesk.submit could take no documents.",
     "Nothing: the operators repair the lane and process the document then. Only a retraction must be sent again."),
)  # fmt: skip

_WARNINGS = (
    ("comment_cuts_value", "A comment (#) cuts a value; the text from # on is no part of it.",
     "Put the whole value in quotes; or put a space after # if it is meant as a comment."),
    ("unused_anchor", "An anchor (&) that no alias uses; it is no part of the value.",
     "Put the whole value in quotes if & belongs to its text."),
    ("invisible_character", "An invisible character is in a field's name or in the place of a space.",
     "Replace it with a plain space, or remove it."),
    ("field_name_case", "A field's name has another case; it was read as the known field if that is absent.",
     "Write the name as expected."),
    ("field_name_unknown", "A field is unknown, and its name is almost that of a known field; it is stored unchanged.",
     "Check the name's spelling."),
    ("bad_integer", "A number is not whole; it was left out.", "Write digits only."),
    ("integer_out_of_range", "A number has more than 32 bits; it was left out.", "Send a number of 32 bits."),
    ("bad_number", "A value is not a number; it was left out.", "Write digits, with a point where one is needed."),
    ("bad_duration", "A length is not a readable duration; it is kept as text.", "Write it like PT1H30M."),
    ("heat_differs", "The reported heat or published differs from the configured rules; both values are kept.",
     "Compare your rules with the operators' (COPYDESK_HEAT)."),
    ("bad_boolean", "A value is neither true nor false; it was left out.", "Write true or false."),
    ("bad_time", "A time cannot be read; it was left out.", "Write it like 2020-05-29T22:57:00Z."),
    ("time_out_of_range", "A time is outside 1900 to 2100; it was left out.", "Correct the year."),
    ("time_without_zone", "A time has no zone; it was read as UTC.", "End it with Z or an offset such as +02:00."),
    ("bad_url", "A URL cannot be used; it was left out.", "Give a whole address, beginning with https://."),
    ("url_too_long", "A URL is too long; it was left out.", "Give the page's own short address."),
    ("url_with_space", "A URL contains spaces or invisible characters; they were percent-encoded.", "Write each space of a URL as %20."),
    ("wrong_shape", "A value has another shape than its field; it was left out.", "See the field's JSON Schema."),
    ("missing_part", "A part lacks a required field; it was left out.", "Give an image its url."),
    ("single_value", "A single value is given instead of a list; it was read as a list of one.",
     "Write it as a list: a line with - before each."),
    ("comma_list", "A text with commas is given instead of a list; it was read as a list of its parts.",
     "Write it as a list: a line with - before each."),
    ("list_of_one", "A list is given instead of a single value; its only value was used.",
     "Write the value alone, without a - or brackets."),
    ("too_many_items", "A list is too long; its end was left out.", "Send fewer."),
    ("related_without_url", "A related entry has no URL; it cannot be linked to an article.", "Give its webUrl."),
    ("unknown_kind", "The type is unknown; the document is stored unchanged.", "Check the type's spelling."),
    ("text_cleaned", "Characters that are not allowed in text (NUL, controls; in titles also invisible ones) were removed.",
     "Remove them before sending."),
    ("value_too_long", "A value is too long; it was left out.", "Shorten it; a whole text belongs after the front matter, as the body."),
    ("key_too_long", "A field's name is too long; the field was left out.", "Shorten it."),
    ("too_many_problems", "The document has more problems than are listed.", "Correct those listed and check again."),
    ("unknown_entry_field", "The entry has an unknown field.", "Check its spelling."),
    ("nothing_to_retract", "No live document of this source has this key or this URL.",
     "Check the key and the source; a document's own key always works."),
    ("bad_traceparent", "The traceparent is not in the W3C form; it was ignored.",
     "Send 00-<trace>-<span>-<flags>."),
)  # fmt: skip

CODES: dict[str, Code] = {
    name: Code(name, severity, message, remedy)
    for severity, rows in ((Severity.ERROR, _ERRORS), (Severity.WARNING, _WARNINGS))
    for name, message, remedy in rows
}

ENVELOPE_CODES = frozenset({
    "no_raw", "unknown_op", "bad_source", "bad_key", "retract_what", "bad_reply_to", "unknown_entry_field",
    "bad_traceparent",
})  # fmt: skip
"""Codes about the fields of the stream entry. `check` reads a file, so it never reports them."""

CELERY_CODES = frozenset({"not_a_task", "unknown_task", "bad_task_arguments", "task_option", "lane_unusable"})
"""Codes about a message on Celery's queue. `check` reads a file, so it never reports them."""

TEXT_CODES = frozenset({"comment_cuts_value", "unused_anchor", "invisible_character", "field_name_unknown"})
"""Warnings about the text of the front matter, or guesses about a name. A JSON Schema of the values cannot tell them."""

WORKER_CODES = frozenset({"poison", "internal_error", "heat_differs", "nothing_to_retract"})
"""Codes that depend on the worker's state or configuration and not on the document alone."""
