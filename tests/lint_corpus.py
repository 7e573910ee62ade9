"""How lint judges a corpus of scams and honest texts: recall, false alarms, by rule and by kind.

`python -m tests.lint_corpus` prints it for every file of `tests/data/lint-corpus`; `--wrong` also
lists the scams that pass and the honest texts that do not. A text is judged as if its signature
were registered for its department and the department were one of the police, so that neither R02
nor R23 catches anything for us: what is measured is what the words say.

The files from `first.json` to `ninth.json` were at hand when the rules were written. `kept.json`
and `kept-second.json` to `kept-fourth.json` were not, until they had been measured at first sight;
they teach since. `kept-fifth.json` is the file that is kept now, and is not here before it is
measured: its SHA-256 is committed first. Each of these is measured only if it has the hash that was
committed for it.

What texts teach wording (R25) are the files at hand, the library of texts and the known scam texts:
`--learn` writes them. `--apart` judges each of these files with weights that all others teach; the
rules remain those that were written with it at hand.
"""

import argparse
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from service.ledger.message_class import MessageClass
from service.messages.lint import wording
from service.messages.lint.draft import draft
from service.messages.lint.lint import lint
from service.messages.policy import SCAM_TEXTS, TextSender
from service.messages.template import load_library

CORPUS = Path(__file__).parent / "data" / "lint-corpus"
KEPT = CORPUS / "kept-fifth.json"
"""The file that teaches nothing, and that nobody who changes rules has read; it may not be here."""
AT_HAND = tuple(
    CORPUS / f"{name}.json"
    for name in (
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "kept",
        "seventh",
        "eighth",
        "kept-second",
        "kept-third",
        "kept-fourth",
        "ninth",
    )
)
TAUGHT = Path(wording.__file__).parents[1] / "data" / "wording.json"

_LONG_NUMBER = re.compile("[0-9]{7,}")
_LANDLINE = re.compile("0563-?0600[0-9]{3}(?![0-9])")
"""The offices' numbers in all files: as synthetic as the mobiles of 1979."""

Verdict = Literal["block", "review", "pass"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A text of the corpus, and what lint said: its verdict, and the level of each rule."""

    id: str
    scam: bool
    type: str
    text: str
    verdict: Verdict
    rules: dict[str, Verdict]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some texts lint blocked, sent to a person, and let pass."""

    texts: int
    blocked: int
    reviewed: int

    @property
    def stopped(self) -> float:
        """The share that was blocked or sent to a person, from 0 to 1."""
        return (self.blocked + self.reviewed) / self.texts if self.texts else 0.0

    def __str__(self) -> str:
        def percent(count: int) -> str:
            return f"{count:4d} {count / self.texts:6.1%}" if self.texts else f"{count:4d}       "

        passed = self.texts - self.blocked - self.reviewed
        return (
            f"{self.texts:4d} texts, block {percent(self.blocked)}, "
            f"review {percent(self.reviewed)}, pass {percent(passed)}"
        )


def is_as_committed(path: Path) -> bool:
    """Whether a file has the SHA-256 that was committed for it; true if none was.

    Raises:
        FileNotFoundError: there is no such file here.
    """
    committed = path.with_name(f"{path.name}.sha256")
    if not committed.exists():
        return True
    expected = committed.read_text("ascii").split()[0]
    return hashlib.sha256(path.read_bytes()).hexdigest() == expected


def taught(paths: Iterable[Path]) -> dict[str, list[str]]:
    """The texts of some files in their plain view, with those that are shipped anyway, by kind.

    A number of seven digits or more is written as 0: to wording all numbers are one, and the plain
    view shows those that a text disguises, which may be somebody's.
    """
    rows = [row for path in paths for row in json.loads(path.read_text("utf-8"))]
    texts = {
        kind: [row["text"] for row in rows if row["kind"] == kind] for kind in ("scam", "honest")
    }
    texts["scam"] += SCAM_TEXTS
    texts["honest"] += [one.text for one in load_library()]
    return {
        kind: [_LONG_NUMBER.sub("0", draft(text, {}).words) for text in given]
        for kind, given in texts.items()
    }


def learn(paths: Iterable[Path]) -> dict[str, float]:
    """The weights of wording that some files teach."""
    texts = taught(paths)
    return wording.learn(texts["scam"], texts["honest"])


def written(texts: Mapping[str, list[str]]) -> str:
    """The texts that teach wording as their file holds them."""
    return json.dumps(texts, ensure_ascii=False, indent=0) + "\n"


def judge(path: Path, weights: Mapping[str, float] | None = None) -> list[Judged]:
    """Every text of a file with lint's verdict; by default with the weights that are shipped."""
    return [_judge(row, weights) for row in json.loads(path.read_text("utf-8"))]


def _judge(row: dict[str, str], weights: Mapping[str, float] | None) -> Judged:
    text = row["text"]
    message_class = cast(MessageClass, row["class"])
    signature = re.match("【([^】]*)】", text)
    name = signature[1] if signature else ""
    landlines = frozenset(found.replace("-", "") for found in _LANDLINE.findall(text))
    sender = TextSender(name, "police", frozenset({name}), landlines)
    rules: dict[str, Verdict] = {}
    for finding in lint(text, {}, message_class=message_class, sender=sender, weights=weights):
        level = finding["level"]
        if level != "warn" and rules.get(finding["rule"]) != "block":
            rules[finding["rule"]] = level
    levels = set(rules.values())
    verdict: Verdict = "block" if "block" in levels else "review" if levels else "pass"
    return Judged(row["id"], row["kind"] == "scam", row["type"], text, verdict, rules)


def share(texts: Sequence[Judged]) -> Share:
    """The verdicts on some texts, counted."""
    verdicts = Counter(text.verdict for text in texts)
    return Share(len(texts), verdicts["block"], verdicts["review"])


def _lines(texts: Sequence[Judged]) -> Iterator[str]:
    scams = [text for text in texts if text.scam]
    honest = [text for text in texts if not text.scam]
    yield f"  scam    {share(scams)}"
    yield f"  honest  {share(honest)}"
    yield "  by rule          scams: block review   honest: block review"
    for rule in sorted({rule for text in texts for rule in text.rules}):
        counts = [
            sum(text.rules.get(rule) == level for text in kind)
            for kind in (scams, honest)
            for level in ("block", "review")
        ]
        yield f"    {rule}  {counts[0]:18d} {counts[1]:6d} {counts[2]:15d} {counts[3]:6d}"
    for name, kind in (("scam", scams), ("honest", honest)):
        yield f"  {name} texts by type"
        for known in sorted({text.type for text in kind}):
            yield f"    {known:18s} {share([text for text in kind if text.type == known])}"


def _wrong(texts: Sequence[Judged]) -> Iterator[str]:
    for text in texts:
        if text.scam == (text.verdict == "pass"):
            rules = " ".join(sorted(text.rules))
            yield f"  {text.id} {text.type} {text.verdict} {rules}\n    {text.text}"


def main() -> None:
    """Print the figures of every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wrong", action="store_true", help="list what was misjudged")
    parser.add_argument("--learn", action="store_true", help="write the texts that teach wording")
    parser.add_argument("--apart", action="store_true", help="judge each file by the others")
    parser.add_argument("files", nargs="*", type=Path, help="other files than the corpus")
    given = parser.parse_args()
    if given.learn:
        TAUGHT.write_text(written(taught(AT_HAND)), "utf-8")
        return
    if not KEPT.exists():
        print(f"{KEPT.name} is not here: nothing is kept from those who change rules")
    for path in given.files or sorted(CORPUS.glob("*.json")):
        if not is_as_committed(path):
            raise SystemExit(f"{path}: not the file whose SHA-256 was committed")
        others = [other for other in AT_HAND if other != path]
        texts = judge(path, learn(others) if given.apart and path in AT_HAND else None)
        print(path.name)
        print(*_lines(texts), *(_wrong(texts) if given.wrong else ()), sep="\n")


if __name__ == "__main__":
    main()
