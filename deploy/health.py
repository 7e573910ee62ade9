"""Whether this container does its work, for HEALTHCHECK: `health.py api` or `health.py KIND…`.

The API answers for itself under /readyz. A worker leaves a sign of life for its kind in Redis
every few seconds, which expires soon after it dies.
"""

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

from redis import Redis
from redis.exceptions import RedisError

SECONDS = 4


def api() -> bool:
    """Whether the API is ready."""
    url = f"http://127.0.0.1:{os.environ.get('TOCSIN_API_PORT') or 8080}/readyz"
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def workers(kinds: list[str]) -> bool:
    """Whether a worker of each kind has been heard of lately."""
    redis = Redis.from_url(os.environ["TOCSIN_REDIS_URL"], socket_timeout=SECONDS)
    try:
        return all(redis.exists(f"tocsin:health:{kind}") for kind in kinds)
    except (RedisError, OSError):
        return False


if __name__ == "__main__":
    kinds = sys.argv[1:]
    sys.exit(0 if (api() if kinds == ["api"] else workers(kinds)) else 1)
