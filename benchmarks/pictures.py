"""How long a picture of a report takes to be made anew, and how much memory its process has.

    python -m benchmarks.pictures
    python -m benchmarks.pictures --megapixels 50 --rounds 3

The file is given to `service.pictures.picture_process` with the limits that it has in earnest.
Bound for 12 megapixels: 0.5 s of processor, 200 MiB. The process is started by a small parent: what
the system counts as the most of a process has that of whoever started it in it.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from service.pictures.picture_process import LIMITS

_PARENT = """
import json, os, sys
said = [os.open(sys.argv[1], os.O_RDONLY), os.open(os.devnull, os.O_WRONLY)]
files = [(os.POSIX_SPAWN_DUP2, said[0], 0), (os.POSIX_SPAWN_DUP2, said[1], 1)]
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=files)
_, status, used = os.wait4(child, 0)
print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("JPEG", "RGB", {"quality": 90}),
    "PNG": ("PNG", "RGB", {"compress_level": 6}),
    "PNG, transparent": ("PNG", "RGBA", {"compress_level": 6}),
    "WebP": ("WEBP", "RGB", {"quality": 80, "method": 0}),
    "WebP, transparent": ("WEBP", "RGBA", {"quality": 80, "method": 0}),
    "WebP, lossless": ("WEBP", "RGB", {"lossless": True, "method": 0}),
}


def main() -> None:
    """Run it from the command line."""
    reader = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    reader.add_argument("--megapixels", type=int, default=12)
    reader.add_argument("--rounds", type=int, default=5)
    given = reader.parse_args()
    print(f"{given.megapixels} megapixels, the median of {given.rounds}")
    print("| file | MiB | seconds of processor | MiB of memory at most |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        for name, (form, mode, more) in FORMS.items():
            file = Path(folder) / form
            octets = _photograph(given.megapixels, form, mode, more)
            file.write_bytes(octets)
            seen = [_measured(file) for _ in range(given.rounds)]
            seconds = statistics.median(one[0] for one in seen)
            memory = max(one[1] for one in seen)
            size = len(octets) / 2**20
            print(f"| {name} | {size:.1f} | {seconds:.2f} | {memory:.0f} |")


def _measured(file: Path) -> tuple[float, float]:
    """Seconds of processor of a process, and the most memory that it had, in MiB."""
    child = [sys.executable, "-m", "service.pictures.picture_process"]
    child += [*map(str, LIMITS), "[]"]
    parent = [sys.executable, "-I", "-S", "-c", _PARENT, str(file), *child]
    said = subprocess.run(parent, check=True, capture_output=True)
    status, seconds, kibibytes = json.loads(said.stdout)
    assert status == 0, "it passed its limits"
    return seconds, kibibytes / 1024


def _photograph(megapixels: int, form: str, mode: str, more: Mapping[str, Any]) -> bytes:
    """A picture with as much in it as a photograph has."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size = (round(height * 4 / 3), height)
    bands = [
        Image.effect_noise((size[0] // 4, size[1] // 4), 40 + 10 * n).resize(size) for n in range(3)
    ]
    picture = Image.merge("RGB", bands).convert(mode)
    out = io.BytesIO()
    picture.save(out, form, **more)
    return out.getvalue()


if __name__ == "__main__":
    main()
