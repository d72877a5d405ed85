"""The layout of tables: one line a row at any width, numbers and states whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sparksweep.cli.layout import Column, Layout, lay_out
from sparksweep.cli.output import Span, cut

NUMBERS = ["5.60796e-05", "0.123457", "-1e-300", ""]
TABLE = [
    Column("Trial", ["1", "2", "3", "4"]),
    Column("State", ["Succeeded", "Failed", "Running", "Pending"], is_right=False),
    Column("validation_accuracy", NUMBERS),
    Column("optimizer", ["adam", "日本語" * 4, "", "stochastic gradient descent"], is_text=True, is_right=False),
    Column("Time", ["1.5s", "2m03s", "", ""]),
    Column("Reason", ["", "Exception: " + "long " * 20, "", ""], is_text=True, is_right=False),
]  # fmt: skip


def texts(layout: Layout) -> list[str]:
    return ["".join(span.text for span in line) for line in layout.lines]


@pytest.mark.parametrize("width", [None, *range(1, 200, 7), 40, 80, 120])
def test_numbers_and_states_are_whole_and_no_line_is_too_long(width: int | None) -> None:
    layout = lay_out(TABLE, width)
    shown = texts(layout)
    assert len(shown) == 5
    kept = len(TABLE) - len(layout.dropped)
    assert layout.dropped == [column.title for column in TABLE[kept:]]
    for column in TABLE[:kept]:
        for row, cell in enumerate(column.cells, start=1):
            assert column.is_text or cell in shown[row]
    if width is not None and width >= 5:
        assert max(map(cell_len, shown)) <= width
    if width is None:
        assert "…" not in "".join(shown)


def test_without_a_limit_all_is_shown() -> None:
    layout = lay_out(TABLE, None)
    assert layout.dropped == []
    for column in TABLE:
        for row, cell in enumerate(column.cells, start=1):
            assert cell.rstrip() in texts(layout)[row]


def test_texts_are_cut_before_a_column_is_dropped() -> None:
    assert lay_out(TABLE, 70).dropped == []
    assert lay_out(TABLE, 40).dropped == ["Time", "Reason"]


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Mn", "Me", "Mc", "Co", "Cn"]), max_size=30)  # fmt: skip
NUMBER = st.floats(allow_nan=True).map("{:.6g}".format)


@st.composite
def columns(draw: st.DrawFn) -> list[Column]:
    rows = draw(st.integers(0, 4))
    found = [Column("Trial", [str(row) for row in range(rows)])]
    for _ in range(draw(st.integers(0, 8))):
        is_text = draw(st.booleans())
        cells = draw(st.lists(TEXT if is_text else NUMBER, min_size=rows, max_size=rows))
        found.append(Column(draw(TEXT), cells, is_text=is_text, is_right=not is_text))
    return found


@given(columns(), st.integers(5, 150))
def test_any_table_fits_any_terminal(table: list[Column], width: int) -> None:
    layout = lay_out(table, width)
    shown = texts(layout)
    assert len(shown) == len(table[0].cells) + 1
    assert all(cell_len(line) <= width for line in shown)
    assert all(line == line.rstrip() for line in shown)
    for column in table[: len(table) - len(layout.dropped)]:
        if not column.is_text:
            assert all(cell in line for cell, line in zip(column.cells, shown[1:], strict=True))


@given(st.lists(TEXT, max_size=4), st.integers(1, 60))
def test_a_cut_line_fits(parts: list[str], width: int) -> None:
    line = cut([Span(part) for part in parts], width)
    shown = "".join(span.text for span in line)
    assert cell_len(shown) <= width
    whole = "".join(parts)
    assert shown == whole or (cell_len(whole) > width and shown.endswith("…"))
