"""mypy checks the tests as it checks the service."""

import tomllib

from tests.architecture.tree import ROOT


def test_every_folder_of_modules_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {"deploy"}
    assert settings["strict"] is True
    assert {*folders, "tocsin_client"} <= {*settings["packages"]}
