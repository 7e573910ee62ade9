"""Whether this revision needs more of the processor than another one, measured in turns.

    python -m benchmarks.revisions [--against REVISION] [--rounds N] [--people N] [--only TEXT]

The other revision, the parent unless one is named, is checked out into a temporary folder. Each has
a PostgreSQL of its own. In each round both do the same work, one after the other, in an order that
changes: previews, an expansion, the report of a run, an import, and a broadcast through the
simulated carrier. Compared is the processor time of the program and PostgreSQL, which other
programs on the machine change little. What is not committed is measured as well.

The exit status is 1 if a measure took more than a tenth more in the middle of all rounds.
"""

# a benchmark prints

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("worker.py")
MEASURES = (
    "preview, everybody",
    "preview, a town and a role",
    "preview, lists",
    "expansion",
    "report of a run",
    "import",
    "hand-off",
)
WORSE = 1.10


class Revision:
    """A worker with one revision's sources. options: further ones of the worker."""

    def __init__(self, folder: Path, people: int, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, WORKER, str(people), *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def take(self, measure: str) -> float:
        """Seconds of processor.

        Raises:
            RuntimeError: the worker ended; it said why on standard error.
        """
        given, told = self._process.stdin, self._process.stdout
        assert given is not None
        assert told is not None
        given.write(measure + "\n")
        given.flush()
        if not (line := told.readline()):
            raise RuntimeError(f"{measure} cannot be measured with the sources of both revisions")
        return float(line)

    def end(self) -> None:
        """Stop it, and its PostgreSQL."""
        self._process.communicate()


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """The sources of a revision in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tocsin-revision-") as name:
        folder = Path(name) / "sources"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", folder, revision], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)


def compare(new: Revision, old: Revision, rounds: int, measures: Sequence[str]) -> dict[str, float]:
    """Print a line for each measure; the ratio in the middle of all rounds, and end both."""
    middles = {}
    with ExitStack() as workers:
        workers.callback(new.end)
        workers.callback(old.end)
        for measure in measures:
            for revision in (new, old):  # the first time fills caches
                revision.take(measure)
            ratios, spent = [], []
            for number in range(rounds):
                order = (new, old) if number % 2 else (old, new)
                taken = {revision: revision.take(measure) for revision in order}
                ratios.append(taken[new] / taken[old])
                spent.append(taken[new])
            middles[measure] = statistics.median(ratios)
            print(
                f"{measure:<28} {statistics.median(spent):7.3f} s"
                f"  {min(ratios):6.3f} {middles[measure]:6.3f} {max(ratios):6.3f}",
                flush=True,
            )
    return middles


def main() -> int:
    """Compare; 0 if nothing became worse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="HEAD~1")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--people", type=int, default=30_000)
    parser.add_argument("--only", default="", help="measures whose name contains this")
    asked = parser.parse_args()
    measures = [one for one in MEASURES if asked.only in one]
    print(f"processor time beside {asked.against}: of this revision; ratio at least, middle, most")
    with checked_out(asked.against) as folder:
        workers = Revision(ROOT, asked.people), Revision(folder, asked.people)
        middles = compare(*workers, asked.rounds, measures)
    worse = [measure for measure, middle in middles.items() if middle > WORSE]
    print(*(f"worse: {measure}" for measure in worse), sep="\n", end="\n" if worse else "")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
