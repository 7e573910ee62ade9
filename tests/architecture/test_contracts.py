"""The import contracts hold, and docs/architecture.md quotes the layers as they are."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.tree import ROOT


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.search(r"Contracts: (\d+) kept, 0 broken", done.stdout)
    assert kept is not None, done.stdout
    assert int(kept[1]) == len(contracts())


def test_no_protocol_may_know_another() -> None:
    """The contract lists them by name: their folder has modules that they share, too."""
    (listed,) = (
        c["modules"] for c in contracts() if c["name"] == "protocols do not know one another"
    )
    folders = [path.parent.name for path in (ROOT / "service/protocols").glob("*/__init__.py")]
    assert listed == [f"service.protocols.{name}" for name in sorted(folders)]


def test_the_page_on_architecture_quotes_the_layers() -> None:
    (layers,) = (c["layers"] for c in contracts() if c.get("containers") == ["service"])
    assert isinstance(layers, list)
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    quoted = re.search(r"<!-- layers -->\n```\n(.*?)```", page, re.DOTALL)
    assert quoted is not None, "docs/architecture.md has no list of layers"
    rows = [line.split("  ")[0].strip() for line in quoted[1].splitlines()]
    assert rows == layers


def test_the_readme_explains_every_folder() -> None:
    """A folder of the application without its question in the README is a surprise."""
    readme = (ROOT / "README.md").read_text("utf-8")
    folders = [path.parent for path in (ROOT / "service").glob("*/__init__.py")]
    missing = [f"service/{f.name}" for f in folders if f"`service/{f.name}/`" not in readme]
    assert not missing, missing
