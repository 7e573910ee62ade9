"""What deploy/upgrade.sh and deploy/unpack.sh refuse before they do anything, in both languages."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT


def refused(folder: Path, script: str, *words: str) -> tuple[str, str]:
    """The two sentences with which a script in a folder refuses."""
    place = folder / "deploy" / script
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "deploy" / script, place)
    command: Sequence[str] = ["/bin/sh", str(place), *words]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    chinese, english = done.stderr.splitlines()
    return chinese, english


@pytest.mark.parametrize("words", [(), ("one", "two"), ("--back",)])
def test_an_upgrade_needs_the_folder_of_the_version_that_runs(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    chinese, english = refused(tmp_path, "upgrade.sh", *words)
    assert chinese.startswith("用法：sh deploy/upgrade.sh")
    assert english.startswith("Usage: sh deploy/upgrade.sh")


def test_an_upgrade_takes_no_folder_without_the_compose_file(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    for named in (old, tmp_path / "none"):
        chinese, english = refused(new, "upgrade.sh", str(named))
        assert chinese.startswith(f"{named} 中没有 docker-compose.yml")
        assert english.startswith(f"{named} has no docker-compose.yml")


def test_an_upgrade_over_the_version_that_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").touch()
    chinese, english = refused(tmp_path, "upgrade.sh", "--stop", ".")
    assert chinese.startswith("新版本须放在自己的文件夹中")
    assert english.startswith("Unpack the new version into a folder of its own")


def test_an_archive_is_named_and_has_its_signature_beside_it(tmp_path: Path) -> None:
    chinese, english = refused(tmp_path, "unpack.sh", "--key", "1a2b")
    assert chinese.startswith("用法：sh unpack.sh")
    assert english.startswith("Usage: sh unpack.sh")
    archive = tmp_path / "tocsin.tar"
    archive.touch()
    chinese, english = refused(tmp_path, "unpack.sh", str(archive))
    assert f"没有找到 {archive} 或它的签名" in chinese
    assert f"no signature {archive}.sig" in english
