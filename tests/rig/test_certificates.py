"""The certificates are what they claim to be, by the word of openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.certificates import Certificates, KeyPair
from rig.processes import RigError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def verify(pair: KeyPair, root: Path, purpose: str = "sslclient") -> str:
    """What openssl says of a chain to one who trusts only `root`."""
    outcome = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", root]
        + ["-untrusted", pair.certificate, pair.certificate],
        capture_output=True,
        text=True,
    )
    return "OK" if outcome.returncode == 0 else outcome.stderr


def text(pair: KeyPair) -> str:
    command = ["openssl", "x509", "-noout", "-text", "-in", pair.certificate]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_server_is_trusted_under_its_loopback_names(certificates: Certificates) -> None:
    server = certificates.server()

    assert verify(server, certificates.root, "sslserver") == "OK"
    assert "IP Address:127.0.0.1" in text(server) and "DNS:localhost" in text(server)


def test_a_client_comes_with_the_intermediate_that_it_needs(certificates: Certificates) -> None:
    client = certificates.client("relay")

    assert verify(client, certificates.root) == "OK"
    assert "Issuer: CN = drawbridge rig intermediate" in text(client)
    assert client.certificate.read_text().count("BEGIN CERTIFICATE") == 2


def test_an_expired_client_is_refused_for_its_date_only(certificates: Certificates) -> None:
    assert "certificate has expired" in verify(certificates.expired_client(), certificates.root)


def test_an_expired_server_is_refused_for_its_date_only(certificates: Certificates) -> None:
    assert "certificate has expired" in verify(certificates.expired_server(), certificates.root)


def test_a_foreign_client_is_trusted_by_the_foreign_root_only(certificates: Certificates) -> None:
    foreign = certificates.foreign_client()

    assert verify(foreign, certificates.foreign_root) == "OK"
    assert "unable to get" in verify(foreign, certificates.root)


def test_keys_are_p256_in_pkcs8(certificates: Certificates) -> None:
    client = certificates.client()

    assert client.key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert "NIST CURVE: P-256" in text(client)
    assert client.bundle.read_text() == client.key.read_text() + client.certificate.read_text()


def test_a_folder_keeps_what_was_made(certificates: Certificates) -> None:
    before = certificates.client("kept").bundle.read_text()

    assert Certificates(certificates.folder).client("kept").bundle.read_text() == before


def test_a_name_that_openssl_would_take_for_a_path_is_refused(certificates: Certificates) -> None:
    with pytest.raises(RigError, match="cannot be the name"):
        certificates.client("../client")
