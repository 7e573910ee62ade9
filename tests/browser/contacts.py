"""The dirty roster of 20,000 rows that these systems have, and numbers that it has not."""

import csv
from pathlib import Path

DIRTY = Path(__file__).parents[1] / "data/contacts/county-20000-dirty-gb18030.csv"
HEAD_ROWS = 2
"""A note and the header, before the first person."""
LISTED = [
    row[0]
    for row in csv.reader(DIRTY.read_text("gb18030").splitlines()[HEAD_ROWS:])
    if row and len(row[0]) == 11 and row[0].isascii() and row[0].isdecimal()
]
"""Numbers as the roster has them, in its order; some of them are refused all the same."""
UNLISTED = (number for number in map(str, range(19790000100, 19790009999)) if number not in LISTED)
"""Numbers that no list of these tests has; each is taken once."""
