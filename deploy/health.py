"""Whether this container does its work, for HEALTHCHECK: `health.py api` or `health.py KIND…`.

The API answers for itself under /readyz. A worker touches a file for its kind every two seconds, in
TOCSIN_ALIVE_FOLDER. Where no such folder is set, its sign of life in Redis is asked for, which
expires soon after the worker dies; whoever can write to Redis can leave one there.
"""

import os
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from redis import Redis
from redis.exceptions import RedisError

SECONDS = 4
OLDEST_SECONDS = 15
"""How old a worker's sign of life may be."""


def api() -> bool:
    """Whether the API is ready."""
    url = f"http://127.0.0.1:{os.environ.get('TOCSIN_API_PORT') or 8080}/readyz"
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def workers(kinds: list[str]) -> bool:
    """Whether a worker of each kind has shown lately that it lives."""
    folder = os.environ.get("TOCSIN_ALIVE_FOLDER")
    return in_folder(Path(folder), kinds) if folder else in_redis(kinds)


def in_folder(folder: Path, kinds: list[str]) -> bool:
    """Whether the sign of life of each kind is there and young."""
    try:
        touched = [(folder / f"alive.{kind}").stat().st_mtime for kind in kinds]
    except OSError:
        return False
    return time.time() - min(touched) <= OLDEST_SECONDS


def in_redis(kinds: list[str]) -> bool:
    """Whether there is a sign of life of each kind that expires, as a worker's does."""
    redis = Redis.from_url(os.environ["TOCSIN_REDIS_URL"], socket_timeout=SECONDS)
    try:
        left = [redis.pttl(f"tocsin:health:{kind}") for kind in kinds]
    except (RedisError, OSError):
        return False
    return all(0 <= milliseconds <= OLDEST_SECONDS * 1_000 for milliseconds in left)


if __name__ == "__main__":
    kinds = sys.argv[1:]
    sys.exit(0 if (api() if kinds == ["api"] else workers(kinds)) else 1)
