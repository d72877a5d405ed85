"""The trial server's key and certificate, made for one run of a driver and kept in its memory.

The only importer of `cryptography`, and only when a certificate is made: slots and trials never load it.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from sparksweep_trainer.http_server.tls import server_context

NAME = "sparksweep-driver"
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No expiration, by RFC 5280. The certificate ends with its driver, and a node's clock may be wrong."""


@dataclass(frozen=True)
class RunCertificate:
    """A certificate, and the context of the server that has its key."""

    text: str
    """The certificate, as PEM. It is no secret."""
    context: ssl.SSLContext

    @classmethod
    def make(cls) -> RunCertificate:
        """Make a key and sign a certificate with it."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        text = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = server_context()
        _load(context, secret + text)
        return cls(text.decode("ascii"), context)


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Load a key, which `ssl` reads from files only: from one in memory, so that no disk has it."""
    file = os.memfd_create("run-certificate")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
