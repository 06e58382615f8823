"""Sizes in bytes as people read them."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Format bytes as `512 B`, `12 KiB`, `1.5 MiB` or `2.0 GiB`, with a decimal below ten from MiB on."""
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.{int(unit in ('MiB', 'GiB') and count < 10)}f} {unit}"
