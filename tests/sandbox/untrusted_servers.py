"""Servers on loopback that a load program must not trust with its key.

One redirects each request. The other has a certificate that no authority has signed.
"""

import datetime
import hashlib
import http.server
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import loopback_server

LOOPBACK = "127.0.0.1"


class KeyRecordingServer(http.server.ThreadingHTTPServer):
    """A server that records the key of every request, and redirects each to `location` if that is given."""

    daemon_threads = True

    request_queue_size = 128

    def __init__(self, location: str | None = None, delay_seconds: float = 0.0) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.location = location
        self.delay_seconds = delay_seconds
        self.connections = 0
        self.keys: list[str | None] = []

    def verify_request(self, request: object, client_address: object) -> bool:
        """Counts connections, with or without a request."""
        self.connections += 1
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Prints nothing: in some tests the client has to hang up at the handshake."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KeyRecordingServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.keys.append(self.headers.get("X-IG-Api-Key"))
        time.sleep(self.server.delay_seconds)
        self.send_response(307 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Writes no log."""


@contextmanager
def serve_plain(location: str | None = None, *, delay_seconds: float = 0.0) -> Iterator[KeyRecordingServer]:
    """Serves plain HTTP, with redirects to `location` if that is given; each answer takes so long."""
    with loopback_server.run(KeyRecordingServer(location, delay_seconds)) as server:
        yield server


@contextmanager
def serve_self_signed(folder: Path) -> Iterator[KeyRecordingServer]:
    """Serves HTTPS with a self-signed certificate."""
    server = KeyRecordingServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with loopback_server.run(server):
        yield server


def trust_certificate(folder: Path) -> Path:
    """A folder in which OpenSSL finds the certificate of `serve_self_signed` by the hash of its name, and nowhere else
    is it trusted."""
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    # OpenSSL hashes the names without the header of their sequence; this name is plain already.
    digest = hashlib.sha1(certificate.subject.public_bytes()[2:], usedforsecurity=False).digest()
    trusted = folder / "trusted"
    trusted.mkdir()
    name = f"{int.from_bytes(digest[:4], 'little'):08x}.0"
    (trusted / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return trusted


def _certificate(folder: Path) -> Path:
    """A file with a key and a self-signed certificate for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
