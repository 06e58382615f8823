"""Tables of a page as CSV: what a cell shows, on one line, and never a formula."""

import csv
import io

import pytest

from worker.console.csv_tables import csv_of


def rows(page):
    return list(csv.reader(io.StringIO(csv_of(page))))


def test_each_table_has_its_caption_headings_and_rows():
    page = """<h1>No</h1><table><caption class="unseen">One</caption><thead><tr><th>a</th><th>b</th></tr></thead>
    <tbody><tr><th><a href="/x">1</a></th><td>x,<br>"y"<div>z</div></td></tr></tbody></table>
    <table><tr><td>&lt;b&gt; &amp; co</td></tr></table>"""
    assert rows(page) == [["One"], ["a", "b"], ["1", 'x, "y" z'], [], ["<b> & co"]]


@pytest.mark.parametrize(("cell", "expected"), [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@SUM(A1)", "'@SUM(A1)"), ("+1+1", "'+1+1"), ("-2+3", "'-2+3"),
    ("-5", "-5"), ("-1,234.5", "-1,234.5"), ("–", "–"), ("-", "-"), ("a=b", "a=b"),
])  # fmt: skip
def test_no_cell_is_a_formula_to_a_spreadsheet(cell, expected):
    assert rows(f"<table><tr><td>{cell}</td></tr></table>") == [[expected]]


def test_a_page_without_tables_is_empty():
    assert csv_of("<p>Nothing</p>") == ""


def test_a_cell_without_a_value_is_empty():
    assert rows('<table><tr><td><span class="no-value">–</span></td><td>5</td></tr></table>') == [["", "5"]]
