"""What must not stand in the repository: people's numbers, and the machines it was made on."""

import re

import pytest

from service.audience.numbers.prefix import is_synthetic
from tests.architecture.tree import ROOT, text_files

SPECIFIED = ("tests/vectors/", "docs/protocols/")  # these quote the specifications' own examples
NOBODYS = ("144", "169", "1740")
"""First digits that no person's mobile has: devices, reserved, satellite; examples of rejects."""

# Taken apart, so that this file does not hold them.
FORBIDDEN = {
    "a folder of one machine": re.compile("/" + r"(?:work|root|home/\w+)/"),
    "a package registry": re.compile(
        "|".join(
            name.replace("_", r"\.")
            for name in (
                "pypi_org", "pythonhosted_org", "registry_npmjs_org", "npmmirror_com",
                "proxy_golang_org", "crates_io", "ghcr_io", "quay_io", "docker_io",
            )
        )
    ),
    "an address of a registry": re.compile("--(?:extra-)?index" + "-url|--find" + "-links"),
}  # fmt: skip

ALLOWED = {("deploy/bundle", "docker." + "io")}
"""The first part of what Docker calls an image that has no other; nothing is fetched from there."""

MOBILE = re.compile(r"(?<![0-9A-Za-z.])(?:\+?86[ -]?)?(1[3-9]\d{9})(?![0-9A-Za-z])")


def real_numbers(text: str) -> list[str]:
    """Mobile numbers in `text` that may be somebody's."""
    return [number for number in MOBILE.findall(text) if not _is_nobodys(number)]


def _is_nobodys(number: str) -> bool:
    cut_by_a_spreadsheet = number.endswith("0000000")
    return is_synthetic(number) or number.startswith(NOBODYS) or cut_by_a_spreadsheet


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def test_no_forbidden_words() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{line_of(text, match.start())} {what}"
        for path, text in text_files()
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
        if (path.relative_to(ROOT).as_posix(), match.group()) not in ALLOWED
    ]
    assert not offenders, "\n".join(offenders)


def test_no_number_that_may_be_somebodys() -> None:
    offenders = []
    for path, text in text_files():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(SPECIFIED):
            masked = sorted({number[:7] + "****" for number in real_numbers(text)})
            if masked:
                offenders.append(f"{name}: {len(masked)} ({', '.join(masked[:5])})")
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1" + "3800138000", True),
        ("+861" + "3800138000", True),
        ("tel:86 1" + "3800138000", True),
        ("19790001234", False),
        ("8619080330000", False),
        ("14400001234", False),
        ("1908" + "0000000", False),
        ("sha256:a1" + "3800138000b", False),
        ("1" + "38001380001", False),
    ],
)
def test_which_numbers_count(text: str, found: bool) -> None:
    assert bool(real_numbers(text)) is found
