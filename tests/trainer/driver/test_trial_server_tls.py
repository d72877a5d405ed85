"""TLS between slots and the trial server: one certificate, which the driver makes for its run; slots accept no other."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sparksweep_trainer.driver.run_certificate import NAME, RunCertificate
from sparksweep_trainer.http_server.tls import client_context, server_context
from sparksweep_trainer.slot.trial_client import Address, DriverGone, TrialClient
from support.trainer.server_rig import Rig

OURS = RunCertificate.make()
SECRET = "0.the-token"


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig(tls=True)
    yield rig
    rig.close()


class Impostor:
    """Accepts one connection after another, and keeps all that clients say to it."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.heard = b""
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                sock = self._listener.accept()[0]
                sock.settimeout(5)
                with sock, suppress(OSError):
                    if self._context is not None:
                        sock = self._context.wrap_socket(sock, server_side=True)
                    with sock:
                        self.heard += sock.recv(10_000)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def signed(issuer: x509.Certificate | None, directory: Path) -> ssl.SSLContext:
    """Return the context of a server whose certificate names an issuer, whose key the server does not have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(issuer.serial_number if issuer else x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
        + OURS.text.encode()
    )
    context = server_context()
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("kind", ["another run's", "one of the same name and number", "plain HTTP"])
def test_no_other_server_hears_the_token(kind: str, tmp_path: Path) -> None:
    """The address of a driver that is gone may be another pod's, in whose image anything may run."""
    context = {
        "another run's": RunCertificate.make().context,
        "one of the same name and number": signed(
            x509.load_pem_x509_certificate(OURS.text.encode()), tmp_path
        ),
        "plain HTTP": None,
    }[kind]
    impostor = Impostor(context)
    client = TrialClient(Address("127.0.0.1", impostor.port, SECRET, 0.3, OURS.text))
    says = "no answer" if context is None else f"{impostor.port} is not this run's trial server"
    with pytest.raises(DriverGone, match=says) as error:
        client.next(0)
    client.close()
    impostor.close()
    assert b"Bearer" not in impostor.heard
    assert SECRET not in str(error.value)


def test_another_certificate_ends_a_slot_at_once(rig: Rig) -> None:
    """Asking again would not help: 60 s of patience are for a driver that is busy."""
    client = TrialClient(Address("127.0.0.1", rig.server.port, SECRET, 1e9, OURS.text))
    with pytest.raises(DriverGone, match="is not this run's trial server"):
        client.next(0)
    client.close()


def test_a_plain_client_gets_nothing(rig: Rig) -> None:
    client = TrialClient(Address("127.0.0.1", rig.server.port, rig.server.token(0), 0.2))
    with pytest.raises(DriverGone, match="no answer"):
        client.next(0)
    client.close()


def test_older_tls_is_refused(rig: Rig) -> None:
    assert rig.certificate is not None
    context = client_context(rig.certificate.text)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", rig.server.port), timeout=5) as sock,
        pytest.raises(OSError),  # noqa: PT011
    ):
        context.wrap_socket(sock)


def test_the_certificate_holds_for_any_clock_and_signs_no_others() -> None:
    certificate = x509.load_pem_x509_certificate(OURS.text.encode())
    assert certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


def test_each_run_has_a_key_of_its_own_that_no_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    texts = {RunCertificate.make().text for _ in range(3)}
    assert len(texts) == 3
    assert not any("PRIVATE" in text for text in texts)
    assert list(tmp_path.iterdir()) == []
    opened = [link for fd in os.listdir("/proc/self/fd") if (link := _target(fd))]
    assert not any("certificate" in link for link in opened)


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""  # That of the listing.


def test_only_a_driver_that_makes_a_certificate_loads_its_library() -> None:
    program = """
import sys
import sparksweep_trainer.driver.trial_server, sparksweep_trainer.slot.slot
import sparksweep_trainer.slot.fork_server_handle, sparksweep_trainer.trial.fork_server
import sparksweep_trainer.viewer.server
from sparksweep_trainer.driver.run_certificate import RunCertificate
assert "cryptography" not in sys.modules
RunCertificate.make()
assert "cryptography" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_address_does_not_show_its_token() -> None:
    assert SECRET not in repr(Address("127.0.0.1", 1, SECRET, 1.0, OURS.text))
