"""The keyed hashes: what is stored is found by them for good, so they never change."""

import shlex
import subprocess
from pathlib import Path

import pytest

from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured


def test_a_keyed_hash_is_what_it_always_was() -> None:
    keyring = Keyring(b"\x01" * 32)
    found = [keyring.index(kind, "+8619790000001").hex() for kind in ("phone", "key", "phone")]
    assert found == [
        "9f3b7182d99f804acfc3d88c3361e0a5",
        "0d18fb93bde2018b9999353e1288e2b2",
        "9f3b7182d99f804acfc3d88c3361e0a5",
    ]


def test_who_has_no_key_yet_is_told_the_command_that_makes_one(tmp_path: Path) -> None:
    path = tmp_path / "master key"
    with pytest.raises(Misconfigured, match="restore it from its backup") as refused:
        read_key_file(path)
    command = f"(umask 077; openssl rand -hex 32 > {shlex.quote(str(path))})"
    assert f"make one: {command};" in refused.value.message
    subprocess.run(command, shell=True, check=True)
    assert len(read_key_file(path).masters) == 1


def test_a_key_that_is_there_and_cannot_be_read_is_not_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read") as refused:
        read_key_file(tmp_path)
    assert "openssl" not in refused.value.message
