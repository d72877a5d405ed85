"""Names of metrics: one rule for the spec, for returned, reported and printed metrics, and for statuses.

Standard library only: trials import it.
"""

from __future__ import annotations

import re
import unicodedata

MAX_METRIC_NAME = 128
"""Characters of a metric's name."""
# Go, Rust and Python read these escapes alike. The excluded characters are blanks at the ends and control characters.
METRIC_NAME_PATTERN = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$"
"""Any text of one line, in any alphabet, without control characters and without blanks at its ends."""

_NAME = re.compile(METRIC_NAME_PATTERN)


def is_metric_name(text: str) -> bool:
    """Return True if the text may be the name of a metric."""
    if len(text) > MAX_METRIC_NAME or not _NAME.fullmatch(text):
        return False
    # Python's strings may hold halves of surrogate pairs, which no other program can read.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def composed(name: str) -> str:
    """Return the name in Unicode's composed form: an accent may also be a character of its own."""
    return unicodedata.normalize("NFC", name)
