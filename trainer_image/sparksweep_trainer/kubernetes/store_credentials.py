"""Credentials of the store that the run directory is copied to, from the files of the user's Secret.

The Secret's author may be trusted with a store and with nothing else, but the driver's environment decides which code Python,
Java and the C library load, and which files a cloud's library sends where. So only variables that are a credential,
or name a store, come from the Secret; every other key stays a file that nothing reads.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from sparksweep_core.validation.checks_storage import ENDPOINT

VARIABLES = (
    # AWS SDK for C++ and Arrow's S3FileSystem. Not AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, in which a
    # `credential_process` is a command, nor AWS_WEB_IDENTITY_TOKEN_FILE, which is a file that is sent to a server.
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_EC2_METADATA_DISABLED",
    # google-cloud-cpp, which Arrow's GcsFileSystem uses.
    "GOOGLE_CLOUD_PROJECT",
    # Hadoop's client.
    "HADOOP_USER_NAME",
)
"""Keys of the Secret that become variables of the driver's environment."""
GOOGLE_KEY_ENV = "GOOGLE_APPLICATION_CREDENTIALS"
"""Key whose value names another key of the Secret, which holds Google's JSON file."""
GOOGLE_TYPES = ("service_account", "authorized_user")
"""Types of Google's JSON file that hold a credential themselves. Others name files and servers to send them to."""
MAX_BYTES = 64 * 1024
"""Largest value that is read."""
SERVER_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""Those of `VARIABLES` that name the server of an ``s3://`` URI."""
OWN_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": (GOOGLE_KEY_ENV,),
}
"""Variables of each scheme with which the cloud's library looks for no other identity. An empty one counts as absent there."""

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def take_credentials(
    directory: Path, environment: MutableMapping[str, str], *, scratch: Path
) -> list[str]:
    """Put the credentials of a Secret into the environment.

    Args:
        directory: the mounted Secret; it need not exist.
        environment: the driver's own.
        scratch: a directory of the driver's own, for a copy of Google's file, which can't change after its check.

    Returns:
        A message for each key that looks like a variable and is not one of `VARIABLES`, and for what can't be used.
    """
    refused: list[str] = []
    try:
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_file())
    except OSError:
        return refused
    for name in names:
        if not _VARIABLE.match(name):
            continue
        try:
            if name in VARIABLES:
                environment[name] = _value(directory / name)
            elif name == GOOGLE_KEY_ENV:
                environment[name] = str(_google_key(directory, _value(directory / name), scratch))
            else:
                refused.append(
                    f"{name}: is not among the variables that a store's Secret may set: "
                    f"{', '.join((*VARIABLES, GOOGLE_KEY_ENV))}"
                )
        except (OSError, ValueError) as error:
            refused.append(f"{name}: {error}")
    return refused


def foreign_server(uri: str, given: Mapping[str, str]) -> str | None:
    """Return the error of a store's server that the user chooses, and to which the driver would show its own identity.

    Google's library sends an access token with each request. It is the driver's, or its node's, unless the Secret has a
    credential: naming a Secret is not enough.

    Args:
        uri: ``spec.storage.uri``.
        given: the variables that the Secret has set.
    """
    parts = urlsplit(uri)
    needed = OWN_CREDENTIALS.get(parts.scheme, ())
    # A user's name in the URI is a key of its own for s3, and for gs it can only be "anonymous".
    if not needed or parts.username or all(given.get(name) for name in needed):
        return None
    servers = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if name == ENDPOINT]  # fmt: skip
    if parts.scheme == "s3":
        servers += [name for name in SERVER_VARIABLES if name in given]
    if not servers:
        return None
    return (
        f"spec.storage.secretName: {servers[0]} names the store's server, to which the driver does not show its own "
        f"identity: the Secret must have {' and '.join(needed)}"
    )


def _value(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"is longer than {MAX_BYTES} bytes")
    if b"\0" in data:
        raise ValueError("holds a NUL character")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ValueError("is no text") from None


def _google_key(directory: Path, path: str, scratch: Path) -> Path:
    """Check Google's file, and return a copy of it."""
    folder, _, name = path.rpartition("/")
    if folder not in ("", str(directory)) or name in ("", ".", ".."):
        raise ValueError(f'"{path}" must be a key of the same Secret: {directory}/<key>')
    text = _value(directory / name)
    try:
        key = json.loads(text)
    except ValueError:
        raise ValueError(f'"{path}" is no JSON') from None
    kind = key.get("type") if isinstance(key, dict) else None
    if kind not in GOOGLE_TYPES:
        raise ValueError(
            f'"{path}" has the type "{kind}", and must have one of {", ".join(GOOGLE_TYPES)}'
        )
    copy = scratch / "google.json"
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(key))
    return copy
