"""What TOCSIN_REDIS_URL may say: one server, or sentinels and the primary's name among them."""

import pytest

from service.redis_address import SentinelAddress, read_redis_address
from service.settings import Settings
from service.words.phrase import Phrase, sentence_of, translated

THREE = "a:26379,10.0.0.2:26380,[fd00::1]:26381"


@pytest.mark.parametrize(
    "url", ["redis://:pw@localhost:6379/0", "rediss://h/1", "unix:///tmp/valkey.sock", ""]
)
def test_any_other_url_is_one_servers(url: str) -> None:
    assert read_redis_address(url) is None


def test_sentinels_are_read_with_ports_name_and_database() -> None:
    assert read_redis_address(f"sentinel://{THREE}/tocsin/3") == SentinelAddress(
        (("a", 26379), ("10.0.0.2", 26380), ("fd00::1", 26381)), "tocsin", 3
    )


def test_ports_and_database_have_defaults() -> None:
    assert read_redis_address("sentinel://a,b,c/tocsin") == SentinelAddress(
        (("a", 26379), ("b", 26379), ("c", 26379)), "tocsin"
    )


def test_passwords_of_servers_and_of_sentinels_are_told_apart() -> None:
    found = read_redis_address("sentinel://u:p%40w@a,b/tocsin/0?sentinel_password=s%2Fw")
    assert found is not None
    assert (found.user, found.password, found.sentinel_password) == ("u", "p@w", "s/w")
    assert found.sentinels == (("a", 26379), ("b", 26379))


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://",
        f"sentinel://:geheim@{THREE}",
        f"sentinel://:geheim@{THREE}/",
        f"sentinel://:geheim@{THREE}/tocsin/zero",
        f"sentinel://:geheim@{THREE}/tocsin/-1",
        f"sentinel://:geheim@{THREE}/tocsin/0?geheim=1",
        f"sentinel://:geheim@{THREE}/tocsin/0?geheim",
        f"sentinel://:geheim@{THREE}/tocsin/0#geheim",
        "sentinel://:geheim@a,,b/tocsin/0",
        "sentinel://:geheim@a:geheim/tocsin/0",
        "sentinel://:geheim@a:99999/tocsin/0",
        "sentinel://:geheim@a:0/tocsin/0",
        "redis+sentinel://:geheim@a/tocsin/0",
        "sentinels://:geheim@a/tocsin/0",
    ],
)
def test_another_form_is_refused_with_the_right_one_and_no_secret(url: str) -> None:
    with pytest.raises(ValueError, match="an address of sentinels is written") as refused:
        read_redis_address(url)
    assert isinstance(said := sentence_of(refused.value), Phrase)
    assert "哨兵地址写作 sentinel://" in translated(said, "zh")
    assert "geheim" not in str(said)


@pytest.mark.parametrize(
    "url", ["redis+cluster://:geheim@a,b/0", "cluster://a", "rediss-cluster://a"]
)
def test_a_cluster_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="cluster mode is not supported") as refused:
        read_redis_address(url)
    assert "不支持集群模式" in translated(sentence_of(refused.value), "zh")
    assert "geheim" not in str(refused.value)


def test_the_settings_know_the_form() -> None:
    assert "sentinel://" in str(Settings.model_fields["redis_url"].description)
