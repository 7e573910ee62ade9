"""Whether this container does its work, for HEALTHCHECK: `health.py`; for the API `health.py api`.
Whether it lives at all, for whoever kills what does not: `health.py alive`.

The process of the container touches a file in TOCSIN_ALIVE_FOLDER every two seconds, as long as its
own work goes round or waits for a server that is away. One that is stopped, stuck or gone touches
nothing, whatever another of its kind does. The API is asked under /readyz besides, so that nobody
is sent to one that could not answer.

One that starts, or waits for a server at its start, does not work yet but lives: to kill it would
only make it start anew.
"""

import os
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

SECONDS = 4
OLDEST_SECONDS = 20
"""How old the sign of life may be: `service.liveness.alive_file` says why."""


def lives(folder: str, *, has_started: bool) -> bool:
    """Whether the sign of life is there and young; has_started: and says that the process works."""
    file = Path(folder) / "alive"
    try:
        touched, said = file.stat().st_mtime, file.read_text("ascii")
    except OSError:
        return False
    if has_started and "works" not in said:
        return False
    return time.time() - touched <= OLDEST_SECONDS


def ready() -> bool:
    """Whether the API is ready."""
    url = f"http://127.0.0.1:{os.environ.get('TOCSIN_API_PORT') or 8080}/readyz"
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    where = os.environ.get("TOCSIN_ALIVE_FOLDER") or "/run/tocsin"
    healthy = lives(where, has_started=sys.argv[1:] != ["alive"])
    sys.exit(0 if healthy and (sys.argv[1:] != ["api"] or ready()) else 1)
