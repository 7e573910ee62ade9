"""The client's labels of reasons, made from the ledger's registry.

The client is a package of its own and imports nothing of the service, and a count in an answer has
codes only. `python -m tests.architecture.reason_words --write` brings its module up to date.
"""

import sys

from service.ledger.reasons import Reason
from tests.architecture.tree import ROOT

MODULE = ROOT / "clients" / "python" / "tocsin_client" / "ctl" / "reason_words.py"

_HEAD = '''"""What reasons are called in Chinese beside a count.

Made from service/ledger/reasons.py: python -m tests.architecture.reason_words --write
"""

REASON_WORDS = {
'''


def source() -> str:
    """The text of the module."""
    rows = [f'    "{reason}": "{reason.label}",\n' for reason in Reason if reason]
    return _HEAD + "".join(rows) + "}\n"


def main() -> None:
    """Print the module; `--write`: bring it up to date."""
    if "--write" in sys.argv[1:]:
        MODULE.write_text(source(), "utf-8")
    else:
        print(source(), end="")


if __name__ == "__main__":
    main()
