"""Settings that make no sense stop the start, and the message names them."""

import pytest

from service.errors import Misconfigured
from service.settings import read_settings

NEEDED = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://", "KEY_FILE": "key"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(f"TOCSIN_{name}", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_NETWORKS", "10.1.0.0/16,house"),
        ("WEBHOOK_NETWORKS", "10.1.0.0/33"),
        ("WEBHOOK_NETWORKS", "10.1.0.1/16"),
        ("TRUSTED_PROXIES", "10.0.0.0/8 proxy"),
        ("DRIFT_SHARE", "-1"),
        ("TIMEZONE", "Asia/Nowhere"),
        ("TIMEZONE", "+08:00"),
        ("TIMEZONE", "/etc/passwd"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TOCSIN_{name}", value)
    with pytest.raises(Misconfigured, match=f"TOCSIN_{name}: "):
        read_settings()


def test_networks_may_be_divided_by_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_WEBHOOK_NETWORKS", "10.1.0.0/16, fd00::/8 127.0.0.1")
    found = [str(network) for network in read_settings().allowed_networks]
    assert found == ["10.1.0.0/16", "fd00::/8", "127.0.0.1/32"]
