"""The rules of robots of work groups: addresses, signatures, answers."""

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from service.delivery.notices.robot import (
    MOST_OCTETS,
    PostFate,
    RobotKind,
    body_of_post,
    check_address,
    masked_address,
    read_answer,
    signed_address,
)
from service.errors import Invalid

WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=566cc69da782ec1234567890"


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("wecom", WECOM),
        ("dingtalk", DINGTALK),
        ("wecom", "https://wx.county.example.cn:8443/inside/cgi-bin/webhook/send?key=a&debug=1"),
    ],
)
def test_addresses_as_groups_show_them_are_taken(kind: str, address: str) -> None:
    check_address(RobotKind(kind), address, None)


@pytest.mark.parametrize(
    ("kind", "address", "field"),
    [
        ("wecom", WECOM.replace("https", "http"), "address"),
        ("wecom", DINGTALK, "address"),
        ("dingtalk", WECOM, "address"),
        ("wecom", WECOM.partition("?")[0], "address"),
        ("wecom", WECOM + "&key=b", "address"),
        ("wecom", WECOM + "#x", "address"),
        ("wecom", WECOM.replace("//", "//user@"), "address"),
        ("wecom", "https:///cgi-bin/webhook/send?key=a", "address"),
        ("wecom", "https://a:99999/webhook/send?key=a", "address"),
        ("dingtalk", "qyapi.weixin.qq.com", "address"),
    ],
)
def test_what_is_no_address_of_a_robot_says_so(kind: str, address: str, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_address(RobotKind(kind), address, None)
    assert list(raised.value.fields) == [field]
    assert "693a91f6" not in str(raised.value.message), "no key comes back"


def test_only_dingtalk_signs() -> None:
    with pytest.raises(Invalid) as raised:
        check_address(RobotKind.WECOM, WECOM, "SEC1")
    assert list(raised.value.fields) == ["secret"]
    check_address(RobotKind.DINGTALK, DINGTALK, "SEC1")


def test_an_address_is_shown_without_its_key() -> None:
    assert masked_address(RobotKind.WECOM, WECOM) == "qyapi.weixin.qq.com…5aaa"
    short = "https://a.cn/robot/send?access_token=abcd"
    assert masked_address(RobotKind.DINGTALK, short) == "a.cn…"


def test_a_signature_is_that_of_the_robots_page() -> None:
    signed = signed_address(DINGTALK, "this is secret", 1_577_262_236_757)
    query = parse_qs(urlsplit(signed).query)
    said = hmac.new(b"this is secret", b"1577262236757\nthis is secret", hashlib.sha256).digest()
    assert query["timestamp"] == ["1577262236757"]
    assert query["sign"] == [base64.b64encode(said).decode()]
    assert query["access_token"] == ["566cc69da782ec1234567890"]
    assert signed_address(WECOM, None, 1) == WECOM


def test_a_text_is_cut_at_a_whole_sign() -> None:
    content = json.loads(body_of_post("警" * 1_000))["text"]["content"]
    assert content == "警" * (MOST_OCTETS // 3)


@pytest.mark.parametrize(
    ("kind", "status", "body", "fate"),
    [
        ("wecom", 200, b'{"errcode":0,"errmsg":"ok"}', PostFate.SENT),
        ("wecom", 200, b'{"errcode":45009,"errmsg":"api freq out of limit"}', PostFate.TOO_FAST),
        ("dingtalk", 200, b'{"errcode":130101,"errmsg":"send too fast"}', PostFate.TOO_FAST),
        ("dingtalk", 429, b"", PostFate.TOO_FAST),
        ("wecom", 200, b'{"errcode":-1,"errmsg":"system busy"}', PostFate.LATER),
        ("wecom", 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', PostFate.REFUSED),
        ("dingtalk", 200, b'{"errcode":310000,"errmsg":"sign not match"}', PostFate.REFUSED),
        ("dingtalk", 200, b'{"errcode":987654}', PostFate.REFUSED),
        ("wecom", 404, b"", PostFate.REFUSED),
        ("wecom", 502, b"", PostFate.UNCERTAIN),
        ("wecom", 302, b"", PostFate.UNCERTAIN),
        ("wecom", 200, b"<html>", PostFate.UNCERTAIN),
        ("wecom", 200, b"[]", PostFate.UNCERTAIN),
        ("wecom", 200, b'{"errcode":"0"}', PostFate.UNCERTAIN),
        ("wecom", 200, b'{"errcode":false}', PostFate.UNCERTAIN),
        ("wecom", 200, b"[" * 100_000, PostFate.UNCERTAIN),
    ],
    ids=str,
)
def test_what_an_answer_means(kind: str, status: int, body: bytes, fate: PostFate) -> None:
    found = read_answer(RobotKind(kind), status, body)
    assert found.fate is fate
    assert (fate is PostFate.SENT) == (found.error == "")
