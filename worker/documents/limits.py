"""The limits of a document, with the reason for each.

They are enforced while a document is parsed, because a kilobyte of YAML can expand to gigabytes. Limits that come from
the store's columns and indexes (integers, years, the length of a topic) are in `schemas.values`, as a part of the
public schema.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one document. The maxima in 22,000 real documents are 143 kB, 7,000 nodes and 179 related entries."""

    max_bytes: int = 1_048_576
    """Bytes of the whole document before decoding: seven times the largest real one."""
    max_depth: int = 32
    """Levels of nesting. Real documents reach 6. A recursive parser crashes at some thousands."""
    max_nodes: int = 50_000
    """Scalars, lists and mappings. An alias counts as all nodes of its value. This bounds time and memory."""
    max_aliases: int = 10_000
    """Nodes (and kilobytes of text) that come from aliases. No real document has any."""
    max_merge_keys: int = 1_000
    """Keys copied by `<<`. Nested merges multiply them."""
    max_key_length: int = 200
    """Characters of a field's name. The longest real one has 20."""
    max_scalar: int = 262_144
    """Characters of one value. `featuredContent` can hold the HTML of a whole article."""
    max_url_bytes: int = 2_048
    """Bytes of a URL. The longest real one has 450. The limits of browsers and PostgreSQL's indexes are near this."""
    max_items: int = 1_000
    """Entries of a list such as `related`, `topics` or `images`. Real lists reach 179."""
    max_problems: int = 100
    """Problems reported for one document. Nobody reads more, and each one is stored."""


DEFAULT = Limits()
