"""deploy/unpack.sh: what was changed, or signed by somebody else, is not unpacked."""

import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from tests.containers.machine import ROOT, run

NOBODY = 65534
SCRIPT = ROOT / "deploy" / "unpack.sh"
NEW_KEY = ("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out")
WRONG = "签名不对", "The signature is wrong"
FOREIGN_KEY = "tocsin.pub 的指纹与所写的不同", "tocsin.pub has another fingerprint"
NO_KEY = "本机还没有密钥", "This machine has no key yet"
NO_SIGNATURE = "没有找到", "There is no"
NO_OPENSSL = "没有 openssl", "There is no openssl"
THERE = "已经存在", "is there already"


def make_key(path: Path) -> None:
    """A private key as docs/install.md makes one, but without a passphrase."""
    run([*NEW_KEY, str(path)])


class Stick:
    """A folder with an archive as it is carried, and a user of a machine that reads it."""

    def __init__(self, archive: Path, place: Path) -> None:
        self.folder = place / "stick"
        self.folder.mkdir()
        self.archive = self.folder / archive.name
        self.signature = self.folder / f"{archive.name}.sig"
        self.public = self.folder / "tocsin.pub"
        shutil.copy(archive, self.archive)
        shutil.copy(archive.with_name(self.signature.name), self.signature)
        shutil.copy(archive.with_name("tocsin.pub"), self.public)
        self.home = place / "home"
        self.home.mkdir()
        os.chown(self.home, NOBODY, NOBODY)
        self.unpacked = self.home / archive.stem

    def unpack(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """What unpack.sh says to somebody without rights.

        Raises:
            AssertionError: it refuses.
        """
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)} | dict(env or {})
        who = ("/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        command = [*who, "/bin/sh", str(SCRIPT), *words, str(self.archive)]
        return run(command, cwd=self.home, env=environment)

    def refuses(
        self,
        why: str,
        sentences: tuple[str, str],
        *words: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """It says so in both languages, and leaves nothing behind."""
        before = {path.name for path in self.home.iterdir()}
        said = "nothing"
        try:
            self.unpack(*words, env=env)
        except AssertionError as error:
            said = str(error).partition("exit code 1: ")[2]
        lines = said.splitlines()
        told = len(lines) == len(sentences) and all(
            part in line for part, line in zip(sentences, lines, strict=True)
        )
        assert told, f"{why}: it says {said}"
        assert {path.name for path in self.home.iterdir()} == before, f"{why}: something is there"


def change_octet(path: Path, share: float) -> None:
    """Change one octet of a file, so far into it."""
    with path.open("r+b") as file:
        file.seek(min(int(path.stat().st_size * share), path.stat().st_size - 1))
        octet = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([octet ^ 1]))


def check(archive: Path, key: Path, place: Path) -> str:
    """The first time by a fingerprint, later by the key that was kept; else never."""
    stick = Stick(archive, place)
    fingerprint = sha256(stick.public.read_bytes()).hexdigest()
    grouped = " ".join(fingerprint[n : n + 4] for n in range(0, 64, 4)).upper()
    other = place / "other.pem"
    make_key(other)

    stick.refuses("no key yet", NO_KEY)
    stick.refuses("another fingerprint", FOREIGN_KEY, "--key", fingerprint[1:] + "0")
    change_octet(stick.archive, 0.5)
    stick.refuses("changed, the first time", WRONG, "--key", grouped)
    change_octet(stick.archive, 0.5)

    said = stick.unpack("--key", grouped)
    assert str(stick.unpacked) in said, said
    assert (stick.unpacked / "install.sh").exists()
    stick.refuses("there already", THERE)
    shutil.rmtree(stick.unpacked)
    stick.unpack()
    shutil.rmtree(stick.unpacked)

    for share in (0.0, 0.3, 1.0):
        change_octet(stick.archive, share)
        stick.refuses(f"changed at {share:.0%}", WRONG)
        change_octet(stick.archive, share)
    change_octet(stick.signature, 0.9)
    stick.refuses("changed signature", WRONG)
    sign = ["openssl", "dgst", "-sha256", "-sign", str(other), "-out", str(stick.signature)]
    run([*sign, str(stick.archive)])
    run(["openssl", "pkey", "-in", str(other), "-pubout", "-out", str(stick.public)])
    stick.refuses("signed by another, with its key beside it", WRONG)
    stick.signature.unlink()
    stick.refuses("no signature", NO_SIGNATURE)
    few = place / "few-programs"
    few.mkdir()
    (few / "basename").symlink_to("/usr/bin/basename")
    stick.refuses("no openssl", NO_OPENSSL, env={"PATH": str(few)})
    return "good once by fingerprint, then by the key kept; 10 others refused, nothing unpacked"
