"""Fetch the console's files of others again: `make vendor`.

`vendor.toml` names each file's package, version, member and SHA-512. npm fetches the package; a
file whose octets differ from the hash is refused, so nothing changes that nobody has seen.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from tests.architecture.tree import ROOT

STATIC = ROOT / "service" / "console" / "static"


def listed() -> list[dict[str, str]]:
    """The files of `vendor.toml`."""
    found: list[dict[str, str]] = tomllib.loads((STATIC / "vendor.toml").read_text("utf-8"))["file"]
    return found


def sha512(octets: bytes) -> str:
    """The hash as `vendor.toml` has it."""
    return hashlib.sha512(octets).hexdigest()


def fetch(package: str, version: str, member: str) -> bytes:
    """A file of a package as npm has it."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = Path(folder) / packed.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as files:
            file = files.extractfile(f"package/{member}")
            assert file is not None, f"{package} {version} has no {member}"
            return file.read()


def main() -> int:
    """Fetch all files; 1: one is not what its hash says."""
    wrong = 0
    for file in listed():
        octets = fetch(file["package"], file["version"], file["member"])
        if sha512(octets) == file["sha512"]:
            (STATIC / file["path"]).write_bytes(octets)
            print(f"{file['path']}: {file['package']} {file['version']}")
        else:
            wrong = 1
            print(f"{file['path']}: the package has another file, sha512 {sha512(octets)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
