"""Which networks the channels of each carrier may connect to, as a deployment says it (pure)."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

from service.audience.vocabulary.choices import CARRIERS
from service.channels.contract.address_check import AllowedAddresses, Network
from service.channels.contract.model import Channel, operator_of
from service.errors import Misconfigured
from service.words.phrase import phrase

SIMULATED, OTHERS = "simulated", "others"
GROUPS = (*CARRIERS, OTHERS, SIMULATED)
"""Whose networks can be named: carriers', those of channels to no one carrier's gateway, and those
of simulated channels, whatever their carriers."""


def reach_of(
    channel: Channel, networks: Mapping[str, tuple[Network, ...]], own: Sequence[str]
) -> AllowedAddresses:
    """Where a channel may connect to. networks: by group. own: URLs of our own servers."""
    operator = operator_of(channel.kind, channel.carriers, channel.operated_by)
    group = SIMULATED if channel.simulated else operator or OTHERS
    return AllowedAddresses(networks.get(group, ()), tuple(own))


def read_networks(text: str) -> dict[str, tuple[Network, ...]]:
    """Networks by group, as TOCSIN_CARRIER_NETWORKS has them: `china_mobile=192.0.2.0/24 …`.

    Raises:
        Misconfigured: there is no such group.
    """
    networks: dict[str, tuple[Network, ...]] = {}
    for part in text.replace(",", " ").split():
        group, _, network = part.partition("=")
        if group not in GROUPS:
            known = ", ".join(GROUPS)
            raise Misconfigured(
                phrase(
                    "TOCSIN_CARRIER_NETWORKS names {group!r}; there are {known}",
                    group=group,
                    known=known,
                )
            )
        networks[group] = (*networks.get(group, ()), ip_network(network))
    return networks
