"""A page and its twin in Chinese, X.md and X.zh.md, have the same headings, commands and tables."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, text_files

pytestmark = pytest.mark.xdist_group("tree")

TWINS = [path for path, _ in text_files() if path.name.endswith(".zh.md")]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"(^|\s+)#\s.*$")
COMMAND = re.compile(r"`((?:make|sh|docker|kubectl|helm|systemctl|tocsin|deploy/bundle) [^`]+)`")


def english(twin: Path) -> Path:
    """The page whose twin it is."""
    return twin.with_name(twin.name.replace(".zh.md", ".md"))


def headings(text: str) -> list[int]:
    """The depth of each heading, in their order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """The blocks of code by their languages, without comments."""
    found = []
    for language, content in FENCE.findall(text):
        lines = [COMMENT.sub("", line).rstrip() for line in content.splitlines()]
        found.append((language, [line for line in lines if line.strip()]))
    return found


def commands(text: str) -> list[str]:
    """The commands in sentences and tables."""
    return sorted(" ".join(one.split()) for one in COMMAND.findall(FENCE.sub("", text)))


def tables(text: str) -> list[int]:
    """How many cells the lines of tables have, in their order."""
    return [line.count("|") for line in FENCE.sub("", text).splitlines() if line.startswith("|")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_twins() -> None:
    assert {name(twin) for twin in TWINS} >= {
        "README.zh.md",
        "docs/backup.zh.md",
        "docs/drill.zh.md",
        "docs/failover.zh.md",
        "docs/growing.zh.md",
        "docs/install.zh.md",
        "docs/operating.zh.md",
        "docs/uncertain.zh.md",
        "docs/valkey-sentinel.zh.md",
    }


@pytest.mark.parametrize("twin", TWINS, ids=name)
def test_twins_lead_to_one_another(twin: Path) -> None:
    first = "\n".join(twin.read_text("utf-8").splitlines()[:4])
    assert f"English: [{english(twin).name}]({english(twin).name})" in first
    first = "\n".join(english(twin).read_text("utf-8").splitlines()[:4])
    assert f"中文：[{twin.name}]({twin.name})" in first


@pytest.mark.parametrize("twin", TWINS, ids=name)
@pytest.mark.parametrize(
    "part", [headings, blocks, commands, tables], ids=lambda part: part.__name__
)
def test_twins_say_the_same(twin: Path, part: object) -> None:
    assert callable(part)
    here, there = (part(path.read_text("utf-8")) for path in (english(twin), twin))
    assert here, "nothing is compared"
    assert here == there


@pytest.mark.parametrize(
    ("here", "there", "part", "same"),
    [
        ("# A\n\n## B\n", "# 甲\n\n### 乙\n", headings, False),
        ("# A\n\n## B\n", "# 甲\n\n## 乙\n", headings, True),
        ("```sh\nls  # all\n```\n", "```sh\nls  # 全部\n```\n", blocks, True),
        ("```sh\n# all\nls\n```\n", "```sh\n# 全部\nls\n```\n", blocks, True),
        ("```sh\nls -l\n```\n", "```sh\nls\n```\n", blocks, False),
        ("   ```sh\n   ls\n   ```\n", "   ```sh\n   rm\n   ```\n", blocks, False),
        ("```sh\nls\n```\n", "```yaml\nls\n```\n", blocks, False),
        ("say `make up`\n", "运行 `make down`\n", commands, False),
        ("| a | b |\n", "| 甲 |\n", tables, False),
    ],
)
def test_differences_are_seen(here: str, there: str, part: object, same: bool) -> None:
    assert callable(part)
    assert (part(here) == part(there)) is same
