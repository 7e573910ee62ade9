"""The simulated work groups of `tocsin up`: a robot of WeCom and one of DingTalk, served over TLS.

The port, keys and the signing secret are drawn once and kept in the data folder, so that a second
start finds the same groups. The certificate vouches for itself, and is made anew with each start;
the workers that post trust it beside the authorities of the machine.
"""

import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tocsin_client import Tocsin

from service.delivery.notices.robot import KEYS, RobotKind, RobotNotice, masked_address
from service.local.embedded import free_port, write_private

NETWORKS = "127.0.0.0/8, ::1/128"
"""Where they are: posts go into no network of our own unless it is named."""
_HOST = "localhost"
_ENDS = {RobotKind.WECOM: "/cgi-bin/webhook/send", RobotKind.DINGTALK: "/robot/send"}
_NAMES = {RobotKind.WECOM: "企业微信模拟群", RobotKind.DINGTALK: "钉钉模拟群"}
_VALID = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class SimulatedGroups:
    """The groups of a data folder. keys: of their robots; secret: with which DingTalk signs."""

    folder: Path
    port: int
    keys: Mapping[RobotKind, str]
    secret: str

    @property
    def posted_url(self) -> str:
        """Where one reads what the groups have got."""
        return f"https://{_HOST}:{self.port}/posted"

    @property
    def authorities(self) -> Path:
        """The certificates that whoever posts trusts: those of the machine, and theirs."""
        return self.folder / "groups.authorities.pem"

    @property
    def certificate(self) -> Path:
        """Their certificate alone."""
        return self.folder / "groups.pem"

    def address(self, kind: RobotKind) -> str:
        """The webhook address, as the group shows it."""
        return f"https://{_HOST}:{self.port}{_ENDS[kind]}?{KEYS[kind]}={self.keys[kind]}"

    def simulator(self) -> dict[str, Any]:
        """The settings of the simulator that answers for them; makes its certificate."""
        both = _certificate_and_key()
        certificate = both[0]
        private = self.folder / "groups.private.pem"
        write_private(private, certificate + both[1])
        self.certificate.write_text(certificate)
        known = ssl.get_default_verify_paths().cafile
        machine = Path(known).read_text() if known is not None else ""
        self.authorities.write_text(machine + certificate)
        robots: list[dict[str, str]] = [
            {"kind": kind, "key": key}
            | ({"secret": self.secret} if kind is RobotKind.DINGTALK else {})
            for kind, key in self.keys.items()
        ]
        return {
            "cmpp_port": None,
            "robots_port": self.port,
            "robots": robots,
            "tls_certificate": str(private),
            "accounts": [{"account": "groups", "secret": self.secret}],
        }


def open_simulated_groups(folder: Path) -> SimulatedGroups:
    """The groups of a data folder; what it does not know yet is drawn and kept."""
    path = folder / "groups.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known.setdefault("port", free_port())
    known.setdefault("keys", {kind: secrets.token_hex(16) for kind in RobotKind})
    known.setdefault("secret", f"SEC{secrets.token_hex(32)}")
    write_private(path, json.dumps(known))
    keys = {kind: known["keys"][kind] for kind in RobotKind}
    return SimulatedGroups(folder, known["port"], keys, known["secret"])


async def set_robots(url: str, key: str, groups: SimulatedGroups) -> None:
    """Set up the robot of each group that is not yet, told of everything; url: of the API, key: of
    an operator.
    """
    async with Tocsin(url, key) as operator:
        known = {one["address"] for one in (await operator.ask("GET", "/robots"))["items"]}
        for kind in groups.keys:
            address = groups.address(kind)
            if masked_address(kind, address) in known:
                continue
            body: dict[str, Any] = {
                "kind": kind,
                "name": _NAMES[kind],
                "address": address,
                "kinds": list(RobotNotice),
            }
            if kind is RobotKind.DINGTALK:
                body["secret"] = groups.secret
            await operator.ask("POST", "/robots", body=body)


def _certificate_and_key() -> tuple[str, str]:
    """A certificate that vouches for itself, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
