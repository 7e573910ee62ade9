"""The deployment files are in step with the program they deploy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, describe_environment
from service.simulator.config import SimulatorConfig
from tests.architecture.tree import ROOT
from workers.__main__ import KINDS

DEPLOY = ROOT / "deploy"
REACH_OUT = {"channel", "webhooks"}
"""The kinds of worker that open connections to carriers or to receivers of webhooks."""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return compose["services"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def networks() -> dict[str, dict[str, Any]]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return compose["networks"]  # type: ignore[no-any-return]


def test_who_calls_carriers_or_receivers_has_a_network_that_leads_out(
    services: dict[str, dict[str, Any]], networks: dict[str, dict[str, Any]]
) -> None:
    """Without one, no receiver is ever reached, and its webhook is disabled in the end."""
    assert set(KINDS) >= REACH_OUT
    for name, service in services.items():
        leads_out = [n for n in service["networks"] if not networks[n].get("internal")]
        reaches_out = bool(REACH_OUT & set(service.get("command", [])))
        listens = "ports" in service
        assert bool(leads_out) == (reaches_out or listens), name


def test_env_example_is_what_the_program_prints() -> None:
    text = (DEPLOY / "env.example").read_text("utf-8")
    assert text == describe_environment() + "\n", "run: tocsin env > deploy/env.example"


def test_every_kind_of_worker_runs_once(services: dict[str, dict[str, Any]]) -> None:
    commands = [s["command"] for s in services.values() if "workers" in s.get("command", [])]
    kinds = [word for command in commands for word in command[command.index("workers") + 1 :]]
    assert sorted(kinds) == sorted(KINDS)


def test_a_workers_health_check_asks_for_its_own_kinds(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        command = service.get("command", [])
        if "workers" in command:
            check = service["healthcheck"]["test"]
            assert check[3:] == command[command.index("workers") + 1 :]


def test_every_service_is_watched_and_started_again(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert "healthcheck" in service, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name


def test_images_are_pinned_to_a_version(services: dict[str, dict[str, Any]]) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    images = [service["image"] for service in services.values()]
    images += re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    for image in images:
        assert re.search(r":\d", image), f"{image} has no version"


def test_settings_that_are_named_exist() -> None:
    """A TOCSIN_ variable of the deployment is one the program reads, or one of the deployment's."""
    own = {"SECRETS", "PRIVATE", "PUBLISH", "DATABASE_HOST"}
    known = {name.upper() for name in Settings.model_fields} | own
    for path in (ROOT / "docker-compose.yml", *(p for p in DEPLOY.iterdir() if p.is_file())):
        named = set(re.findall(r"TOCSIN_([A-Z_]+)", path.read_text("utf-8")))
        assert named <= known, f"{path.name}: {named - known}"


def test_the_simulators_settings_are_good() -> None:
    SimulatorConfig.model_validate(json.loads((DEPLOY / "simulator.json").read_text("utf-8")))


def test_the_image_installs_the_versions_that_are_tested() -> None:
    def pins(path: Path) -> set[tuple[str, str]]:
        return set(PIN.findall(path.read_text("utf-8")))

    image = pins(DEPLOY / "requirements.lock")
    assert image
    assert image <= pins(ROOT / "requirements.lock")
