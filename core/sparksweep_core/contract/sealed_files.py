"""Hashes of a ConfigMap's files, in the environment of the pod that mounts it: nobody can change a pod's environment.

Others than the operator may have the right to replace a ConfigMap. The operator writes each one under a name that holds a
hash of its content, marked ``immutable``, and puts a `Seal` into the pod; the program in the pod checks each file against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

NAME_DIGITS = 12
"""Hexadecimal digits of a content's hash in the name of its ConfigMap."""


class ChangedFile(Exception):
    """A file is not the one that the operator wrote; the message names its ConfigMap and the remedy."""


@dataclass(frozen=True)
class Seal:
    """The files of one ConfigMap."""

    config_map: str
    """Name of the ConfigMap."""
    hashes: Mapping[str, str]
    """SHA-256 of each file, in hexadecimal, by its path below the mount."""

    def check(self, path: str, data: bytes) -> None:
        """Check the content of a file.

        Raises:
            ChangedFile: it is another one, or the ConfigMap has no such file.
        """
        if self.hashes.get(path) != sha256(data):
            raise ChangedFile(
                f"{path} of ConfigMap {self.config_map} is not what the operator wrote: the ConfigMap was replaced. "
                "Delete it, and the operator writes it again for the next driver"
            )

    def to_json(self) -> str:
        """Return the seal as an environment variable holds it."""
        return json.dumps({"configMap": self.config_map, "sha256": dict(self.hashes)})

    @classmethod
    def from_json(cls, text: str) -> Seal:
        """Read a seal; fields of a newer operator are ignored.

        Raises:
            ValueError: it is none.
        """
        try:
            found = json.loads(text)
            return cls(
                str(found["configMap"]), {str(k): str(v) for k, v in found["sha256"].items()}
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{text[:100]!r} is no seal: {error!r}") from error


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def content_digest(owner: str, data: Mapping[str, str]) -> str:
    """Return the part of a ConfigMap's name that stands for its content and its Experiment's UID.

    With the UID the ConfigMap of a deleted Experiment of the same name, which is about to be deleted, is another one.
    """
    text = json.dumps([owner, sorted(data.items())], ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass"))[:NAME_DIGITS]
