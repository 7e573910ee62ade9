"""Which addresses a webhook may lead to: public ones, by whatever way an address leads there."""

from ipaddress import ip_network

import pytest

from service.delivery.webhooks.webhook import may_call

OURS = [
    "127.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1",
    "::", "::1", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::169.254.169.254", "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.attack
@pytest.mark.parametrize("address", OURS)
def test_an_address_of_our_own_house_is_not_called(address: str) -> None:
    assert not may_call(address, [])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert may_call(address, [])


def test_what_is_allowed_by_name_is_called_and_its_neighbour_is_not() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/64")]
    assert may_call("10.1.2.3", allowed)
    assert may_call("fd00::9", allowed)
    assert not may_call("10.2.0.1", allowed)
