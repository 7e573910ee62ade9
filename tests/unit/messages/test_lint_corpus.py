"""What lint stops of a corpus of scams, and what of honest texts; the measure of `make corpus`."""

import json
from pathlib import Path

import pytest

from tests.lint_corpus import (
    AT_HAND,
    CORPUS,
    KEPT,
    TAUGHT,
    is_as_committed,
    judge,
    learn,
    main,
    share,
    taught,
    written,
)

# file; at least this share of scams is stopped; at most these of honest texts blocked, at review
FLOORS = [
    ("first.json", 1.0, 0.031, 0.02),
    ("second.json", 1.0, 0.0, 0.03),
    ("third.json", 1.0, 0.0, 0.02),
    ("fourth.json", 1.0, 0.0, 0.05),
    ("fifth.json", 1.0, 0.0, 0.1),
    ("sixth.json", 1.0, 0.0, 0.1),
    ("kept.json", 1.0, 0.0, 0.02),
    ("seventh.json", 1.0, 0.0, 0.03),
    ("eighth.json", 1.0, 0.0, 0.03),
    ("kept-second.json", 1.0, 0.0, 0.08),
    ("kept-third.json", 1.0, 0.03, 0.3),
    ("kept-fourth.json", 1.0, 0.02, 0.16),
    ("ninth.json", 1.0, 0.01, 0.13),
]
FLOORS_APART = [
    ("first.json", 0.98, 0.031, 0.04),
    ("second.json", 0.98, 0.0, 0.06),
    ("third.json", 0.96, 0.0, 0.1),
    ("fourth.json", 0.96, 0.0, 0.15),
    ("fifth.json", 0.96, 0.0, 0.2),
    ("sixth.json", 1.0, 0.03, 0.1),
    ("kept.json", 0.98, 0.0, 0.03),
    ("seventh.json", 0.95, 0.0, 0.05),
    ("eighth.json", 0.95, 0.0, 0.08),
    ("kept-second.json", 0.98, 0.01, 0.1),
    ("kept-third.json", 0.98, 0.05, 0.3),
    ("kept-fourth.json", 0.98, 0.02, 0.18),
    ("ninth.json", 0.96, 0.02, 0.22),
]


@pytest.mark.skipif(not KEPT.exists(), reason="the kept texts are added after their measurement")
def test_the_kept_texts_are_those_whose_hash_was_committed() -> None:
    assert is_as_committed(KEPT)


@pytest.mark.parametrize(
    "name", ["kept.json", "kept-second.json", "kept-third.json", "kept-fourth.json"]
)
def test_a_file_that_was_kept_and_now_teaches_is_still_the_one_that_was_measured(name: str) -> None:
    once_kept = CORPUS / name
    assert once_kept in AT_HAND
    assert (CORPUS / f"{name}.sha256").exists()
    assert is_as_committed(once_kept)


def test_a_file_that_is_kept_teaches_nothing() -> None:
    assert KEPT not in AT_HAND
    assert {path.name for path in AT_HAND} == {name for name, *_ in FLOORS}
    assert set(CORPUS.glob("*.json")) <= {*AT_HAND, KEPT}


def test_the_tool_says_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.json"
    row = {"id": "1", "kind": "honest", "type": "x", "class": "service", "text": "【甲乙】您好。"}
    texts.write_text(json.dumps([row]), "utf-8")
    monkeypatch.setattr("sys.argv", ["lint_corpus", str(texts)])
    monkeypatch.setattr("tests.lint_corpus.KEPT", tmp_path / "kept-fifth.json")
    main()
    assert "kept-fifth.json is not here: nothing is kept" in capsys.readouterr().out
    (tmp_path / "kept-fifth.json").write_text("[]", "utf-8")
    main()
    assert "nothing is kept" not in capsys.readouterr().out


def test_a_file_that_was_changed_since_its_hash_was_committed_is_told(tmp_path: Path) -> None:
    once_kept = tmp_path / "kept.json"
    once_kept.write_bytes((CORPUS / "kept.json").read_bytes() + b" ")
    (tmp_path / "kept.json.sha256").write_bytes((CORPUS / "kept.json.sha256").read_bytes())
    assert not is_as_committed(once_kept)


@pytest.mark.parametrize("path", AT_HAND, ids=[path.name for path in AT_HAND])
def test_a_corpus_says_of_every_text_what_it_is(path: Path) -> None:
    rows = json.loads(path.read_text("utf-8"))
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["kind"] in {"scam", "honest"}
        assert row["class"] in {"public_interest", "service", "warning"}
        assert row["type"]
        assert row["text"].startswith("【")


def test_wording_is_taught_by_the_corpus() -> None:
    assert TAUGHT.read_text("utf-8") == written(taught(AT_HAND))


@pytest.mark.parametrize(("name", "stopped", "blocked", "reviewed"), FLOORS)
def test_lint_stops_scams_and_lets_honest_texts_pass(
    name: str, stopped: float, blocked: float, reviewed: float
) -> None:
    texts = judge(CORPUS / name)
    scams = share([text for text in texts if text.scam])
    honest = share([text for text in texts if not text.scam])
    assert scams.stopped >= stopped
    assert honest.blocked <= blocked * honest.texts
    assert honest.reviewed <= reviewed * honest.texts


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stopped", "blocked", "reviewed"), FLOORS_APART)
def test_weights_that_other_files_teach_are_enough(
    name: str, stopped: float, blocked: float, reviewed: float
) -> None:
    weights = learn([path for path in AT_HAND if path.name != name])
    texts = judge(CORPUS / name, weights)
    scams = share([text for text in texts if text.scam])
    honest = share([text for text in texts if not text.scam])
    assert scams.stopped >= stopped
    assert honest.blocked <= blocked * honest.texts
    assert honest.reviewed <= reviewed * honest.texts
