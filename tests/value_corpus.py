"""How the check of values judges a corpus: scam values stopped, honest values refused.

`python -m tests.value_corpus` prints it for every file of `tests/data/values`; `--wrong` also lists
what was misjudged. Values are judged as those of a direct send are, in an approved text.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from service.dispatch.direct.direct_values import GivenText
from service.errors import Invalid
from service.messages.policy import SHIPPED, TextSender
from service.messages.signature import head
from service.messages.template import variables

CORPUS = Path(__file__).parent / "data" / "values"
ORDINARY = "王建国"
"""What fills the variables of a text beside the one value of an entry."""


class Judged(NamedTuple):
    """What became of a file: how many of each kind, and those that were misjudged."""

    scams: int
    honest: int
    passed: list[str]
    refused: list[str]


def judge(path: Path) -> Judged:
    """Judge every entry of a file."""
    content = json.loads(path.read_text("utf-8"))
    text = content["text"]
    first, last = variables(text)
    signature = head(text).strip("【】")
    sender = TextSender(signature, "county", frozenset({signature}))
    given = GivenText(text, UUID(int=0), sender, SHIPPED)

    def refused(entry: str | Mapping[str, str]) -> bool:
        try:
            given.check({first: ORDINARY, last: entry} if isinstance(entry, str) else entry)
        except Invalid:
            return True
        return False

    return Judged(
        len(content["scams"]),
        len(content["honest"]),
        [str(entry) for entry in content["scams"] if not refused(entry)],
        [str(entry) for entry in content["honest"] if refused(entry)],
    )


def main() -> None:
    """Print the shares of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="list what was misjudged")
    options = parser.parse_args()
    for path in sorted(CORPUS.glob("*.json")):
        found = judge(path)
        stopped, lost = 1 - len(found.passed) / found.scams, len(found.refused) / found.honest
        print(
            f"{path.name}: {stopped:.1%} of {found.scams} scams stopped,"
            f" {lost:.1%} of {found.honest} honest values refused"
        )
        if options.wrong:
            print(*(f"  passed: {value}" for value in found.passed), sep="\n")
            print(*(f"  refused: {value}" for value in found.refused), sep="\n")


if __name__ == "__main__":
    main()
