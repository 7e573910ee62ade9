"""Prints the bill of materials of the image, CycloneDX 1.6, made from the lock files alone.

`python3 deploy/sbom.py > deploy/sbom.json`. What the image holds beside it, Debian and Python, is
the base image's own. The same lock files give the same octets, so a test compares them.
"""

import json
import re
import sys
import tomllib
import uuid
from collections import defaultdict
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? ?\\?$")
VIA = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)(?: \(pyproject\.toml\))?$")
NAMESPACE = uuid.UUID("b2f8a1c4-6d0e-5b7a-9f33-5c1d7e90a2b6")


def components(lock: str) -> list[dict[str, object]]:
    """The packages of a lock file."""
    found: list[dict[str, object]] = []
    for line in lock.splitlines():
        if pin := PIN.match(line):
            name, version, condition = pin.groups()
            url = f"pkg:pypi/{name.lower()}@{version}"
            part: dict[str, object] = {"type": "library", "bom-ref": url, "purl": url}
            part |= {"name": name, "version": version}
            if condition:
                part["properties"] = [{"name": "python:marker", "value": condition}]
            found.append(part)
    return found


def users(lock: str) -> dict[str, set[str]]:
    """Which packages each package needs, as a lock file says in the lines under each."""
    needs: dict[str, set[str]] = defaultdict(set)
    name = ""
    for line in lock.splitlines():
        if pin := PIN.match(line):
            name = pin[1]
        elif (via := VIA.match(line)) and name:
            needs[via[1]].add(name)
    return needs


def bill(project: dict[str, str], lock: str, annotated: str) -> dict[str, object]:
    """The bill of the project. lock: what the image installs. annotated: the same and more, with
    the users of each package.
    """
    parts = components(lock)
    address = {str(part["name"]): str(part["bom-ref"]) for part in parts}
    needs = users(annotated)
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    address[project["name"]] = own
    dependencies = [
        {
            "ref": ref,
            "dependsOn": sorted(address[need] for need in needs[name] if need in address),
        }
        for name, ref in sorted(address.items())
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "purl": own,
                "licenses": [{"license": {"id": project["license"]}}],
            },
            # The hashes of all files that may be installed are in that lock file.
            "properties": [
                {"name": "tocsin:lock:sha256", "value": sha256(lock.encode()).hexdigest()}
            ],
        },
        "components": parts,
        "dependencies": dependencies,
    }


def main() -> None:
    """Print it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "deploy" / "requirements.lock").read_text("utf-8")
    annotated = (ROOT / "requirements.lock").read_text("utf-8")
    json.dump(bill(project, lock, annotated), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
