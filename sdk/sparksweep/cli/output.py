"""The only way to standard output and standard error: every command prints through `Output`.

Text for people is never markup, a format string or an escape sequence: `sparksweep._text` spells control characters out.
Data for programs is written byte for byte. A test refuses any other call that prints.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sparksweep._text import lines_of, one_line

REFRESHES_PER_SECOND = 8
DEFAULT_COLUMNS = 80
"""Columns of a terminal that does not say how many it has."""
_ASCII = str.maketrans({"…": ".", "━": "#", "╸": ">", "─": "-"})
"""Replacements of the characters that the commands draw with, where the encoding has none of them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a line, and its style as rich names them: ``bold red``."""

    text: str
    style: str = ""


Line = Sequence[Span]


class Output:
    """A stream for people and for programs."""

    def __init__(
        self, stream: TextIO, *, width: int | None = None, is_terminal: bool | None = None
    ) -> None:
        self._stream = stream
        self.is_terminal = _is_terminal(stream) if is_terminal is None else is_terminal
        """True for a terminal: it has a width, and colours unless NO_COLOR is set."""
        self._width = width
        self._console = _Console(
            file=stream,
            force_terminal=is_terminal,
            color_system="auto" if os.environ.get("TERM") else None,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )

    @property
    def width(self) -> int | None:
        """The number of columns; None for a file or a pipe, which have no limit."""
        if not self.is_terminal:
            return None
        return self._width or _columns(self._stream)

    @property
    def can_redraw(self) -> bool:
        """True for a terminal that can move its cursor."""
        is_known = bool(os.environ.get("TERM")) and not self._console.is_dumb_terminal
        return self.is_terminal and is_known

    def writes_to(self, stream: TextIO) -> bool:
        """Return True if this is the output of a stream."""
        return self._stream is stream

    def line(self, *parts: str | Span) -> None:
        """Print one line, whatever the parts contain."""
        self._print([self._text([Span(part) if isinstance(part, str) else part for part in parts])])

    def lines(self, lines: Sequence[Line]) -> None:
        """Print lines."""
        self._print([self._text(line) for line in lines])

    def block(self, text: str, style: str = "") -> None:
        """Print a message that may have several lines."""
        self._print([self._text([Span(line, style)]) for line in lines_of(text)])

    def data(self, content: str | bytes) -> None:
        """Write data as it is: text in UTF-8, whatever the locale; on a terminal, text without control characters."""
        if isinstance(content, str):
            if self.is_terminal:
                content = "\n".join(map(one_line, content.split("\n")))
            content = content.encode(errors="surrogateescape")
        with _io_errors(self._stream):
            self._stream.flush()
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(content.decode(errors="backslashreplace"))
            else:
                buffer.write(content)
            self._stream.flush()

    def drawing(self, draw: Callable[[int], Sequence[Line]]) -> contextlib.AbstractContextManager[object]:  # fmt: skip
        """Draw lines in place as long as the context lasts.

        Args:
            draw: Returns the lines for a number of columns, which it must not exceed; called from another thread.
        """

        def render() -> Group:
            columns = self.width or DEFAULT_COLUMNS
            return Group(*(self._text(cut(line, columns)) for line in draw(columns)))

        return Live(
            console=self._console,
            get_renderable=render,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _text(self, line: Line) -> Text:
        text = Text(no_wrap=True)
        for span in line:
            text.append(self._encodable(one_line(span.text)), span.style)
        return text

    def _print(self, lines: Sequence[Text]) -> None:
        with _io_errors(self._stream):
            for line in lines:
                self._console.print(line, soft_wrap=True)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:
            return text.encode("ascii", "backslashreplace").decode()
        return text


class _Console(Console):
    """A console that leaves a broken pipe to `Output`; rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise


class LogHandler(logging.Handler):
    """Prints warnings of the libraries as remarks."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, and the error that it is about, without its stack trace."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self._output.block(f"{record.levelname.lower()}: {text}", "yellow")


class Unwritable(Exception):
    """Standard output can't be written to: the disk is full, or the reader has gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_broken_pipe = isinstance(error, BrokenPipeError)


_outputs: dict[str, Output] = {}
"""The outputs in use: lines that are printed above a drawing must go through its console."""


def stdout() -> Output:
    """Return standard output."""
    return _output("stdout", sys.stdout)


def stderr() -> Output:
    """Return standard error."""
    return _output("stderr", sys.stderr)


def _output(name: str, stream: TextIO) -> Output:
    if name not in _outputs or not _outputs[name].writes_to(stream):
        _outputs[name] = Output(stream)
    return _outputs[name]


def open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller has closed, so that no file gets its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - open to the end


def abandon(stream: TextIO) -> None:
    """Send the rest of a stream to /dev/null, so that the interpreter does not complain of it at its end."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def cut(line: Line, width: int) -> Line:
    """Return a line of at most so many columns; a longer one ends with an ellipsis."""
    if sum(cell_len(one_line(span.text)) for span in line) <= width:
        return line
    left = width - 1
    kept = []
    for span in line:
        text = one_line(span.text)
        if cell_len(text) > left:
            kept.append(Span(set_cell_size(text, left).rstrip() + "…", span.style))
            break
        kept.append(Span(text, span.style))
        left -= cell_len(text)
    return kept


def _columns(stream: TextIO) -> int:
    """Return the columns of a terminal: COLUMNS if it is set, else the terminal's own, which may be unknown."""
    named = os.environ.get("COLUMNS", "")
    if named.isdigit() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


@contextlib.contextmanager
def _io_errors(stream: TextIO) -> Iterator[None]:
    """Raise an error of standard output; drop those of standard error, which shows progress and remarks."""
    try:
        yield
    except OSError as error:
        abandon(stream)
        if stream is not sys.stderr:
            raise Unwritable(error) from error
