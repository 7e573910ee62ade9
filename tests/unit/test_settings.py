"""Settings that make no sense stop the start, and the message names them."""

import pytest

from service.errors import Misconfigured
from service.settings import EARLIER_NAMES, read_settings

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
        ("EXCHANGED_SHARE", "0"),
        ("STRAY_OPT_OUTS_SHARE", "-1"),
        ("STRAY_OPT_OUTS_AN_HOUR", "-1"),
        ("SUPPRESSIONS_A_DAY", "-1"),
        ("SUPPRESSIONS_SHARE", "-1"),
        ("REPLIES_AN_HOUR", "0"),
        ("TIMEZONE", "Asia/Nowhere"),
        ("TIMEZONE", "+08:00"),
        ("TIMEZONE", "/etc/passwd"),
        ("LOG_LEVEL", "loud"),
        ("CONSOLE_URL", "tocsin.example.gov.cn"),
        ("CONSOLE_URL", "javascript:alert(1)"),
        ("READ_URL", "standby:5432"),
        ("READ_URL", "redis://standby"),
        ("READ_BEHIND_SECONDS", "0"),
        ("REDIS_URL", "sentinel://a,b,c"),
        ("REDIS_URL", "redis+cluster://a,b,c/0"),
        ("SMTP_URL", "mail.example.gov.cn:25"),
        ("SMTP_URL", "http://mail.example.gov.cn"),
        ("SMTP_URL", "smtp+plain://tocsin:secret@mail.example.gov.cn"),
        ("MAIL_FROM", "Tocsin <tocsin@example.gov.cn>"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TOCSIN_{name}", value)
    with pytest.raises(Misconfigured, match=f"TOCSIN_{name}: "):
        read_settings()


@pytest.mark.parametrize("missing", ["MAIL_FROM", "MAIL_DOMAINS"])
def test_a_mail_server_takes_a_sender_and_domains(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    given = {
        "SMTP_URL": "smtps://tocsin:geheim7@mail.example.gov.cn",
        "MAIL_FROM": "tocsin@example.gov.cn",
        "MAIL_DOMAINS": "Example.gov.cn, example.com",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TOCSIN_{name}", value)
    assert read_settings().domains_of_mail == ["example.gov.cn", "example.com"]
    monkeypatch.delenv(f"TOCSIN_{missing}")
    with pytest.raises(Misconfigured, match=f"TOCSIN_{missing}") as refused:
        read_settings()
    assert "geheim7" not in str(refused.value)


def test_networks_may_be_divided_by_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_WEBHOOK_NETWORKS", "10.1.0.0/16, fd00::/8 127.0.0.1")
    found = [str(network) for network in read_settings().allowed_networks]
    assert found == ["10.1.0.0/16", "fd00::/8", "127.0.0.1/32"]


@pytest.mark.parametrize("name", NEEDED)
def test_an_empty_setting_counts_as_one_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"TOCSIN_{name}", "")
    with pytest.raises(Misconfigured, match=f"TOCSIN_{name}: is needed"):
        read_settings()


def test_an_empty_setting_with_a_default_has_that(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WITNESS_FILE", "POOL_SIZE", "LOG_LEVEL"):
        monkeypatch.setenv(f"TOCSIN_{name}", "")
    settings = read_settings()
    assert (settings.witness_file, settings.pool_size, settings.log_level) == (None, 8, "INFO")


def test_a_wrong_value_is_not_called_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_API_PORT", "http")
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert "incomplete" not in refused.value.message
    assert "is needed" not in refused.value.message


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("debug", "DEBUG"),
        ("info, service.dispatch=debug", "INFO,service.dispatch=DEBUG"),
        ("arq=INFO", "INFO,arq=INFO"),
        ("a=error,WARNING,b=INFO", "WARNING,a=ERROR,b=INFO"),
    ],
)
def test_log_levels_may_be_in_any_case_and_order(
    monkeypatch: pytest.MonkeyPatch, given: str, read: str
) -> None:
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", given)
    assert read_settings().log_level == read


@pytest.mark.parametrize("given", ["loud", "INFO,ERROR", "INFO,a=loud", "a=INFO,a=DEBUG", "INFO,"])
def test_a_log_level_that_is_none_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", given)
    with pytest.raises(Misconfigured, match=r"as in INFO,service\.dispatch=DEBUG; not"):
        read_settings()


@pytest.mark.parametrize(("name", "earlier"), EARLIER_NAMES.items())
def test_a_variable_is_read_by_its_earlier_name(
    monkeypatch: pytest.MonkeyPatch, name: str, earlier: str
) -> None:
    default = getattr(read_settings(), name)
    value = "false" if default is True else str(default / 2)
    monkeypatch.setenv(earlier, value)
    assert str(getattr(read_settings(), name)).lower() == value


@pytest.mark.parametrize(("name", "earlier"), EARLIER_NAMES.items())
def test_the_present_name_goes_before_the_earlier_one(
    monkeypatch: pytest.MonkeyPatch, name: str, earlier: str
) -> None:
    default = str(getattr(read_settings(), name))
    monkeypatch.setenv(earlier, "no value of any setting")
    monkeypatch.setenv(f"TOCSIN_{name.upper()}", default)
    assert str(getattr(read_settings(), name)) == default


def test_a_wrong_value_is_named_by_the_variable_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOCSIN_LANE_FAULT_SHARE", "2")
    with pytest.raises(Misconfigured, match="TOCSIN_LANE_FAULT_SHARE: "):
        read_settings()
