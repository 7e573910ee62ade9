"""Tables of number blocks: seven digits and whose they are."""

import pytest

from service.audience.numbers.blocks import Block, BlockTable, read_blocks
from service.audience.numbers.prefix import Blocks, packaged_prefixes
from service.errors import FileRefused

TABLE = "号段,省份,城市,运营商\n1979000,安徽,宣城,中国联通\n1979001,,,移动虚拟运营商\n"


def _read(text: str) -> BlockTable:
    octets = text.encode("gb18030")
    return read_blocks(lambda: [octets[:9], octets[9:]], packaged_prefixes())


def _blocks(table: BlockTable) -> Blocks:
    found = Blocks()
    for block in table:
        found.put([block.block], block.carrier, virtual=block.virtual)
    return found


def test_a_table_gives_carrier_and_home_of_each_block() -> None:
    table = _read(TABLE + "1979000.0,安徽,宣城,联通\n\n")
    assert list(table) == [
        Block(1979000, "china_unicom", False, "安徽", "宣城"),
        Block(1979001, "china_mobile", True, "", ""),
    ]
    assert table.count == 2


@pytest.mark.parametrize(
    ("start", "code"),
    [("1349", "satellite"), ("1440", "iot"), ("1610", "prefix"), ("1200", "prefix")],
)
def test_what_is_no_persons_is_left_out_and_counted(start: str, code: str) -> None:
    table = _read(f"{TABLE}{start}000,,,电信\n")
    assert table.left_out == {code: 1}
    assert table.count == 2


def test_first_digits_of_virtual_operators_stay_theirs() -> None:
    (block,) = _read("block,carrier\n1700000,china_telecom\n")
    assert block == Block(1700000, "china_telecom", True, "", "")


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "empty_file", "empty"),
        ("号码归属,运营商\n1979000,移动\n", "no_block_column", "号段"),
        ("号段,省份\n1979000,安徽\n", "no_carrier_column", "运营商"),
        ("号段,运营商\n1440000,移动\n", "no_rows", "no row"),
        ("号段,运营商\n", "no_rows", "no row"),
        (TABLE + "197900,,,移动\n", "bad_rows", "row 4: a block is the first seven digits"),
        (TABLE + "19790001234,,,移动\n", "bad_rows", "row 4: a block is the first seven digits"),
        (TABLE + "1979002,,,铁通\n", "bad_rows", "row 4: the carrier is not known"),
        (
            TABLE + "1979000,安徽,宣城,移动\n",
            "bad_rows",
            "row 4: an earlier row says something else",
        ),
        (
            TABLE + "1979000,安徽,合肥,联通\n",
            "bad_rows",
            "row 4: an earlier row says something else",
        ),
        (TABLE + f"1979002,{'安' * 51},,移动\n", "bad_rows", "row 4: a province"),
        (TABLE + "x\n" * 50, "bad_rows", "row 23: "),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_whole(text: str, code: str, told: str) -> None:
    with pytest.raises(FileRefused) as refused:
        _read(text)
    assert refused.value.code == code
    assert told in refused.value.message
    assert "1979000" + "1234" not in refused.value.message
    assert "row 24" not in refused.value.message


@pytest.mark.parametrize(
    ("phone", "carrier"),
    [
        ("+8619790001234", "china_unicom"),  # by its block
        ("19790011234", "china_mobile"),
        ("19790021234", "china_mobile"),  # by its first digits
        ("1979000", "china_unicom"),
        ("197900", "china_mobile"),
        ("2979000" + "1234", None),
        ("１９７９０００１２３４", None),
        ("", None),
    ],
)
def test_a_block_goes_before_the_first_digits(phone: str, carrier: str | None) -> None:
    assert packaged_prefixes().with_blocks(_blocks(_read(TABLE))).carrier_of(phone) == carrier


@pytest.mark.parametrize("start", ["1349", "1440", "1610", "1979"])
def test_a_block_makes_no_number_a_persons(start: str) -> None:
    number = start + "0000000"
    blocks = Blocks()
    blocks.put([int(number[:7])], "china_mobile", virtual=False)
    table = packaged_prefixes()
    assert table.with_blocks(blocks).judge(number) == table.judge(number) is not None
