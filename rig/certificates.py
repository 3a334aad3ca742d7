"""Keys and certificates of one cluster, made with the openssl command: P-256, PKCS#8, PEM.

A cluster trusts one root. Its clients are signed by an intermediate CA that the brokers do not
know, so a client must send its leaf and the intermediate, as it must to a well-run Kafka.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rig.locks import locked
from rig.processes import RigError

_VALID_FROM = "20240101000000Z"
_VALID_TO = "20491231235959Z"
_EXPIRED_TO = "20240102000000Z"

_KEY_IDS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
_CA = _KEY_IDS + "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
_SERVER = _KEY_IDS + (
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
    "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n"
)
_CLIENT = _KEY_IDS + (
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n"
)

# `openssl ca` rather than `openssl x509 -req`: only it can set both dates in OpenSSL 3.0.
_OPENSSL_CONFIGURATION = """\
[ca]
default_ca = rig
[rig]
database = index.txt
rand_serial = yes
unique_subject = no
new_certs_dir = issued
default_md = sha256
policy = any_name
email_in_dn = no
[any_name]
commonName = supplied
[req]
distinguished_name = unused
[unused]
"""


@dataclass(frozen=True)
class KeyPair:
    """Files of one identity: `certificate` is leaf and any intermediate, `bundle` the key too."""

    key: Path
    certificate: Path
    bundle: Path


class Certificates:
    """The certificates in one folder; each is made when first asked for and kept.

    Safe among threads and processes that share the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._lock = self.folder / ".lock"
        (self.folder / "issued").mkdir(parents=True, exist_ok=True)
        with locked(self._lock):
            if not (self.folder / "openssl.cnf").exists():
                (self.folder / "index.txt").touch()
                (self.folder / "openssl.cnf").write_text(_OPENSSL_CONFIGURATION)

    @property
    def root(self) -> Path:
        """The CA that brokers and clients of the cluster trust."""
        return self._authority("root").certificate

    @property
    def foreign_root(self) -> Path:
        """A CA that signed nothing here: a client that trusts only it must refuse the cluster."""
        return self._authority("foreign").certificate

    def server(self, name: str = "broker") -> KeyPair:
        """A server on loopback: SAN 127.0.0.1, ::1 and localhost, signed by the root."""
        return self._leaf(f"server-{name}", name, "root", _SERVER, _VALID_TO)

    def expired_server(self, name: str = "broker") -> KeyPair:
        """As `server`, but its time is over."""
        return self._leaf(f"expired-server-{name}", name, "root", _SERVER, _EXPIRED_TO)

    def client(self, name: str = "client") -> KeyPair:
        """A client with subject CN=`name`, signed by the intermediate CA, chain included."""
        return self._leaf(f"client-{name}", name, "intermediate", _CLIENT, _VALID_TO)

    def expired_client(self, name: str = "client") -> KeyPair:
        """As `client`, but its time is over."""
        return self._leaf(f"expired-{name}", name, "intermediate", _CLIENT, _EXPIRED_TO)

    def foreign_client(self, name: str = "client") -> KeyPair:
        """As `client`, but signed by the foreign CA."""
        return self._leaf(f"foreign-{name}", name, "foreign", _CLIENT, _VALID_TO)

    def _authority(self, name: str) -> KeyPair:
        signer = "root" if name == "intermediate" else name
        return self._issued(f"ca-{name}", f"drawbridge rig {name}", f"ca-{signer}", _CA, _VALID_TO)

    def _leaf(
        self, stem: str, name: str, authority: str, extensions: str, valid_to: str
    ) -> KeyPair:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise RigError(
                f"{name!r} cannot be the name of a certificate: letters, digits, dot, dash"
            )
        self._authority("root")
        self._authority(authority)
        return self._issued(stem, name, f"ca-{authority}", extensions, valid_to)

    def _issued(
        self, stem: str, subject: str, signer: str, extensions: str, valid_to: str
    ) -> KeyPair:
        pair = KeyPair(*(self.folder / f"{stem}.{suffix}" for suffix in ("key", "crt", "pem")))
        with locked(self._lock):
            if not pair.bundle.exists():
                self._issue(pair, stem, subject, signer, extensions, valid_to)
        return pair

    def _issue(
        self, pair: KeyPair, stem: str, subject: str, signer: str, extensions: str, valid_to: str
    ) -> None:
        self._openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pair.key
        )
        self._openssl(
            "req",
            "-new",
            "-config",
            "openssl.cnf",
            "-key",
            pair.key,
            "-subj",
            f"/CN={subject}",
            "-out",
            f"{stem}.csr",
        )
        (self.folder / f"{stem}.ext").write_text(extensions)
        issuer = ["-selfsign"] if signer == stem else ["-cert", f"{signer}.crt"]
        self._openssl(
            "ca",
            "-batch",
            "-notext",
            "-config",
            "openssl.cnf",
            *issuer,
            "-keyfile",
            f"{signer}.key",
            "-extfile",
            f"{stem}.ext",
            "-in",
            f"{stem}.csr",
            "-startdate",
            _VALID_FROM,
            "-enddate",
            valid_to,
            "-out",
            pair.certificate,
        )
        if signer == "ca-intermediate":
            chain = pair.certificate.read_text() + (self.folder / f"{signer}.crt").read_text()
            pair.certificate.write_text(chain)
        # Written last and in one step: its presence says that all three are there.
        unfinished = pair.bundle.with_suffix(".unfinished")
        unfinished.write_text(pair.key.read_text() + pair.certificate.read_text())
        unfinished.rename(pair.bundle)

    def _openssl(self, *arguments: str | Path) -> None:
        try:
            subprocess.run(
                ["openssl", *map(str, arguments)],
                cwd=self.folder,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            raise RigError("openssl is not installed; on Debian: apt-get install openssl") from None
        except subprocess.CalledProcessError as error:
            raise RigError(f"openssl {arguments[0]} failed:\n{error.stderr}") from None
