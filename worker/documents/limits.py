"""How large a document may be, in every direction, each with its reason.

They hold while a document is parsed, not after: a kilobyte of YAML can stand for gigabytes. What the store's columns and
indexes bound (integers, years, a topic's length) is in `schemas.values`, because it is part of the public schema.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document. The largest of 22,000 real ones has 143 kB, 7,000 nodes and 179 related entries."""

    max_bytes: int = 1_048_576
    """The whole document, before decoding: seven times the largest real one."""
    max_depth: int = 32
    """Nesting; real documents reach 6, and a parser that recurses dies at thousands."""
    max_nodes: int = 50_000
    """Scalars, lists and mappings, aliases counted by what they stand for: bounds time and memory."""
    max_aliases: int = 10_000
    """Nodes (and kilobytes of text) that come from aliases alone; no real document has any."""
    max_merge_keys: int = 1_000
    """Keys copied by `<<`: merges of merges multiply."""
    max_key_length: int = 200
    """Characters of a field's name; the longest real one has 20."""
    max_scalar: int = 262_144
    """Characters of one value; `featuredContent` holds a whole article's HTML."""
    max_url_bytes: int = 2_048
    """The longest real one has 450; browsers and PostgreSQL's indexes give up near this."""
    max_items: int = 1_000
    """Entries of `related`, `topics` or `images`; real lists reach 179."""
    max_problems: int = 100
    """Problems reported of one document: nobody reads on, and each is stored."""


DEFAULT = Limits()
