"""The grammar of docs/trials.md once more, for tests: slow and obvious, without regular expressions and without state.

It reads a whole stream at once, character by character, and tries every end of a number.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

NOT_A_NUMBER = "not a number"
Value = float | str
"""A number, or `NOT_A_NUMBER`."""

_MAX_LINE = 64 * 1024
_PUNCTUATION = "_/.@:-|()%"
_CONTINUES = ".,:/'\u2019_*^\xd7\xb7\u22c5+-\u2212"
_LEVELS = ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "NOTSET")


def metrics_in(
    stream: bytes, names: Sequence[str], *, colon: bool = False
) -> list[tuple[str, Value]]:
    """Return the metrics in a stream, in their order, with their numbers."""
    found: list[tuple[str, Value]] = []
    for raw in stream.replace(b"\r", b"\n").split(b"\n"):
        text = raw[:_MAX_LINE].decode(errors="replace") + ("\ufffd" if len(raw) > _MAX_LINE else "")
        for line in visible(text):
            found += in_line(unicodedata.normalize("NFC", line), names, colon=colon)
    return found


# ---------------------------------------------------------------------- what a terminal shows


def visible(text: str) -> list[str]:
    """Return the lines that a line of output leaves on a screen, in their order."""
    lines = [""]
    cursor = 0
    while text:
        sequence, parameters, final = escape_sequence(text)
        if not sequence:
            character, text = text[0], text[1:]
            if character == "\b":
                cursor = max(cursor - 1, 0)
            elif not is_removed(character):
                lines[-1] = lines[-1][:cursor] + character + lines[-1][cursor + 1 :]
                cursor += 1
            continue
        text = text[len(sequence) :]
        count = max(int(parameters[:4]), 1) if parameters.isdigit() else 1
        if final == "C":
            lines[-1] += " " if cursor == len(lines[-1]) else ""
            cursor = min(cursor + count, len(lines[-1]))
        elif final == "D":
            cursor = max(cursor - count, 0)
        elif final in ("J", "K") and parameters in ("", "0"):
            lines[-1] = lines[-1][:cursor]
        elif final and final in "ABEFGHJKST`dfu":
            lines.append("")
            cursor = 0
    return lines


def escape_sequence(text: str) -> tuple[str, str, str]:
    """Return the escape sequence that a text begins with, its parameters and its last character; empty if none."""
    if not text.startswith("\x1b"):
        return "", "", ""
    if text[1:2] == "[":
        end = 2
        while end < len(text) and "0" <= text[end] <= "?":
            end += 1
        parameters = text[2:end]
        while end < len(text) and " " <= text[end] <= "/":
            end += 1
        if end < len(text) and "@" <= text[end] <= "~":
            return text[: end + 1], parameters, text[end]
    if text[1:2] in tuple("]PX^_"):
        end = 2
        while end < len(text) and text[end] not in "\x07\x1b":
            end += 1
        if text[end : end + 1] == "\x07":
            return text[: end + 1], "", ""
        if text[end : end + 2] == "\x1b\\":
            return text[: end + 2], "", ""
    end = 1
    while end < len(text) and " " <= text[end] <= "/":
        end += 1
    if end < len(text) and "0" <= text[end] <= "~":
        return text[: end + 1], "", ""
    return "", "", ""


def is_removed(character: str) -> bool:
    """Return True for control characters that are no blanks, and for format characters that nobody sees."""
    if character in ("\xad", "\ufeff", "\u200b", "\u200e", "\u200f"):
        return True
    if (
        "\u2060" <= character <= "\u2064"
        or "\u202a" <= character <= "\u202e"
        or "\u2066" <= character <= "\u2069"
    ):
        return True
    return unicodedata.category(character) == "Cc" and not character.isspace()


# ---------------------------------------------------------------------- a line


def in_line(line: str, names: Sequence[str], *, colon: bool) -> list[tuple[str, Value]]:
    """Return the metrics in a line."""
    found: list[tuple[str, Value]] = []
    begin = 0
    for at, sign in enumerate(line):
        if (
            at < begin
            or not (sign == "=" or (colon and sign == ":"))
            or line[at + 1 : at + 2] == "="
        ):
            continue
        printed = name_at_end(line[:at].rstrip(), begin, names)
        if printed is None:
            continue
        rest = line[at + 1 :].lstrip()
        number, length = number_at_start(rest)
        if length:
            begin = len(line) - len(rest) + length
        if printed in names:
            found.append((printed, number if length else NOT_A_NUMBER))
    return found


def is_of_name(character: str) -> bool:
    """Return True for letters, digits and marks of any alphabet, and for punctuation that belongs to names."""
    category = unicodedata.category(character)[0]
    return category in "LNM" or character in _PUNCTUATION or character in "\ufffd\u200c\u200d"


def is_joined(character: str) -> bool:
    """Return True for marks and joiners, which belong to the character before them."""
    return unicodedata.category(character)[0] == "M" or character in "\ufffd\u200c\u200d"


def is_plain(name: str) -> bool:
    """Return True if a name needs no quotes."""
    return all(map(is_of_name, name)) and ".." not in name


def name_at_end(text: str, begin: int, names: Sequence[str]) -> str | None:
    """Return the name that a text ends with, the metric's if it is one; None if it ends with none after `begin`."""
    for name in sorted(names, key=len, reverse=True):
        if not is_plain(name) and text.endswith(name):
            before = text.removesuffix(name)
            if not before or not is_of_name(before[-1]):
                return name
    if len(text) > begin and text.endswith(("'", '"')):
        before, quote, name = text[:-1].rpartition(text[-1])
        if not quote or len(name) > 128 or not (name in names or len(before) >= begin):
            return None
        return name or None
    text = text[begin:]
    run = ""
    # An ellipsis ends a name.
    while text and is_of_name(text[-1]) and not (text[-1] == "." and run[:1] == "."):
        run, text = text[-1] + run, text[:-1]
    return next((name for name in less_and_less(run) if name in names), run) or None


def less_and_less(run: str) -> Iterator[str]:
    """Yield a run of characters of names, then less of it: without punctuation, level and logger."""
    yield run
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
    yield run
    for at in reversed(range(len(run))):
        if at and run[at - 1] not in ":|-":
            continue
        for level in _LEVELS:
            rest = run[at:].removeprefix(level)
            if run[at:].startswith(level) and rest[:1] in tuple(":|-"):
                rest = rest.lstrip(":|-")
                yield rest
                _, logger, message = rest.partition(":")
                if logger:
                    yield message
                return


# ---------------------------------------------------------------------- a number


def number_at_start(text: str) -> tuple[float, int]:
    """Return the number that a text begins with, and its length with what is around it; length 0 if there is none."""
    for end in reversed(range(1, len(text) + 1)):
        number = plain_number(text[:end])
        if number is not None:
            # The longest text that is a number decides: none that is shorter is whole.
            return (number, end) if ends(text[end:]) else (0.0, 0)
    return wrapped_number(text)


def ends(rest: str) -> bool:
    """Return True if the rest of a line does not continue the number before it."""
    if rest.startswith(("+-", "+/-")):
        return True
    if not rest:
        return True
    first = rest[0]
    if first in "#=_" or unicodedata.category(first)[0] in "LNM" or first in "\ufffd\u200c\u200d":
        return False
    for length in (1, 2, 3):
        if all(c in _CONTINUES or is_joined(c) for c in rest[:length]) and is_digit(
            rest[length : length + 1]
        ):
            return False
    if first in ".-/*" and len(rest) > 1 and (is_of_name(rest[1]) and rest[1] not in "/.@:-|()%"):
        return False
    if first in "\xa0\u2007\u2009\u202f" and is_digit(rest[1:2]):
        return False
    power = rest.lstrip()
    if power[:1] in tuple("\xd7\xb7\u22c5*x"):
        power = power[1:].lstrip()
        after = power.removeprefix("10")
        is_word = (
            after[:1].isalnum()
            or after[:1] == "_"
            or (after and unicodedata.category(after[0])[0] == "M")
        )
        if (
            power.startswith("10")
            and not is_word
            and after[:1] not in ("\ufffd", "\u200c", "\u200d")
        ):
            return False
    return True


def wrapped_number(text: str) -> tuple[float, int]:
    """Return the number in quotes, or as NumPy and frameworks show their types."""
    for quote in "'\"":
        inner, closing, _ = text[1:].partition(quote)
        number = plain_number(inner.removesuffix("%"))
        if text.startswith(quote) and closing and number is not None:
            return number, len(inner) + 2
    name, opening, rest = text.partition("(")
    if not opening or not is_number_type(name):
        return 0.0, 0
    for end in range(1, len(rest) + 1):
        inner = rest[:end]
        if len(inner) > 1 and inner[0] in "'\"" and inner[0] == inner[-1]:
            inner = inner[1:-1]
        number = plain_number(inner)
        if number is None:
            continue
        if rest[end : end + 1] == ")":
            return number, len(name) + end + 2
        if is_array_type(name) and rest[end : end + 1] == ",":
            word, equals, _ = rest[end + 1 :].lstrip().partition("=")
            if (
                equals
                and word
                and all(c == "_" or c.isalnum() or unicodedata.category(c)[0] == "M" for c in word)
            ):
                return number, len(name) + 1 + rest.index("=", end) + 1
    return 0.0, 0


def is_number_type(name: str) -> bool:
    """Return True for the name of a type that is shown with its number."""
    module, dot, kind = name.rpartition(".")
    kinds = (
        "int",
        "uint",
        "float",
        "longdouble",
        "longlong",
        "ulonglong",
        "half",
        "single",
        "double",
        "intc",
        "uintc",
        "bfloat",
    )
    return is_array_type(name) or (
        bool(dot) and module in ("np", "numpy") and kind.rstrip("0123456789") in kinds
    )


def is_array_type(name: str) -> bool:
    """Return True for the name of a type of arrays, tensors or decimals."""
    module, dot, kind = name.rpartition(".")
    return (
        bool(module) == bool(dot)
        and kind in ("array", "Array", "tensor", "Tensor", "Decimal")
        and module
        in (
            "",
            "np",
            "numpy",
            "tf",
            "torch",
        )
    )


def is_digit(text: str) -> bool:
    """Return True for one digit that Python, C and Fortran print."""
    return len(text) == 1 and text in "0123456789"


def plain_number(text: str) -> float | None:
    """Return the number that a whole text is; None if it is none."""
    sign = -1.0 if text[:1] in ("-", "\u2212") else 1.0
    digits = (text[1:] if text[:1] in ("+", "-", "\u2212") and text else text).lower()
    if not digits.isascii():
        return None
    if digits in ("inf", "infinity"):
        return sign * math.inf
    payload = digits.removeprefix("nan")
    if payload != digits and (
        not payload
        or (payload[0] == "(" and payload[-1] == ")" and payload[1:-1].replace("_", "a").isalnum())
        or payload == "()"
    ):
        return math.nan
    for name, value in {
        "1.#inf": math.inf,
        "1.#ind": math.nan,
        "1.#qnan": math.nan,
        "1.#snan": math.nan,
    }.items():
        if digits.startswith(name) and all(map(is_digit, digits.removeprefix(name))):
            return sign * value
    if not digits or not all(c in "0123456789abcdefpqx.+-" for c in digits) or digits[0] in "+-":
        return None
    if digits.startswith("0x"):
        # Python takes hexadecimal integers, too.
        if "p" not in digits or digits[2:3] in ("", ".", "p"):
            return None
        try:
            return sign * float.fromhex(digits)
        except OverflowError:
            return sign * math.inf
        except ValueError:
            return None
    mantissa = digits.replace("d", "e").replace("q", "e")
    # Fortran's exponent of three digits has no letter, but its number has a point.
    if "e" not in mantissa and "." in mantissa and len(mantissa) > 5 and mantissa[-4] in "+-":
        mantissa = mantissa[:-4] + "e" + mantissa[-4:]
    try:
        return sign * float(mantissa)
    except ValueError:
        return None


def value_that_counts(values: Sequence[float], strategy: str) -> float:
    """Return the value of a series that counts."""
    finite = [value for value in values if math.isfinite(value)]
    if strategy == "latest":
        return values[-1]
    if not finite:
        return values[0]
    return min(finite) if strategy == "min" else max(finite)


def outcome(
    stdout: bytes, stderr: bytes, wanted: Mapping[str, str], *, colon: bool = False
) -> dict[str, Value]:
    """Return each metric's value that counts, if all of standard output arrived first."""
    names = list(wanted)
    found = metrics_in(stdout, names, colon=colon) + metrics_in(stderr, names, colon=colon)
    result: dict[str, Value] = {}
    for name in names:
        values = [value for metric, value in found if metric == name]
        numbers = [value for value in values if not isinstance(value, str)]
        if numbers:
            result[name] = value_that_counts(numbers, wanted[name])
        elif values:
            result[name] = NOT_A_NUMBER
    return result
