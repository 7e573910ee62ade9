"""docker-compose's own look at its file, and hadolint's and shellcheck's at those of deploy/."""

import sys
import tempfile
from pathlib import Path

from tests.containers.machine import ROOT, run

PROFILES = {"simulator": "simulator", "proxy": "proxy", "backup": "backup", "watch": "grafana"}
"""By profile, a service of it."""


def check_compose() -> str:
    """`docker-compose config` takes the file, with every profile."""
    words = ["docker-compose", "--file", str(ROOT / "docker-compose.yml")]
    for profile in PROFILES:
        words += ["--profile", profile]
    run([*words, "config", "--quiet"])
    services = run([*words, "config", "--services"]).split()
    assert {*PROFILES.values(), "prometheus", "api"} <= {*services}
    return f"{len(services)} services"


def scripts() -> list[Path]:
    """The scripts that a shell runs: by their first lines."""
    found = []
    for path in sorted((ROOT / "deploy").rglob("*")):
        hidden = path.is_dir() or "secrets" in path.parts
        if not hidden and path.read_bytes()[:2] == b"#!":
            first = path.read_text("utf-8").splitlines()[0]
            if first.endswith(("/sh", " sh", "/bash", " bash")):
                found.append(path)
    return found


def check_shell() -> str:
    """shellcheck finds nothing in any of them; also not in one that only warns."""
    program = str(Path(sys.executable).parent / "shellcheck")
    found = scripts()
    assert {path.name for path in found} >= {"entrypoint.sh", "make-secrets.sh", "proxy.sh"}
    run([program, "--norc", "--severity=style", *map(str, found)])
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as bad:
        bad.write("#!/bin/sh\nrm -rf $1/*\n")
        bad.flush()
        try:
            run([program, "--norc", bad.name])
        except AssertionError:
            return f"{len(found)} scripts"
    raise AssertionError("shellcheck finds nothing where something is wrong")


def check_dockerfile() -> str:
    """hadolint finds nothing in the Dockerfile; also not in one that only warns."""
    program = str(Path(sys.executable).parent / "hadolint")
    run([program, "--no-color", str(ROOT / "deploy" / "Dockerfile")])
    with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as bad:
        bad.write("FROM debian\nRUN cd /srv && apt-get install curl\n")
        bad.flush()
        try:
            run([program, "--no-color", bad.name])
        except AssertionError:
            return run([program, "--version"]).strip()
    raise AssertionError("hadolint finds nothing where something is wrong")
