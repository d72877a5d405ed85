"""Checks of ``spec.storage``. The driver copies files to its URI with an identity that may be the cluster owner's."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.api.storage import Storage
from sparksweep_core.contract.directories import DATA_DIRECTORY
from sparksweep_core.errors import FieldError

ENDPOINT = "endpoint_override"
"""Parameter of a URI that names the store's server."""
URI_PARAMETERS = {
    "s3": (ENDPOINT, "region", "scheme"),
    "gs": (ENDPOINT, "default_bucket_location", "project_id", "retry_limit_seconds", "scheme"),
    "hdfs": ("buffer_size", "default_block_size", "replication", "user"),
    "file": (),
}
"""Parameters that a URI may have. Arrow has others, which name files of the driver or turn off its checks of servers."""

_URI = "spec.storage.uri"


def check_storage(storage: Storage) -> list[FieldError]:
    """Return every mistake in the storage of an experiment's files."""
    errors = []
    if memory_bytes(storage.size_limit) <= 0:
        message = f'"{storage.size_limit}" is not above 0'
        errors.append(FieldError("spec.storage.sizeLimit", message))
    if storage.secret_name is not None and storage.uri is None:
        message = f'"{storage.secret_name}" requires uri: the Secret holds its credentials'
        errors.append(FieldError("spec.storage.secretName", message))
    if storage.uri is not None:
        errors += _check_uri(storage.uri, has_secret=storage.secret_name is not None)
    return errors


def _check_uri(uri: str, *, has_secret: bool) -> Iterator[FieldError]:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        yield FieldError(_URI, f"is no URI: {error}")
        return
    if ".." in unquote(parts.path).split("/"):
        yield FieldError(_URI, f'"{parts.path}" must not have ".." in its path')
    if (
        parts.scheme == "file"
        and posixpath.normpath(f"/{unquote(parts.path).strip('/')}") == DATA_DIRECTORY
    ):
        message = f'"{uri}" is where the run directory itself is: name a directory below it, or another one'
        yield FieldError(_URI, message)
    allowed = URI_PARAMETERS[parts.scheme]
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    for name in names:
        if name not in allowed:
            known = f"use {', '.join(allowed)}" if allowed else f"{parts.scheme}:// has none"
            yield FieldError(_URI, f'"{name}" is no parameter that is allowed here: {known}')
    if ENDPOINT in names and not has_secret and not parts.username:
        yield FieldError(
            _URI,
            f"{ENDPOINT} requires secretName: the driver does not sign requests to a server of the "
            "user's choice with its own identity",
        )


def is_below(uri: str, prefixes: Sequence[str]) -> bool:
    """Return True if a URI is one of the prefixes or below one, whole segments of the path compared.

    Args:
        uri: the URI; its credentials and parameters do not count.
        prefixes: such as ``s3://bucket/experiments``.
    """
    parts = urlsplit(uri)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{unquote(parts.path).rstrip('/')}/"
    return any(place.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)
