"""Rich, for texts of others: without markup, and without control characters but its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from worker.observe.terminal import printable


class TextConsole(Console):
    """A console to which a string is text: `[/x]` is no markup, `:smile:` no picture, ESC no escape sequence."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Before a table is measured, so that its columns fit what is shown."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that is shown comes by here, also what is no string but a `Text`."""
        for segment in super().render(renderable, options):
            is_own = segment.control is not None  # moves the cursor, clears the screen
            yield segment if is_own else Segment(printable(segment.text), segment.style)
