"""Whether this container does its work, for HEALTHCHECK: `health.py`; for the API `health.py api`.

The process of the container touches a file in TOCSIN_ALIVE_FOLDER every two seconds, as long as its
own work goes round or waits for a server that is away. One that is stopped, stuck or gone touches
nothing, whatever another of its kind does. The API is asked under /readyz besides, so that nobody
is sent to one that could not answer.
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


def lives(folder: str) -> bool:
    """Whether the sign of life is there and young, and says that the process has started."""
    file = Path(folder) / "alive"
    try:
        touched, said = file.stat().st_mtime, file.read_text("ascii")
    except OSError:
        return False
    return "works" in said and time.time() - touched <= OLDEST_SECONDS


def ready() -> bool:
    """Whether the API is ready."""
    url = f"http://127.0.0.1:{os.environ.get('TOCSIN_API_PORT') or 8080}/readyz"
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    healthy = lives(os.environ.get("TOCSIN_ALIVE_FOLDER") or "/run/tocsin")
    sys.exit(0 if healthy and (sys.argv[1:] != ["api"] or ready()) else 1)
