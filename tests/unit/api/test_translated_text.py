"""A sentence in an answer keeps its Chinese for a page, and JSON has it in either language."""

import json
from zoneinfo import ZoneInfo

from service.api.http.schema import Out, TranslatedText, as_json
from service.words.phrase import Phrase, phrase, translated


class SentencesOut(Out):
    """An answer with sentences."""

    note: TranslatedText
    notes: list[TranslatedText]
    plain: str


def test_a_page_says_it_in_chinese_and_json_in_the_language_asked_for() -> None:
    said = phrase("there is no run {run_id}", run_id=7)
    answer = SentencesOut(note=said, notes=[said], plain=said)
    assert isinstance(answer.note, Phrase)
    assert translated(answer.note, "zh") == translated(answer.notes[0], "zh") == "没有批次 7"
    assert not isinstance(answer.plain, Phrase)
    shown = json.loads(as_json(answer, ZoneInfo("Asia/Shanghai")))
    assert shown == {
        "note": "there is no run 7",
        "notes": ["there is no run 7"],
        "plain": "there is no run 7",
    }
    chinese = json.loads(as_json(answer, ZoneInfo("Asia/Shanghai"), "zh"))
    assert chinese == {
        "note": "没有批次 7",
        "notes": ["没有批次 7"],
        "plain": "there is no run 7",
    }
    for mode in ("validation", "serialization"):
        schema = SentencesOut.model_json_schema(mode=mode)
        assert schema["properties"]["note"]["type"] == "string"
