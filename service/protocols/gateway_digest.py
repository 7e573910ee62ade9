"""Whether a gateway must show at its login that it knows the secret: alike in CMPP and SMGP.

Whoever answers at a channel's address and does not know the secret is not the carrier. Stacks
differ in how they make their digest, so a channel may do without for a reason that is written down.
"""

from collections.abc import Mapping

from service.channels.contract.gateway import LoginRefused
from service.words.phrase import phrase

GATEWAY_UNVERIFIED = "the gateway's login digest does not match the secret"


def must_verify(verify_gateway: bool, unverified_because: str) -> bool:
    """Whether a gateway must know the secret: unless there is a reason why it need not."""
    return verify_gateway or not unverified_because.strip()


def verification_faults(verify_gateway: bool, unverified_because: str) -> Mapping[str, str]:
    """A gateway is not verified for a reason only."""
    if must_verify(verify_gateway, unverified_because) is verify_gateway:
        return {}
    return {
        "unverified_because": phrase(
            "say why the gateway's login digest is not checked, or turn verify_gateway on"
        )
    }


def unverified(host: str, port: int) -> LoginRefused:
    """What we say of a gateway that does not know the secret; nothing was submitted to it."""
    return LoginRefused(
        phrase(
            "{host}:{port} accepted the login, but its own digest does not match the secret; check"
            " the address and the secret; only where the carrier says that it makes another"
            " digest, turn verify_gateway off and write so into unverified_because",
            host=host,
            port=port,
        ),
        retryable=False,
        code="unverified",
    )
