"""Whether what is asked every day takes longer beside months of texts, measured in turns.

    python -m benchmarks.aged [--rounds N] [--people N] [--only TEXT]

The same sources twice, each with a PostgreSQL of its own: in one the people were sent ten texts
each in past months, and direct sends, one for each third person. Both do the same work in turns,
as in `benchmarks.revisions`; the ratio is of the aged one to the fresh one.
"""

# a benchmark prints

import argparse

from benchmarks.revisions.__main__ import MEASURES, ROOT, Revision, compare

HAS_ITS_OWN_DATABASE = "hand-off"
MONTHS = "10"


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--people", type=int, default=60_000)
    parser.add_argument("--only", default="", help="measures whose name contains this")
    asked = parser.parse_args()
    measures = [one for one in MEASURES if asked.only in one and one != HAS_ITS_OWN_DATABASE]
    print("processor time: of the aged one; ratio to the fresh one at least, middle, most")
    workers = Revision(ROOT, asked.people, "--aged", MONTHS), Revision(ROOT, asked.people)
    compare(*workers, asked.rounds, measures)


if __name__ == "__main__":
    main()
