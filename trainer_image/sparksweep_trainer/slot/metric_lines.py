"""The grammar of metrics in a line of output, as ``docs/trials.md`` describes it. Pure; its cost is linear in the line.

A metric is a name, ``=`` (or ``:`` in the format EqualsOrColon) and a number, with blanks around the sign if any. A name
is whole: it reaches as far to the left as there are characters of names. A number is whole: it ends where nothing follows
that may continue a number in any notation.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sparksweep_core.api.template import MetricsFormat
from sparksweep_core.metric_names import MAX_METRIC_NAME, composed
from sparksweep_trainer.slot.output_lines import CUT

MAX_SHOWN = 40
"""Characters of a value that is no number, for messages."""

_MINUS = "\u2212"
_REAL = r"[0-9]++(?:\.[0-9]*+)?|\.[0-9]++"
# Fortran leaves out the letter of an exponent with three digits.
_NUMBER = (
    rf"(?>[+\-{_MINUS}]?(?:"
    r"0[xX][0-9a-fA-F]++(?:\.[0-9a-fA-F]*+)?[pP][+-]?[0-9]++"
    r"|1\.\#(?:INF|IND|QNAN|SNAN)[0-9]*+"
    r"|(?:[0-9]++\.[0-9]*+|\.[0-9]++)[+-][0-9]{3}(?![0-9])"
    rf"|(?:{_REAL})(?:[eEdDqQ][+-]?[0-9]++)?"
    r"|(?i:nan(?:\([0-9a-z_]*\))?|inf(?:inity)?)))"
)
# Not followed by what continues a word or a number: a letter, a digit, a unit, thousands, a date, a fraction, a power.
_END = (
    r"(?:(?=[+]/?-)|(?![\w#=]|[.,:/'\u2019_*^\xd7\xb7\u22c5+\-\u2212]{1,3}[0-9]|[.\-/*]\w|[\xa0\u2007\u2009\u202f][0-9]"
    r"|\s*+[\xd7\xb7\u22c5*x]\s*+10\b))"
)
_NUMPY = r"(?:np|numpy)\.(?:u?int|float|longdouble|longlong|ulonglong|half|single|double|u?intc|bfloat)[0-9]*\("
_ARRAY = r"(?:(?:np|numpy|tf|torch)\.)?(?:array|Array|tensor|Tensor|Decimal)\("
_VALUE = re.compile(
    rf"(?P<plain>{_NUMBER}){_END}"
    rf"|(?P<quote>[\"'])(?P<quoted>{_NUMBER})%?(?P=quote)"
    rf"|{_NUMPY}(?P<scalar_quote>[\"']?)(?P<scalar>{_NUMBER})(?P=scalar_quote)\)"
    rf"|{_ARRAY}(?P<array_quote>[\"']?)(?P<array>{_NUMBER})(?P=array_quote)(?:\)|,\s*\w+=)"
)
_GROUPS = ("plain", "quoted", "scalar", "array")
_WORD = re.compile(rf"\S{{1,{MAX_SHOWN + 1}}}")
_STARTS_LIKE_A_NUMBER = re.compile(r"[+\-.]?[0-9]")

_NAME_CHARACTERS = r"[\w/.@:\-|()%]"
_RUN = re.compile(rf"(?:(?!\.\.){_NAME_CHARACTERS})+")
_LEVEL = r"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL|NOTSET)"
_LOG_PREFIX = re.compile(rf"(?:.*[:|\-])?{_LEVEL}[:|\-]+(?:(?P<logger>[^:]*:))?")
_EQUALS = re.compile("=")
_EQUALS_OR_COLON = re.compile("[=:]")
# Joined to the character before them, so that they are part of its name, although Python has them for no letters.
_JOINED = re.compile(r"[^\x00-\x7f\w\s]")


@dataclass(frozen=True)
class Reading:
    """A name with the sign of an assignment, and what follows it."""

    name: str | None
    """The metric that it is; None if it is none of those that are looked for."""
    printed_name: str
    """The whole name as it was printed."""
    value: float | None
    """The number; None if what follows is none."""
    text: str
    """The text that was read as the value, shortened."""
    sign: str
    """``=`` or ``:``."""

    @property
    def starts_like_a_number(self) -> bool:
        """True if the value begins as a number does, whatever follows."""
        return _STARTS_LIKE_A_NUMBER.match(self.text) is not None


class MetricNames:
    """The metrics that are looked for."""

    def __init__(self, names: Collection[str]) -> None:
        """Index the names by their composed form."""
        self.by_text = {composed(name): name for name in names}
        # Such a name is also found without quotes.
        self.unusual = sorted(
            (text for text in self.by_text if not _RUN.fullmatch(_shadow(text))),
            key=len,
            reverse=True,
        )

    def find(self, run: str) -> str | None:
        """Return the metric that a run of characters names: as it stands, or without what is around a name in a log."""
        for text in _candidates(run):
            if text in self.by_text:
                return self.by_text[text]
        return None


def read_line(line: str, names: MetricNames, form: MetricsFormat) -> Iterator[Reading]:
    """Yield what a line assigns, from left to right: metrics, and whatever else has that form.

    Args:
        line: a line as `output_lines` returns it.
        names: the metrics that are looked for.
        form: the signs that are looked for.
    """
    shadow = _shadow(line)
    starts, ends = _runs(shadow)
    signs = _EQUALS if form is MetricsFormat.EQUALS else _EQUALS_OR_COLON
    after_value = 0
    for sign in signs.finditer(shadow):
        at = sign.start()
        if at < after_value or shadow.startswith("=", at + 1):
            continue
        end = at
        while end > after_value and line[end - 1].isspace():
            end -= 1
        run = bisect_right(starts, end - 1) - 1
        # The format EqualsOrColon may find its sign inside a run.
        run_start = max(starts[run], after_value) if run >= 0 and end <= ends[run] else end
        name, printed = _name_in(line, end, after_value, run_start=run_start, names=names)
        if not printed:
            continue
        begin = at + 1
        while begin < len(line) and line[begin].isspace():
            begin += 1
        value = _VALUE.match(shadow, begin)
        if value is None:
            yield Reading(name, printed, None, _word(line, begin), sign[0])
        else:
            after_value = value.end()
            text = next(value[group] for group in _GROUPS if value[group] is not None)
            yield Reading(name, printed, _as_float(text), text, sign[0])


def _shadow(line: str) -> str:
    """Return a text of the same length in which every character of a name in any alphabet is one for Python, too."""
    return line if line.isascii() else _JOINED.sub(_joined, line)


def _joined(match: re.Match[str]) -> str:
    character = match[0]
    joined = unicodedata.category(character)[0] == "M" or character in (CUT, "\u200c", "\u200d")
    return "_" if joined else character


def _runs(shadow: str) -> tuple[list[int], list[int]]:
    """Return the starts and the ends of the runs of characters of names."""
    spans = [run.span() for run in _RUN.finditer(shadow)]
    return [start for start, _ in spans], [end for _, end in spans]


def _name_in(
    line: str, end: int, after_value: int, *, run_start: int, names: MetricNames
) -> tuple[str | None, str]:
    """Return the metric whose name ends at a position, and the name as printed; empty if no name ends there."""
    # Names of these two kinds may have a sign and a number inside, which then are no metric.
    for text in names.unusual:
        begin = end - len(text)
        if line.startswith(text, max(begin, 0)) and _is_first_of_name(line, begin):
            return names.by_text[text], text
    if end > after_value and line[end - 1] in "\"'":
        # Two characters more than the longest name: its quotes.
        opening = line.rfind(line[end - 1], max(end - MAX_METRIC_NAME - 2, 0), end - 1)
        text = line[opening + 1 : end - 1] if opening >= 0 else ""
        if text in names.by_text:
            return names.by_text[text], text
        return None, text if opening >= after_value else ""
    if end - run_start > 2 * MAX_METRIC_NAME:
        return None, ""
    run = line[run_start:end]
    return (names.find(run), run) if run else (None, "")


def _is_first_of_name(line: str, begin: int) -> bool:
    """Return True if no name that began before this position reaches it."""
    return begin == 0 or (begin > 0 and not _RUN.fullmatch(_shadow(line[begin - 1])))


def _candidates(run: str) -> Iterator[str]:
    """Yield the names that a run of characters may stand for: the run itself, then less of it."""
    yield run
    bare = _without_punctuation(run)
    yield bare
    prefix = _LOG_PREFIX.match(bare)
    if prefix is not None:
        if prefix["logger"]:
            yield bare[prefix.start("logger") :]
        yield bare[prefix.end() :]


def _without_punctuation(run: str) -> str:
    """Return the run without separators and brackets around it that are not part of a name."""
    while run:
        surplus = run.count("(") - run.count(")")
        if run[0] in ":.|" or (run[0] == "(" and surplus > 0):
            run = run[1:]
        elif run[-1] in ":." or (run[-1] == ")" and surplus < 0):
            run = run[:-1]
        elif run[0] == "(" and run[-1] == ")" and run.count("(") == 1:
            run = run[1:-1]
        else:
            break
    return run


def _word(line: str, begin: int) -> str:
    """Return the first word of a value that is no number, shortened; more if that word alone would be one."""
    word = _WORD.match(line, begin)
    if word is None:
        return ""
    text = word[0]
    if _VALUE.fullmatch(text):
        text = line[begin : begin + MAX_SHOWN + 1].rstrip()
    return text[:MAX_SHOWN] + "…" if len(text) > MAX_SHOWN else text.rstrip(",;") or text


def _as_float(text: str) -> float:
    """Convert a number that `_NUMBER` has matched; one beyond the range of a double becomes infinite."""
    text = text.replace(_MINUS, "-").lower()
    try:
        return float(text)
    except ValueError:
        # A form that Python does not write.
        pass
    sign, digits = (-1.0, text[1:]) if text[0] == "-" else (1.0, text.removeprefix("+"))
    if digits.startswith(("nan", "1.#ind", "1.#qnan", "1.#snan")):
        return math.nan
    if digits.startswith("1.#inf"):
        return sign * math.inf
    if digits.startswith("0x"):
        try:
            return sign * float.fromhex(digits)
        except OverflowError:
            return sign * math.inf
    digits = digits.replace("d", "e").replace("q", "e")
    if "e" not in digits:
        # Fortran's exponent without its letter.
        digits = digits.replace("+", "e+").replace("-", "e-")
    return sign * float(digits)
