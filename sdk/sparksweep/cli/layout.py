"""The layout of a table on a terminal of any width: one line a row, numbers and states whole. Pure.

A table that is too wide first loses text, then whole columns from the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from sparksweep.cli.output import Line, Span

GAP = "  "
NARROWEST = 8
"""Columns to which a text or a title may be cut."""


@dataclass(frozen=True)
class Column:
    """A column: a title and a cell for each row, each on one line."""

    title: str
    cells: Sequence[str]
    is_text: bool = False
    """True for text, which may be cut. Numbers and states never are."""
    is_right: bool = True
    """True if the cells end at the right edge, as numbers do."""
    styles: Sequence[str] = ()
    """A style for each cell; none: the row's."""


@dataclass(frozen=True)
class Layout:
    """A table as lines, the title first."""

    lines: list[Line]
    dropped: list[str]
    """Titles of the columns that had no room."""


def lay_out(
    columns: Sequence[Column], width: int | None, *, row_styles: Sequence[str] = ()
) -> Layout:
    """Return a table of at most so many columns of the terminal, if its first column has room.

    Args:
        columns: The columns, the most important first.
        width: The terminal's columns; None: no limit.
        row_styles: A style for each row.
    """
    shown = list(columns)
    while width is not None and len(shown) > 1 and _total([_least(c) for c in shown]) > width:
        shown.pop()
    widths = _widths(shown, width)
    head = [
        Span(_fit(column.title, size, is_right=column.is_right), "bold")
        for column, size in zip(shown, widths, strict=True)
    ]
    lines = [_joined(head)]
    for row in range(len(shown[0].cells) if shown else 0):
        row_style = row_styles[row] if row_styles else ""
        cells = [
            Span(
                _fit(column.cells[row], size, is_right=column.is_right),
                f"{row_style} {column.styles[row] if column.styles else ''}".strip(),
            )
            for column, size in zip(shown, widths, strict=True)
        ]
        lines.append(_joined(cells))
    return Layout(lines, [column.title for column in columns[len(shown) :]])


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """Return the columns' widths: their own, or less for text while the table is too wide, the widest first."""
    widths = [_natural(column) for column in columns]
    if width is None:
        return widths
    least = [_least(column) for column in columns]
    excess = _total(widths) - width
    while excess > 0:
        spare = [index for index, size in enumerate(widths) if size > least[index]]
        if not spare:
            break
        widths[max(spare, key=lambda index: (widths[index], index))] -= 1
        excess -= 1
    return widths


def _natural(column: Column) -> int:
    return max([cell_len(column.title), *map(cell_len, column.cells)])


def _least(column: Column) -> int:
    """Return the least width: of text a few characters, of anything else the widest cell; a title may be cut."""
    cells = max([1, *map(cell_len, column.cells)])
    if column.is_text:
        cells = min(cells, NARROWEST)
    return max(cells, min(cell_len(column.title), NARROWEST))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * max(0, len(widths) - 1)


def _fit(text: str, size: int, *, is_right: bool) -> str:
    length = cell_len(text)
    if length > size:
        text = set_cell_size(text, size - 1).rstrip() + "…"
        length = cell_len(text)
    blanks = " " * (size - length)
    return blanks + text if is_right else text + blanks


def _joined(cells: Sequence[Span]) -> Line:
    """Return a row with gaps between its cells, without blanks at its end."""
    spans: list[Span] = []
    for cell in cells:
        spans += [Span(GAP), cell] if spans else [cell]
    while spans and not spans[-1].text.rstrip():
        spans.pop()
    if spans:
        spans[-1] = replace(spans[-1], text=spans[-1].text.rstrip())
    return spans
