"""The carrier's end of an SMGP connection, scripted."""

from service.protocols.smgp.digest import authenticator_server
from service.protocols.smgp.packet import PDU
from service.protocols.smgp.pdu import Login, LoginResp, decode, encode
from tests.harness.session import Carrier, Peer


class SMGPPeer(Peer):
    """The carrier's end of one SMGP connection."""

    async def read(self) -> tuple[int, PDU]:  # type: ignore[override]
        """The next packet."""
        return decode(await self.read_frame())

    def write(self, sequence: int, pdu: PDU) -> None:  # type: ignore[override]
        self.writer.write(encode(sequence, pdu))

    async def accept_login(self, status: int = 0, secret: str = "1qaz2wsx") -> Login:  # type: ignore[override]
        """Read a login and answer it, as one who knows the secret."""
        sequence, login = await self.read()
        assert isinstance(login, Login)
        shown = authenticator_server(status, login.authenticator_client, secret)
        self.write(sequence, LoginResp(status, shown, 0x30))
        return login


async def peer_of(scripted: Carrier) -> SMGPPeer:
    """The next connection."""
    peer = await scripted.peer()
    return SMGPPeer(peer._reader, peer.writer)
