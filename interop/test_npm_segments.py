"""Our count of parts beside npm sms-segments-calculator's, on 10,000 texts.

The two may differ in one way: the calculator never cuts what a screen shows as one sign (a letter
and its accent, a family emoji), the standard and our gateways only never cut a character. Then it
counts the same or more; docs/templates.md says how often.
"""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from interop.texts import ALPHABETS, CLUSTERS, texts
from service.coding.parts import Coding, count, fits

SCRIPT = Path(__file__).parent / "npm" / "segments.js"
VECTORS = Path(__file__).parent.parent / "tests" / "vectors" / "parts" / "segments.json"
COUNT, SEED, RECORDED = 10_000, 341825, 350


def ours(text: str) -> tuple[str, int]:
    """Coding and parts, in GSM 7-bit where every character can travel in it."""
    coding = Coding.GSM7 if fits(text, Coding.GSM7) else Coding.UCS2
    return ("GSM-7" if coding is Coding.GSM7 else "UCS-2"), count(text, coding=coding)[1]


def theirs(module: Path, cases: list[tuple[str, str]]) -> list[tuple[str, int]]:
    done = subprocess.run(
        ["node", str(SCRIPT), str(module)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return [(coding, parts) for coding, parts in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def counted(npm_segments: Path) -> list[tuple[str, str, tuple[str, int]]]:
    known = [case for case in texts(COUNT, SEED) if case[1]]
    said = theirs(npm_segments, [(text, "auto") for _, text in known])
    return [(name, text, answer) for (name, text), answer in zip(known, said, strict=True)]


def test_we_count_as_it_does_but_for_signs_of_several_characters(
    counted: list[tuple[str, str, tuple[str, int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    compared, differ = Counter[str](), Counter[str]()
    for name, text, (coding, parts) in counted:
        our_coding, our_parts = ours(text)
        compared[name] += 1
        assert our_coding == coding, text
        if our_parts != parts:
            differ[name] += 1
            assert any(cluster in text for cluster in CLUSTERS), text
            assert our_parts < parts, text
    with capsys.disabled():
        for name in ALPHABETS:
            print(f"\n{name}: {compared[name]} texts, {differ[name]} counted otherwise", end="")
    assert not {name for name in differ if name != "clusters"}


def test_the_recorded_counts_are_still_its_own(npm_segments: Path) -> None:
    recorded = json.loads(VECTORS.read_text("utf-8"))["cases"]
    said = theirs(npm_segments, [(case["text"], "auto") for case in recorded])
    assert said == [(case["coding"], case["parts"]) for case in recorded]


def record(module: Path) -> None:
    """Write down what the calculator says of some texts: `python -m interop.test_npm_segments`."""
    known = [text for name, text in texts(RECORDED, SEED + 1) if text and name != "clusters"]
    said = theirs(module, [(text, "auto") for text in known])
    cases = [
        {"text": text, "coding": coding, "parts": parts}
        for text, (coding, parts) in zip(known, said, strict=True)
    ]
    source = "npm sms-segments-calculator 1.3.0, counted by interop/npm/segments.js"
    VECTORS.parent.mkdir(exist_ok=True)
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    VECTORS.write_text(f'{{\n "source": "{source}",\n "cases": [\n{lines}\n ]\n}}\n', "utf-8")


if __name__ == "__main__":
    from interop.install import NPM_SEGMENTS

    record(NPM_SEGMENTS.path)
