"""The deployment files are in step with the program they deploy."""

import json
import re
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings, describe_environment
from service.simulator.carrier.config import SimulatorConfig
from tests.architecture.tree import ROOT
from workers.__main__ import KINDS
from workers.channel import GROUPS

DEPLOY = ROOT / "deploy"
REACH_OUT = {"channel", "webhooks"}
"""The kinds of worker that open connections to carriers or to receivers of webhooks."""
STOPPED = re.compile(r"docker compose (stop|start|restart) ([a-z][a-z -]*[a-z])")
SCALED = re.compile(r"docker compose .*--scale ([a-z-]+)=")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


OTHERS = ("POSTGRES", "VALKEY", "PYTHON", "NGINX", "PROMETHEUS", "GRAFANA")
"""Whose images deploy/images.lock knows."""
FOREIGN = {"postgres", "valkey", "proxy", "prometheus", "grafana"}
"""The services whose images are not ours."""


def _compose(section: str) -> dict[str, dict[str, Any]]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    found: dict[str, dict[str, Any]] = compose[section]
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return _compose("services")


@pytest.fixture(scope="module")
def networks() -> dict[str, dict[str, Any]]:
    return _compose("networks")


def test_who_calls_carriers_or_receivers_has_a_network_that_leads_out(
    services: dict[str, dict[str, Any]], networks: dict[str, dict[str, Any]]
) -> None:
    """Without one, no receiver is ever reached, and its webhook is disabled in the end."""
    assert set(KINDS) >= REACH_OUT
    for name, service in services.items():
        leads_out = [n for n in service["networks"] if not networks[n].get("internal")]
        kinds = {word.partition(":")[0] for word in service.get("command", [])}
        reaches_out = bool(REACH_OUT & kinds)
        listens = "ports" in service
        assert bool(leads_out) == (reaches_out or listens), name


def test_env_example_is_what_the_program_prints() -> None:
    text = (DEPLOY / "env.example").read_text("utf-8")
    assert text == describe_environment() + "\n", (
        "run: TOCSIN_LANGUAGE=en tocsin env > deploy/env.example"
    )


def test_every_kind_of_worker_runs_once(services: dict[str, dict[str, Any]]) -> None:
    commands = [s["command"] for s in services.values() if "workers" in s.get("command", [])]
    kinds = [word for command in commands for word in command[command.index("workers") + 1 :]]
    names = [word.partition(":")[0] for word in kinds]
    assert set(names) == set(KINDS)
    assert sorted(name for name in names if name != "channel") == sorted(set(KINDS) - {"channel"})


@pytest.mark.attack
def test_each_carriers_channels_have_a_process_and_no_two_carriers_one(
    services: dict[str, dict[str, Any]],
) -> None:
    commands = [service.get("command", []) for service in services.values()]
    words = [word for command in commands for word in command if word.startswith("channel")]
    groups = [word.partition(":")[2].split(",") for word in words]
    assert sorted(group for process in groups for group in process) == sorted(GROUPS)
    large = {"china_mobile", "china_unicom", "china_telecom"}
    own = [process for process in groups if large & set(process)]
    assert own == [[name] for name in GROUPS[:3]]


def test_a_process_is_asked_for_its_own_sign_of_life(services: dict[str, dict[str, Any]]) -> None:
    """Its container has no other, so the check names no kind; the API's asks the API besides."""
    for name, service in services.items():
        if {"workers", "serve"} & set(service.get("command", [])):
            assert service["healthcheck"]["test"][3:] == (["api"] if name == "api" else []), name
            assert service["environment"]["TOCSIN_ALIVE_FOLDER"] in {
                mount.partition(":")[0] for mount in service["tmpfs"]
            }, "else another container's process could have it"


def test_every_service_is_watched_and_started_again(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert "healthcheck" in service, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name


def test_no_container_has_more_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    """What a running container has of it, `make compose-test` reads from its process."""
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "pids_limit", "ulimits"} <= service.keys(), name
        assert service["ulimits"]["nofile"] == {"soft": 16384, "hard": 16384}, name
        assert ("user" in service) == (name in FOREIGN), name


def test_files_on_their_way_take_no_memory_of_the_api(services: dict[str, dict[str, Any]]) -> None:
    assert "uploads:/tmp" in services["api"]["volumes"]
    assert not [place for place in services["api"]["tmpfs"] if place.startswith("/tmp")]


def test_what_asks_the_api_for_the_proxy_is_the_proxy_alone(
    services: dict[str, dict[str, Any]], networks: dict[str, dict[str, Any]]
) -> None:
    """No other container may have its address, which the API believes about who asks."""
    address = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert services["api"]["environment"]["TOCSIN_PROXY_ADDRESS"] == address
    (pool,) = networks["front"]["ipam"]["config"]
    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"])
    assert [name for name, one in services.items() if "front" in one["networks"]] == [
        "api",
        "proxy",
    ]


def test_the_proxy_reaches_the_api_where_the_api_knows_it(
    services: dict[str, dict[str, Any]],
) -> None:
    """A name that both have in two networks leads past the address that is believed."""
    conf = (DEPLOY / "proxy" / "nginx.conf").read_text("utf-8")
    (asked,) = re.findall(r"set \$api http://([\w-]+):8080;", conf)
    known = services["api"]["environment"]["TOCSIN_PROXY_ADDRESS"]
    networks = services["proxy"]["networks"]
    believed = {name for name, of in networks.items() if of.get("ipv4_address") == known}
    named = {
        name for name, of in services["api"]["networks"].items() if asked in of.get("aliases", ())
    }
    assert asked not in services
    assert named == believed


def test_prometheus_scrapes_each_service_that_shows_figures(
    services: dict[str, dict[str, Any]],
) -> None:
    """A service whose figures nobody asks for raises no alert."""
    found = yaml.safe_load((DEPLOY / "watch" / "prometheus.yml").read_text("utf-8"))
    asked = {
        target
        for job in found["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    workers = [name for name, one in services.items() if "workers" in one.get("command", [])]
    assert asked == {"api:8080", *(f"{name}:9464" for name in workers)}
    key = found["scrape_configs"][0]["authorization"]["credentials_file"]
    assert services["prometheus"]["secrets"] == [Path(key).name]
    inside = set(services["prometheus"]["volumes"])
    for file in ("prometheus.yml", "alerts.yml"):
        assert f"./deploy/watch/{file}:/etc/prometheus/{file}:ro" in inside
        assert (DEPLOY / "watch" / file).exists()


def test_files_that_containers_are_given_are_there(services: dict[str, dict[str, Any]]) -> None:
    """Docker makes a folder of a file that is missing, and the container does not start."""
    for name, service in services.items():
        for volume in service.get("volumes", []):
            path = str(volume).partition(":")[0]
            assert not path.startswith("./") or (ROOT / path).exists(), f"{name}: {path}"


def test_images_are_pinned_to_a_version(services: dict[str, dict[str, Any]]) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    images = [service["image"] for service in services.values()]
    images += re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    for image in images:
        assert re.search(r":v?\d", image), f"{image} has no version"


def test_locked_images_are_those_of_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    images = dict(re.findall(r"\$\{(TOCSIN_[A-Z]+_IMAGE):-([^}]+)\}", text))
    assert set(images) == {f"TOCSIN_{name}_IMAGE" for name in OTHERS}
    base = re.search(r"^ARG BASE=(\S+)", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert base is not None
    assert images["TOCSIN_PYTHON_IMAGE"] == base[1]
    lines = (DEPLOY / "images.lock").read_text("utf-8").splitlines()
    locked = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    for name, image in locked.items():
        tag, _, digest = image.partition("@sha256:")
        assert tag.endswith(images[name]), name
        assert re.fullmatch(r"[0-9a-f]{64}", digest), name


def test_the_bill_of_materials_is_that_of_the_lock_files() -> None:
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "sbom.py")], capture_output=True, check=True, text=True
    )
    text = (DEPLOY / "sbom.json").read_text("utf-8")
    assert done.stdout == text, "run: python3 deploy/sbom.py > deploy/sbom.json"
    bill = json.loads(text)
    listed = {(part["name"], part["version"]) for part in bill["components"]}
    assert listed == set(PIN.findall((DEPLOY / "requirements.lock").read_text("utf-8")))
    needs = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    reached, waiting = set(), [bill["metadata"]["component"]["bom-ref"]]
    while waiting:
        reached.add(waiting[-1])
        waiting += needs[waiting.pop()] - reached
    assert reached == needs.keys(), "whom nothing needs"


def test_services_that_documented_commands_name_exist(services: dict[str, dict[str, Any]]) -> None:
    """A command that stops all sending must not fail on a service that is called otherwise now."""
    named: dict[str, set[str]] = {}
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        for verb, words in STOPPED.findall(path.read_text("utf-8")):
            named.setdefault(verb, set()).update(words.split())
        for name in SCALED.findall(path.read_text("utf-8")):
            named.setdefault("scale", set()).add(name)
    assert named["stop"] >= {name for name in services if name.startswith("channel")}
    for verb, names in named.items():
        assert names <= set(services), verb


def test_settings_that_are_named_exist() -> None:
    """A TOCSIN_ variable of the deployment is one the program reads, or one of the deployment's."""
    own = {"SECRETS", "PRIVATE", "PUBLISH", "PUBLISH_TLS", "PUBLISH_PLAIN", "PROXY_ADDRESS"}
    own |= {"DATABASE_HOST", "READ_HOST", "REDIS_HOST", "REVISION", "BACKUP_MOUNT"}
    own |= {"PUBLISH_PROMETHEUS", "PUBLISH_GRAFANA"}
    own |= {f"{name}_IMAGE" for name in OTHERS}
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
