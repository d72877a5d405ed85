"""Errors of the API server, by what a client can do about them.

KubeError
├── NotFound       404
├── Conflict       409: another writer was first, or the object was replaced; read it again
├── Expired        410: the resource version is too old to watch from; list again
├── Forbidden      403: a right is missing, or a quota is exhausted; the message says which
├── Invalid        400, 422: the object itself is refused
│   ├── TooLarge   413, and what etcd or a limit of bytes refuses: the same object can never be written
│   └── UndeclaredField   500: server-side apply of a field that the CRD lacks, which any other write would drop
├── Restored       versions have gone back: what was read before may never have happened; read everything again
└── Unavailable    429, 5xx, no answer: try again later
    └── AdmissionFailed   500: a webhook that must agree to the object does not answer; others may be taken
"""

from __future__ import annotations

import json
import re


class KubeError(Exception):
    """A request failed; the message is the API server's own."""

    code: int | None = None
    """HTTP status of the response; None without one."""

    def name_object(self, kind: str, name: str) -> None:
        """Put an object before the server's words, if they do not name it: a webhook's denial does not."""
        text = str(self)
        if name not in text:
            self.args = (f"{kind} {name}: {text}", *self.args[1:])


class NotFound(KubeError):
    """The object does not exist."""


class Conflict(KubeError):
    """The object exists already, or has changed since it was read."""


class Expired(KubeError):
    """The resource version is too old to watch from."""


class Forbidden(KubeError):
    """The API server does not allow it."""


class Invalid(KubeError):
    """The API server refuses the object itself."""


class TooLarge(Invalid):
    """The object is larger than the API server, etcd or a limit on a part of it takes: no later try can succeed."""


class Restored(KubeError):
    """The API server's state is older than one that was read before: etcd was restored from a snapshot."""

    @classmethod
    def check(cls, listed: int, *, seen: int) -> None:
        """Compare the resourceVersion of a list with one that was seen before it.

        A list without a resourceVersion in its request is as new as etcd, and versions grow with each write.

        Args:
            listed: the list's resourceVersion.
            seen: one that a list or an event had before the list was asked for.

        Raises:
            Restored: the list is older.
        """
        if listed < seen:
            raise cls(
                f"the API server was restored to an earlier state: its resourceVersion is {listed}, and was {seen}"
            )


class UndeclaredField(Invalid):
    """Server-side apply of a field that the CRD does not declare: the CRD is of an earlier version."""


class Unavailable(KubeError):
    """The API server can't answer now."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds that the server asks the client to wait; 0.0 if it does not say."""


class AdmissionFailed(Unavailable):
    """An admission webhook that must agree to the object does not answer."""


REFUSALS = (Forbidden, Invalid, AdmissionFailed)
"""Errors that are about one object, and may pass: a user or a cluster's owner can help."""

_WEBHOOK = re.compile(r"Internal error occurred: .*webhook", re.DOTALL)
_TOO_LARGE = re.compile(
    r"request is too large"  # etcd, at its --max-request-bytes
    r"|trying to send message larger than max"  # the API server's client of etcd, at 2 MiB
    r"|[Rr]equest entity too large"
    # Annotations together, and the data of a ConfigMap or Secret.
    r"|Too long: (may not be more than|must have at most) (262144|1048576) bytes"
)
# The API server has no kind of its own for it, and answers 500.
_UNDECLARED = "field not declared in schema"
_KINDS: dict[int, type[KubeError]] = {
    400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Expired, 422: Invalid,
}  # fmt: skip


def error_of(code: int, body: bytes, retry_after: str | None = None) -> KubeError:
    """Return the error of a response.

    Args:
        code: the HTTP status.
        body: usually a ``Status`` object.
        retry_after: the header of that name.
    """
    message = _message(body) or f"HTTP {code}"
    error: KubeError
    if code == 413 or (code in (400, 422, 500) and _TOO_LARGE.search(message)):
        error = TooLarge(message)
    elif code in (400, 422, 500) and _UNDECLARED in message:
        error = UndeclaredField(message)
    elif code == 429 or code >= 500:
        kind = AdmissionFailed if code == 500 and _WEBHOOK.match(message) else Unavailable
        error = kind(message, float(retry_after) if retry_after and retry_after.isdigit() else 0.0)
    else:
        error = _KINDS.get(code, KubeError)(message)
    error.code = code
    return error


def _message(body: bytes) -> str:
    try:
        status = json.loads(body)
    except ValueError:
        return body[:300].decode(errors="replace").strip()
    message = status.get("message") if isinstance(status, dict) else None
    return message if isinstance(message, str) else ""
