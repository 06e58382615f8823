"""Each shape of a drawing has a colour of the theme: without one a browser draws it black, also on a dark page."""

from __future__ import annotations

import re

import pytest

from tests.support.servers import ROOT

CONSOLE = ROOT / "worker" / "console"
CSS = (CONSOLE / "static" / "console.css").read_text("utf-8")
SHAPES = [
    (template.name, shape, name)
    for template in sorted((CONSOLE / "templates").glob("*.html"))
    for shape, names in re.findall(
        r'<(rect|path|line|polyline|polygon|circle|text)\b[^>]*?class="([^"{]+)"', template.read_text("utf-8")
    )
    for name in names.split()
]


def test_the_drawings_are_found():
    assert {"source.html", "plot.html"} <= {template for template, _, _ in SHAPES}


def coloured() -> set[str]:
    """Return the classes for which a rule of the style sheet sets a fill or a stroke."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", CSS)
    return {
        name
        for selector, body in rules
        if re.search(r"\b(fill|stroke)\s*:", body)
        for name in re.findall(r"\.plot[^,]* \.([\w-]+)", selector)
    }


@pytest.mark.parametrize(("template", "shape", "name"), SHAPES)
def test_a_shape_has_a_colour_of_the_theme(template, shape, name):
    classes = {one for where, what, one in SHAPES if (where, what) == (template, shape)}
    assert name in coloured() or name in ("x", "y"), f"{shape} of {template}; others there: {classes}"
