"""When a person has room for one more text under the frequency caps, as SQL on `recent_texts`.

That table has a row for each person and class: `at`, the latest hand-offs from new to old, and the
hash of each one's text in `texts`. The mark takes a place by these expressions
(`dispatch.limits.caps_store`); a ledger and whoever counts one before ask the same
(`campaigns.audience.exclusion_store`).
"""

CURRENT = """
    SELECT * FROM frequency_caps WHERE class = r.class AND r.over_cap <> 'send'
    ORDER BY id DESC LIMIT 1
"""
"""The caps of the run `r`; none if nothing is counted for it."""


def spans_end(at: str, cap: str = "cap.{}") -> str:
    """When there is room again for one more after the hand-offs `at`; null: there always was.

    cap: how a column of the caps is written.
    """
    day, week, month = (cap.format(name) for name in ("per_day", "per_week", "per_month"))
    return (
        f"greatest({at}[{day}] + interval '24 hours', {at}[{week}] + interval '168 hours', "
        f"{at}[{month}] + interval '720 hours')"
    )


def repeat_ends(at: str, texts: str, text: str, cap: str = "cap.{}") -> str:
    """When the text may come again; null: it was not there, or may come at any time."""
    last = f"{at}[array_position({texts}, {text})]"
    return f"CASE WHEN NOT {cap.format('same_text')} THEN {last} + interval '720 hours' END"
