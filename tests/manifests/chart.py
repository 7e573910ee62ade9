"""The chart of deploy/kubernetes, rendered by Helm's engine: Kubernetes takes it, and it promises
what docker-compose.yml promises.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

from tests.containers.machine import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
CHART = FOLDER / "tocsin"
EXAMPLES = sorted((FOLDER / "examples").glob("*.yaml"))
VERSIONS = ("1.29", "1.33", "1.37")
"""Of Kubernetes: the oldest that the chart allows, one between, and the newest with a schema."""
NAMESPACE = "county"

Object = dict[str, Any]


@cache
def values_of(example: Path) -> Object:
    """The values of an example."""
    found: Object = yaml.safe_load(example.read_text("utf-8"))
    return found


def example(name: str) -> Object:
    """The values of the example of this name, to be changed."""
    return copy.deepcopy(values_of(FOLDER / "examples" / f"{name}.yaml"))


def render(values: Mapping[str, Any], name: str = "tocsin") -> list[Object]:
    """The objects that an installation with these values makes.

    Raises:
        AssertionError: the values are refused, or a template is wrong.
    """
    try:
        with helm_python.Chart.load(CHART) as chart:
            chart.validate_schema(dict(values))
            texts = chart.render(dict(values), name=name, namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise AssertionError(f"not rendered: {error}") from error
    objects = []
    for path, text in texts.items():
        if not path.endswith(".txt"):
            objects += [one for one in yaml.safe_load_all(text) if one is not None]
    return objects


def check_lint() -> str:
    """`helm lint --strict` finds nothing in any example; an icon is for shops of charts."""
    found = []
    for path in EXAMPLES:
        report = helm_python.lint(CHART, dict(values_of(path)), strict=True)
        said = [f"{one['path']}: {one['error']}" for one in report["messages"]]
        found += [f"{path.stem}: {one}" for one in said if "icon is recommended" not in one]
        assert report["total_charts_linted"] == 1
    assert not found, "; ".join(found)
    return f"{len(EXAMPLES)} sets of values"


def check_schemas() -> str:
    """Each object of each example is one of Kubernetes', in each version, with no unknown field."""
    wrong, count = [], 0
    for path in EXAMPLES:
        objects = render(values_of(path))
        names = [(one["kind"], one["metadata"]["name"]) for one in objects]
        assert len(names) == len(set(names)), f"{path.stem}: two objects of one name"
        for one in objects:
            count += 1
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(one, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    where = "/".join(map(str, error.path))
                    name = f"{one['kind']} {one['metadata']['name']}"
                    wrong.append(f"{path.stem}: {name} {where}: {error.message[:200]}")
    assert not wrong, "; ".join(wrong[:5])
    return f"{count} objects, Kubernetes {', '.join(VERSIONS)}, strict"


BAD_VALUES: tuple[tuple[str, Object, str], ...] = (
    ("no host of the database", {"database": {"host": ""}}, "/database/host"),
    ("a word that is misspelt", {"replicas": 3}, "'replicas' not allowed"),
    (
        "a carrier that there is not",
        {"channels": [{"name": "x", "carriers": ["china_netcom"]}]},
        "/channels/0/carriers/0",
    ),
    (
        "a kind of worker that there is not",
        {"workers": [{"name": "x", "kinds": ["sender"], "replicas": 1}]},
        "/workers/0/kinds/0",
    ),
    (
        "no limit of memory",
        {"api": {"resources": {"limits": {"memory": None}}}},
        "/api/resources/limits",
    ),
    ("a password among the settings", {"settings": {"TOCSIN_DATABASE_URL": "x"}}, "propertyName"),
    ("a mail server's password there", {"settings": {"TOCSIN_SMTP_URL": "x"}}, "propertyName"),
    ("an ingress without TLS", {"ingress": {"enabled": True, "host": "a.example"}}, "/ingress"),
    (
        "backups without a public key",
        {"backup": {"enabled": True, "claim": "a", "workClaim": "b"}, "secrets": {"backup": "c"}},
        "/backup/recipients",
    ),
    (
        "backups without a password",
        {
            "backup": {
                "enabled": True,
                "claim": "a",
                "workClaim": "b",
                "recipients": "age1",
            }
        },
        "/secrets/backup",
    ),
    ("a network that is none", {"network": {"cluster": ["10.0.0.1"]}}, "/network/cluster/0"),
    ("a digest that is cut", {"image": {"digest": "sha256:00"}}, "/image/digest"),
)


def check_values() -> str:
    """The schema refuses values that are missing, misspelt or dangerous."""
    taken = []
    for what, more, where in BAD_VALUES:
        said = "nothing"
        try:
            render(example("minimal") | more)
        except AssertionError as error:
            said = str(error)
        if where not in said:
            taken.append(f"{what}: {said}")
    assert not taken, "; ".join(taken)
    return f"{len(BAD_VALUES)} sets of bad values refused"


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The pods that objects make, by their component."""
    for one in objects:
        if one["kind"] in {"Deployment", "Job"}:
            template = one["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by their names."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def environment(pod: Object) -> dict[str, str]:
    """The variables of a pod's only container."""
    return {one["name"]: one["value"] for one in pod["containers"][0]["env"]}


def secret_keys(pod: Object) -> set[str]:
    """The files of secrets that a pod has."""
    return {
        item["key"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }


@cache
def compose() -> Object:
    """docker-compose.yml."""
    found: Object = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


def check_closed() -> str:
    """No pod may do more than its container of docker-compose.yml; one process in each."""
    count = 0
    for path in EXAMPLES:
        for name, pod in pods(render(values_of(path))):
            count += 1
            where = f"{path.stem}: {name}"
            (container,) = pod["containers"]
            security = pod["securityContext"]
            ids = {security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")}
            assert security["runAsNonRoot"] is True, where
            assert ids == {10001}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            assert pod["automountServiceAccountToken"] is False, where
            assert pod["enableServiceLinks"] is False, where
            assert pod["terminationGracePeriodSeconds"] == 60, where
            assert {"memory"} <= container["resources"]["limits"].keys(), where
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), where
            assert pod["topologySpreadConstraints"], where
            kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
            allowed = {"emptyDir", "projected", "configMap", "persistentVolumeClaim"}
            assert kinds <= allowed, f"{where} mounts {kinds - allowed}"
            assert all(one["emptyDir"]["sizeLimit"] for one in pod["volumes"] if "emptyDir" in one)
    return f"{count} pods: uid 10001, no capability, a root that cannot be written"


SERVICE = {"master_key", "service_password", "valkey_password"}
SECRETS = {
    "migrate": SERVICE | {"database_password", "backup_password"},
    "backup": {"backup_password"},
    "simulator": set[str](),
}
"""Which files of secrets a component has; all others those of the service."""


def check_secrets() -> str:
    """Each process has the secrets that it has in docker-compose.yml, as files, and no other."""
    for name, service in compose()["services"].items():
        if name not in {"postgres", "valkey", "proxy", "prometheus", "grafana"}:
            assert set(service["secrets"]) == SECRETS.get(name, SERVICE), f"docker-compose: {name}"
    objects = render(example("everything"))
    found = {name: secret_keys(pod) for name, pod in pods(objects)}
    assert found == {name: SECRETS.get(name, SERVICE) for name in found}, found
    assert SECRETS.keys() <= found.keys()
    assert not of_kind(objects, "Secret"), "a password in a chart is one in its releases"
    for path in EXAMPLES:
        for name, pod in pods(render(values_of(path))):
            told = [key for key in environment(pod) if key.endswith(("_URL", "_PASSWORD"))]
            assert set(told) <= {"TOCSIN_CONSOLE_URL"}, f"{path.stem}: {name} is told {told}"
    return f"{len(found)} components, {len(SECRETS['migrate'])} files"


def check_probes() -> str:
    """Killed is only what gives no sign of life; no pod takes another's place before it works."""
    health, count = "/usr/local/lib/tocsin/health.py", 0
    for name, pod in pods(render(example("everything"))):
        (container,) = pod["containers"]
        probes = {key: container.get(f"{key}Probe") for key in ("startup", "liveness", "readiness")}
        if name == "migrate":
            assert not any(probes.values()), "it ends by itself"
            continue
        count += 1
        assert all(probes.values()), f"{name}: {probes}"
        if name == "simulator":
            continue
        alive = {"command": ["python", health, "alive"]}
        assert probes["startup"]["exec"] == probes["liveness"]["exec"] == alive, name
        wait = probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"]
        assert wait >= 120, f"{name}: a start may take two minutes to its first sign"
        if name == "api":
            assert probes["readiness"]["httpGet"] == {"path": "/readyz", "port": "http"}
            assert container["lifecycle"]["preStop"]["exec"]["command"][0] == "sleep"
        else:
            assert probes["readiness"]["exec"] == {"command": ["python", health]}, name
    return f"{count} components"


def check_budgets() -> str:
    """Each Deployment may lose one pod at a time, and has a budget that is its own."""
    objects = render(example("everything"))
    budgets = of_kind(objects, "PodDisruptionBudget")
    deployments = of_kind(objects, "Deployment")
    assert budgets.keys() == deployments.keys()
    for name, budget in budgets.items():
        selector = deployments[name]["spec"]["selector"]
        assert budget["spec"] == {"maxUnavailable": 1, "selector": selector}, name
    return f"{len(budgets)} budgets"


def check_names() -> str:
    """Two releases beside one another share no object, and no name is longer than is allowed."""
    values = example("everything")
    first = {(one["kind"], one["metadata"]["name"]) for one in render(values, "tocsin")}
    long = "the-emergency-office-of-a-county-with-a-very-long-name"
    for name in ("tocsin-b", "warning", long[:53]):
        other = {(one["kind"], one["metadata"]["name"]) for one in render(values, name)}
        assert not first & other, f"{name}: {first & other}"
        longest = max(len(one[1]) for one in other)
        assert longest <= 63, f"{name}: a name of {longest}"
    return f"{len(first)} objects"


def check_settings() -> str:
    """What an example sets reaches every process, and the networks of carriers do as well."""
    values = example("everything")
    for name, pod in pods(render(values)):
        told = environment(pod)
        for key, value in values["settings"].items():
            assert told[key] == (json.dumps(value) if not isinstance(value, str) else value), name
        assert told["TOCSIN_DATABASE_HOST"] == "192.0.2.10:5432", name
        assert told["TOCSIN_READ_HOST"] == "192.0.2.12:5432", name
        assert told["TOCSIN_REDIS_HOST"] == "192.0.2.11:6379", name
        assert told["TOCSIN_CARRIER_NETWORKS"] == (
            "china_mobile=192.0.2.64/26 china_mobile=2001:db8:1::/48 "
            "china_unicom=198.51.100.0/26 china_telecom=203.0.113.0/26"
        ), name
    return f"{len(values['settings'])} settings, networks of 3 carriers"


def check_page() -> str:
    """The values, the secrets and the names of docs/install.md are those of the chart."""
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    objects = render(yaml.safe_load(block))
    (api,) = re.findall(r"exec deploy/(\S+) -- sh (\S+) ", page)
    assert api[0] in of_kind(objects, "Deployment"), api
    assert api[1] == "/usr/local/lib/tocsin/entrypoint.sh"
    told = {}
    for text in re.findall(r"create secret generic (.*?)(?=\nkubectl|\nhelm)", page, re.DOTALL):
        told[text.split()[0]] = set(re.findall(r"--from-file=deploy/secrets/(\w+)", text))
    wanted: dict[str, set[str]] = {}
    for _, pod in pods(objects):
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                keys = {item["key"] for item in source["secret"]["items"]}
                wanted.setdefault(source["secret"]["name"], set()).update(keys)
    assert told == wanted, f"{told}, not {wanted}"
    return f"{len(objects)} objects, {len(wanted)} secrets"
