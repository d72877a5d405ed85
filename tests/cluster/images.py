"""Images without a registry: small programs packed by hand, and archives loaded on the nodes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from cluster.binaries import own_program
from cluster.layout import Layout, Node
from cluster.shell import ClusterError, run

PAUSE = "docker.io/sparksweep-test/pause:1"
"""Image whose container holds a pod's namespaces."""

PROBE = "docker.io/sparksweep-test/probe:1"
"""Image for tests without Python: see programs/probe.go."""

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def program_image(program: bytes, reference: str, *, user: str = "65532") -> bytes:
    """Return an OCI archive of an image with one static program, /program.

    The same program gives the same bytes.

    Args:
        reference: The image's whole name, with host and tag.
    """
    layer = _tar({"program": program}, mode=0o755)
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/program"], "User": user},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(config, CONFIG),
            "layers": [_descriptor(layer, LAYER)],
        }
    )
    names = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    index = {
        "schemaVersion": 2,
        "manifests": [{**_descriptor(manifest, MANIFEST), "annotations": names}],
    }
    blobs = {
        f"blobs/sha256/{_digest(blob).partition(':')[2]}": blob
        for blob in (layer, config, manifest)
    }
    return _tar(
        {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)} | blobs
    )


def load(node: Node, archive: Path) -> list[str]:
    """Import an OCI or Docker archive on a node that does not have its images; return their names.

    Raises:
        ClusterError: The file is missing or no archive, or the node is not running.
    """
    if not archive.is_file():
        raise ClusterError(f"{archive}: no such file")
    wanted = digests(archive)
    # Every byte of two gigabytes would be read again.
    if wanted and wanted.items() <= _digests_on(node).items():
        return list(wanted)
    return _import(node, archive)


def digests(archive: Path) -> dict[str, str]:
    """Return the digests of an OCI archive's images by their names; nothing for any other file."""
    try:
        with tarfile.open(archive, "r:") as tar:
            file = tar.extractfile("index.json")
            manifests = json.load(file)["manifests"] if file else []
    except (tarfile.TarError, KeyError, ValueError):
        return {}
    names = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    images = {}
    for manifest in manifests:
        annotations = manifest.get("annotations", {})
        name = next((annotations[key] for key in names if key in annotations), "")
        images[name] = manifest["digest"]
    return images


def _digests_on(node: Node) -> dict[str, str]:
    # REF TYPE DIGEST SIZE PLATFORMS LABELS
    rows = [line.split() for line in _ctr(node, "images", "list").splitlines()[1:]]
    return {row[0]: row[2] for row in rows}


def _import(node: Node, archive: Path) -> list[str]:
    # Unpacked by the client, because the transfer service requires a platform, which OCI archives of buildah do not name.
    said = _ctr(node, "images", "import", "--local", "--digests=false", str(archive))
    return [line.split()[1] for line in said.splitlines() if line.startswith("unpacking ")]


def load_own(node: Node) -> None:
    """Load the images of the rig's programs on a node. They are small, so it does not check for existing ones."""
    for name, reference in (("pause", PAUSE), ("probe", PROBE)):
        _import(node, own_archive(name, reference, node.layout))


def own_archive(name: str, reference: str, layout: Layout) -> Path:
    """Return the path of an archive with one of the rig's images."""
    program = own_program(name, layout)
    archive = layout.archives / f"{program.name}.tar"
    if not archive.exists():
        layout.archives.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(program_image(program.read_bytes(), reference))
    return archive


def present(node: Node) -> list[str]:
    """Return the names of the images on a node."""
    names = _ctr(node, "images", "list", "--quiet").split()
    return [name for name in names if "@" not in name and not name.startswith("sha256:")]


def _ctr(node: Node, *arguments: str) -> str:
    ctr = node.layout.bin / "ctr"
    return run(ctr, "--address", node.socket, "--namespace", "k8s.io", *arguments, timeout_s=600)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(blob: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
