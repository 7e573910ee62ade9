"""What the program reads from its own folders is in the package that is installed."""

import tomllib
from pathlib import PurePosixPath

from tests.architecture.tree import ROOT


def test_every_kind_of_file_that_the_service_reads_is_packaged() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["service"]
    service = ROOT / "service"
    files = [
        PurePosixPath(path.relative_to(service))
        for path in service.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "py.typed"
    ]
    assert any(path.suffix == ".lua" for path in files)
    missing = [
        str(path)
        for path in files
        if not any(path.match(pattern.removeprefix("**/")) for pattern in patterns)
    ]
    assert not missing, f"add to package-data in pyproject.toml: {missing}"
