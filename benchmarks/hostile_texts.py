"""What a text costs that is made to keep lint busy: `python -m benchmarks.hostile_texts`.

Each of these repeats to as many characters as lint reads, and to half of them. Printed are the
processor's time of the longer one, and its ratio to the shorter one: 2 is linear, 4 quadratic.
The last row of the list was found by trying some thousand texts made of lint's own words.
"""

import argparse
import time

from service.messages.lint.draft import READ_CHARACTERS
from service.messages.lint.lint import lint

REPEATED = (
    *(
        "转账",
        "缴费",
        "扫码",
        "加微信",
        "点击链接",
        "APP下载",
        "领奖",
        "验证码",
        "告诉",
        "公安不会",
    ),
    *(
        "1",
        "1-",
        "12:",
        "1,234",
        "一",
        "96110",
        "村1起",
        "a",
        "a.",
        "[0]",
        "“",
        "“请转账”",
        "【",
        "{a}",
    ),
    *(
        "如果您",
        "骗子说",
        "都是骗局",
        "不",
        "。",
        "，",
        "您领取的押金",
        "加微信”是骗局",
        "加是微信是骗",
    ),
)
ROUNDS = 5


def seconds(text: str) -> float:
    """The processor's time that lint takes, the least of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.thread_time()
        lint(text)
        taken.append(time.thread_time() - begin)
    return min(taken)


def main() -> None:
    """Print the table, the dearest first."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lint("【某局】您好。")
    rows = []
    for repeated in REPEATED:
        half, whole = (
            seconds("【某局】" + (repeated * READ_CHARACTERS)[:length])
            for length in (READ_CHARACTERS // 2, READ_CHARACTERS)
        )
        rows.append((whole, whole / half, repeated))
    for whole, ratio, repeated in sorted(rows, reverse=True):
        print(f"{whole * 1000:7.1f} ms  {ratio:4.1f}  {repeated}")


if __name__ == "__main__":
    main()
