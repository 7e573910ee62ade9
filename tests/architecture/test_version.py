"""One version everywhere: the program, its client, its image and the changelog."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", re.MULTILINE)


def _declared(folder: str) -> str:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def test_the_program_its_client_and_its_image_have_one_version() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    images = {service["image"] for service in compose["services"].values()}
    (ours,) = [image for image in images if image.startswith("tocsin:")]
    assert version("tocsin") == _declared(".") == _declared("clients/python")
    assert ours == f"tocsin:{version('tocsin')}"
    labelled = re.search(
        r"^ARG VERSION=(.*)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE
    )
    assert labelled is not None
    assert labelled[1] == version("tocsin")
    chart = yaml.safe_load((ROOT / "deploy/kubernetes/tocsin/Chart.yaml").read_text("utf-8"))
    assert {chart["version"], chart["appVersion"]} == {version("tocsin")}


def test_the_changelog_begins_with_what_is_not_released_then_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    released = RELEASE.findall(text)
    assert released[0] == version("tocsin")
    assert text.index("## [Unreleased]") < text.index(f"## [{released[0]}]")
