"""`deploy/last-release` names the release beside which this version works, and whoever lacks its
commit is told what to do.
"""

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from service.storage.migrate import BESIDE
from tests.harness.last_release import NoHistory, Release, archive, last_release


def test_the_last_release_is_the_one_that_migrations_are_noted_to_work_with() -> None:
    assert last_release().version == BESIDE
    assert re.fullmatch("[0-9a-f]{40}", last_release().commit)


def _git(*words: str, where: Path) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *words], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository of two commits, each with a file."""
    (folder := tmp_path / "whole").mkdir()
    _git("init", "--quiet", where=folder)
    for name in ("first", "second"):
        (folder / name).write_text(name)
        _git("add", name, where=folder)
        _git("commit", "--quiet", "--message", name, where=folder)
    return folder


def test_a_release_is_the_files_of_its_commit(history: Path) -> None:
    first = Release("0.1.0", _git("rev-parse", "HEAD~", where=history))
    with tarfile.open(fileobj=io.BytesIO(archive(first, history))) as files:
        assert files.getnames() == ["first"]


def test_a_clone_without_the_commit_says_what_is_missing(history: Path, tmp_path: Path) -> None:
    first = Release("0.1.0", _git("rev-parse", "HEAD~", where=history))
    _git("clone", "--quiet", "--depth", "1", f"file://{history}", "shallow", where=tmp_path)
    with pytest.raises(NoHistory, match=rf"{first.commit} of version 0.1.0.*git fetch --unshallow"):
        archive(first, tmp_path / "shallow")
    with pytest.raises(NoHistory, match="with its whole history"):
        archive(Release("0.1.0", "0" * 40), history)
