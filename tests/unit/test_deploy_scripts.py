"""What deploy/unpack.sh refuses before it does anything, in both languages."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

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


def test_an_archive_is_named_and_has_its_signature_beside_it(tmp_path: Path) -> None:
    chinese, english = refused(tmp_path, "unpack.sh", "--key", "1a2b")
    assert chinese.startswith("用法：sh unpack.sh")
    assert english.startswith("Usage: sh unpack.sh")
    archive = tmp_path / "tocsin.tar"
    archive.touch()
    chinese, english = refused(tmp_path, "unpack.sh", str(archive))
    assert f"没有找到 {archive} 或它的签名" in chinese
    assert f"no signature {archive}.sig" in english
