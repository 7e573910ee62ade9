"""The tasks that people come to do, what each may take, and the table of what each took.

Presses and choices are counted, typing is not. Seconds are written down beside what a person who
reads the page has, and fail nothing: a machine may be busy with others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROPERTY = "task"
"""Under which a test's report has its `Took`, as a list."""


@dataclass(frozen=True)
class Task:
    """Who comes to do what. presses: at most; seconds: what somebody without a manual has."""

    who: str
    what: str
    presses: int
    seconds: int


TASKS = {
    "1": Task("operator", "plan for the county, submit", 14, 300),
    "2": Task("operator", "import a dirty list", 6, 120),
    "3": Task("operator", "mend the refused rows", 7, 240),
    "4": Task("operator", "tick a group, see five of it", 9, 90),
    "5": Task("editor", "mend what blocks a text", 6, 180),
    "6": Task("editor", "compare two versions", 4, 60),
    "7": Task("operator", "every week, four texts in turn", 16, 240),
    "8": Task("operator", "find where departments meet", 4, 60),
    "9": Task("approver", "sign for thousands, on a phone", 4, 60),
    "10": Task("approver", "learn who can sign instead", 2, 20),
    "11": Task("approver", "try on the own phone, sign", 6, 180),
    "12": Task("both", "return, mend, submit again", 7, 120),
    "13": Task("operator", "see when a run ends, who is late", 2, 30),
    "14": Task("operator", "pause a run, let it go on", 2, 20),
    "15": Task("duty", "learn of a dead channel", 3, 60),
    "16": Task("duty", "stop everything", 3, 20),
    "16, after": Task("duty", "let it go on", 4, 40),
    "17": Task("duty", "settle uncertain texts", 9, 240),
    "18": Task("duty", "take, see and close a clue", 6, 90),
    "19": Task("duty", "did my text arrive?", 2, 20),
    "20": Task("head", "find the village reached worst", 5, 90),
    "21": Task("head", "the week as a file and on paper", 4, 60),
    "22": Task("operator", "send again to those missed", 4, 60),
    "23": Task("two admins", "a department, a user, a key", 18, 300),
    "24": Task("auditor", "who approved, does it hold?", 5, 120),
    "25: 1": Task("operator", "task 1 at its worst", 14, 600),
    "25: 9": Task("approver", "task 9 at its worst", 4, 120),
    "25: 14": Task("operator", "task 14 at its worst", 2, 40),
}
"""By number. At its worst: by keys in Chromium 90, in English, at 200 %, answers 2 s late."""


@dataclass(frozen=True)
class Took:
    """What a task took once. way: with which hands, in which browser."""

    task: str
    presses: int
    seconds: float
    way: str

    def as_list(self) -> list[object]:
        """The same for the report of a test, which may go from one process to another."""
        return [self.task, self.presses, self.seconds, self.way]

    @classmethod
    def of_list(cls, values: Sequence[object]) -> "Took":
        """What `as_list` gave."""
        task, presses, seconds, way = values
        return cls(str(task), int(str(presses)), float(str(seconds)), str(way))


NAME, MOST, CELL = 50, 12, 20
"""How wide the columns of the table are."""


def table(found: Iterable[Took]) -> list[str]:
    """A line a task, with a column for each way; of several times the longest counts."""
    took = list(found)
    ways = sorted({one.way for one in took})
    lines = ["".join([f"{'presses, seconds':<{NAME}}", f"{'at most':>{MOST}}", *_cells(ways)])]
    for number, task in TASKS.items():
        here = {way: [one for one in took if (one.task, one.way) == (number, way)] for way in ways}
        name = f"{number:<9} {task.who}: {task.what}"
        most = f"{task.presses}, {task.seconds}"
        lines.append(f"{name:<{NAME}}{most:>{MOST}}" + "".join(_cells(map(_worst, here.values()))))
    if missing := [number for number in TASKS if number not in {one.task for one in took}]:
        lines.append(f"not done in this run: {', '.join(missing)}")
    return lines


def _cells(texts: Iterable[str]) -> list[str]:
    return [f"  {text:>{CELL}}" for text in texts]


def _worst(times: Sequence[Took]) -> str:
    if not times:
        return "–"
    return f"{max(one.presses for one in times)}, {max(one.seconds for one in times):.1f}"
