"""What lint stops of a corpus of scams, and what of honest texts; the measure of `make corpus`."""

import json

import pytest

from tests.lint_corpus import CORPUS, KEPT, actual_hash, expected_hash

FILES = ("first.json", "second.json")


@pytest.mark.skipif(not KEPT.exists(), reason="the kept texts are added after their measurement")
def test_the_kept_texts_are_those_whose_hash_was_committed() -> None:
    assert actual_hash() == expected_hash()


@pytest.mark.parametrize("name", FILES)
def test_a_corpus_says_of_every_text_what_it_is(name: str) -> None:
    rows = json.loads((CORPUS / name).read_text("utf-8"))
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["kind"] in {"scam", "honest"}
        assert row["class"] in {"public_interest", "service", "warning"}
        assert row["type"]
        assert row["text"].startswith("【")
