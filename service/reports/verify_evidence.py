"""Checks the evidence of a run, or the county's pack of a week, without Tocsin.

Run: python verify_evidence.py ARCHIVE PUBLIC_KEY. Needs the PyPI package cryptography. The key is
that of GET /api/v1/evidence-key, written down elsewhere; the one in the archive proves nothing.
"""

import csv
import io
import json
import sys
import zipfile
import zlib
from collections import Counter
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def doubled(archive: zipfile.ZipFile) -> list[str]:
    """Names that are there twice: programs take one or the other, and show another than this."""
    counts = Counter(archive.namelist())
    return [f"{name} is in the archive more than once" for name in counts if counts[name] > 1]


def faults(archive: zipfile.ZipFile, key: bytes) -> list[str]:
    """What does not fit; empty if everything does."""
    return doubled(archive) or _faults(archive, key)


def withdrawn(archive: zipfile.ZipFile) -> dict[str, dict[str, str]]:
    """Files whose octets went since a pack was built: their hash, why, and when."""
    if "withdrawn.json" not in archive.namelist():
        return {}
    found: dict[str, dict[str, str]] = json.loads(archive.read("withdrawn.json"))["withdrawn"]
    return found


def _is_signed(archive: zipfile.ZipFile, key: bytes, name: str) -> bool:
    said = archive.read(f"{name}.json")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(archive.read(f"{name}.sig"), said)
    except (InvalidSignature, KeyError):
        return False
    return True


def _faults(archive: zipfile.ZipFile, key: bytes) -> list[str]:
    manifest, signed = archive.read("manifest.json"), {"manifest.json", "manifest.sig"}
    if not _is_signed(archive, key, "manifest"):
        return ["the signature is not of this key"]
    if gone := withdrawn(archive):
        signed |= {"withdrawn.json", "withdrawn.sig"}
        if not _is_signed(archive, key, "withdrawn"):
            return ["the list of what was withdrawn is not signed by this key"]
        of = json.loads(archive.read("withdrawn.json")).get("manifest_sha256")
        if of != sha256(manifest).hexdigest():
            return ["the list of what was withdrawn is of another pack"]
    found, sums = [], json.loads(manifest)["sha256"]
    for name in sorted(sums.keys() | {*archive.namelist()} - signed):
        if name not in archive.namelist() and name in gone and gone[name]["sha256"] == sums[name]:
            continue
        if name not in sums or name not in archive.namelist():
            found.append(f"{name} is not as in the manifest")
        elif sha256(archive.read(name)).hexdigest() != sums[name]:
            found.append(f"{name} was changed")
    if found:
        return found
    if "facts.json" in sums:
        return _pack_faults(json.loads(manifest), json.loads(archive.read("facts.json")))
    return _run_faults(archive, sums)


def _run_faults(archive: zipfile.ZipFile, sums: dict[str, str]) -> list[str]:
    """What of a run does not fit: its ledger, what was approved, and the audit trail."""
    found = []
    run = json.loads(archive.read("run.json"))
    rows = csv.DictReader(io.TextIOWrapper(archive.open("ledger.csv"), "utf-8", newline=""))
    states = Counter(row["state"] for row in rows)
    if dict(states) != run["report"]["states"] or states.total() != run["report"]["target"]:
        found.append("the ledger does not add up to the report")
    if "content.json" in sums:
        content = json.loads(archive.read("content.json"))
        if json.loads(archive.read("approval.json"))["approved_sha256"] != sums["content.json"]:
            found.append("the text, the rule or the plan is not what was approved")
        texts = [content, *content.get("further", [])]
        if run["text"] != texts[run["text_no"] - 1]["text"] or run["rule"] != content["rule"]:
            found.append("what was sent is not the text and the rule that were approved")
    trail = json.loads(archive.read("audit.json"))
    for entry in trail:
        digest = sha256(entry["line"].encode()).hexdigest()
        if entry["seal"] and entry["seal"]["digest"] != digest:
            found.append(f"the audit entry of seal {entry['seal']['no']} is not as it was sealed")
    foreign = [(json.loads(e["line"])[0], e["foreign"]) for e in trail if e.get("foreign")]
    return found + [f"audit entry {entry_id}: {why}" for entry_id, why in foreign]


def _pack_faults(manifest: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """What of a pack does not fit: that its units add up, and that their reports are as they were
    when they were handed in.
    """
    found, units = [], facts["units"]
    if manifest["pack"] != {name: facts[name] for name in ("week", "version", "as_of")}:
        found.append("the facts are of another pack")
    reports = [(unit["name"], unit["report"]) for unit in units if unit["report"] is not None]
    if (facts["unit_count"], facts["handed_in"]) != (len(units), len(reports)):
        found.append("the units do not add up")
    for name, report in reports:
        if sha256(report["canonical"].encode()).hexdigest() != report["sha256"]:
            found.append(f"the figures of {name} are not what was handed in")
    return found


if __name__ == "__main__":
    try:
        path, key = sys.argv[1], bytes.fromhex(sys.argv[2])
    except (IndexError, ValueError):
        sys.exit("give the archive, and the key as 64 hexadecimal digits")
    try:
        with zipfile.ZipFile(path) as opened:
            problems = faults(opened, key)
            went = {} if problems else withdrawn(opened)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        sys.exit(f"{path} is no whole archive of evidence ({error}); take it again")
    for file, of in sorted(went.items()):
        print(f"{file} was withdrawn ({of['why']}, {of['at']})")  # noqa: T201
    print("\n".join(problems) or "everything fits")  # noqa: T201
    sys.exit(bool(problems))
