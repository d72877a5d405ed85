"""Text that a terminal, rich, HTML, a format string or a shell would take for more than text."""

from __future__ import annotations

import re
import unicodedata

MARKUP = (
    "[/red]",
    "[red]bold[/red]",
    "[relu]",
    "[/]",
    "no file [/data/train.csv] here",
    "[link=https://example.org]x[/link]",
    "\\[bold]",
    ":smile:",
    "@click[bold]",
)
FORMATS = ("{}", "{0.__class__}", "%s %d %(name)s", "%n", "$HOME `id` $(id)")
SEQUENCES = (
    "\x1b[35;7mpurple\x1b[27m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1bc",
    "\x1b[",
    "\x9b35m",
    "\x1bP1$tx\x9c",
)
CONTROLS = (
    "a\nb",
    "a\r\nb",
    "over\rwritten",
    "tab\there",
    "nul\x00bell\x07",
    "\x08\x7f\x0b\x0c\x1a",
)
INVISIBLE = (
    "\u202egpj.exe",
    "\u2066iso\u2069late",
    "zero\u200bwidth\ufeff",
    "\u2028line\u2029",
    "\U000e0041tag",
)
HTML = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&amp;\"'",
    "$\\alpha$",
    "</td></table>",
)
OTHERS = ("--help", "=1+1", "日本語", "e\u0301 👩\u200d👧", "a" * 200)

NASTY = (*MARKUP, *FORMATS, *SEQUENCES, *CONTROLS, *INVISIBLE, *HTML, *OTHERS)  # fmt: skip

DRAWN = re.compile(r"\x1b\[(?:\?25[lh]|[0-9]+[AK]|(?!35)[0-9;]*m)")
"""Sequences that the command line draws with."""


def forbidden(shown: str, *, terminal: bool = False) -> list[str]:
    """Return the characters that no output may contain: control characters but tabs, and invisible ones.

    Args:
        shown: The output.
        terminal: True if the output may move the cursor and set colours.
    """
    text = DRAWN.sub("", shown).replace("\r", "") if terminal else shown
    return [
        repr(character)
        for character in text
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and character not in "\n\t\u200d"
    ]
