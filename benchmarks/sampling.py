"""Where our own processes spend their processor time, by function, out of samples."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SAMPLER = Path(__file__).parent / "sampler"
SHOWN_OWN = 14
SHOWN_BELOW = 22


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for all processes that are started inside."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def sampling(folder: Path) -> dict[str, str]:
    """The variables under which every process of Python samples itself into a folder."""
    folder.mkdir()
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(SAMPLER), *([known] if known else [])])
    return {"PYTHONPATH": path, "TOCSIN_BENCH_SAMPLES": str(folder)}


def read_samples(folder: Path, pids: Mapping[str, int]) -> dict[str, dict[str, Counter[str]]]:
    """The counts so far by process: `total`, `own` and `below`."""
    found = {}
    for name, pid in pids.items():
        path = folder / f"{pid}.json"
        if path.exists():
            counts = json.loads(path.read_text(encoding="utf-8"))
            own, below = Counter(counts["own"]), Counter(counts["below"])
            found[name] = {"total": Counter(n=counts["total"]), "own": own, "below": below}
    return found


def lines(
    before: Mapping[str, Mapping[str, Counter[str]]],
    after: Mapping[str, Mapping[str, Counter[str]]],
    micros: Mapping[str, float],
) -> list[str]:
    """A table a process: microseconds a message in a function itself, and with all it calls."""
    found = []
    for name, counts in after.items():
        start = before.get(name, {})
        own, below, total = (
            counts[kind] - start.get(kind, Counter()) for kind in ("own", "below", "total")
        )
        if not total["n"]:
            continue
        each = micros[name] / total["n"]
        found += ["", f"{name}: {micros[name]:.1f} µs a message, {total['n']:,} samples"]
        for title, kind, most in (
            ("in itself", own, SHOWN_OWN),
            ("with calls", below, SHOWN_BELOW),
        ):
            found.append(f"  {title}:")
            for function, count in kind.most_common(most):
                found.append(f"    {count * each:7.1f} µs  {function}")
    return found
