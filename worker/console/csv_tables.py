"""The tables of a page as CSV, as the page shows them: secrets are masked already."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins with one of these is a formula to a spreadsheet."""


def csv_of(page: str) -> str:
    """Return the tables of a page one after the other: their captions, headings and rows, with a blank line between."""
    reader = _Tables()
    reader.feed(page)
    reader.close()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for number, rows in enumerate(reader.tables):
        if number:
            writer.writerow([])
        writer.writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: str) -> str:
    text = " ".join(cell.split())
    is_number = text.lstrip("-").replace(",", "").replace(".", "", 1).isdigit()
    return f"'{text}" if text.startswith(_FORMULA) and not is_number and len(text) > 1 else text


class _Tables(HTMLParser):
    """Collects the texts of cells. A row of the page's own form has no headings in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._cell: list[str] | None = None
        self._is_dash = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th", "caption") and self.tables:
            self._cell = []
        elif tag == "span" and ("class", "no-value") in attrs:
            self._is_dash = True  # it stands for an empty cell
        elif tag in ("br", "div") and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "caption") and self._cell is not None:
            text, self._cell = "".join(self._cell), None
            if tag == "caption":
                self.tables[-1].append([text])
            elif self.tables[-1]:
                self.tables[-1][-1].append(text)

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._is_dash:
            self._cell.append(data)
        self._is_dash = False
