"""What must not stand in the repository: other people's numbers, and the machines it was made on."""

import re

import pytest

from tests.architecture.tree import ROOT, text_files

# Numbers that no carrier has given to anybody; everything we write uses these.
SYNTHETIC = ("19790", "1908033", "1968512", "1926152")
SPECIFIED = ("tests/vectors/", "docs/protocols/")  # these quote the specifications' own examples

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

MOBILE = re.compile(r"(?<![0-9A-Za-z.])(?:\+?86[ -]?)?(1[3-9]\d{9})(?![0-9A-Za-z])")


def real_numbers(text: str) -> list[str]:
    """Mobile numbers in `text` that may be somebody's."""
    return [number for number in MOBILE.findall(text) if not number.startswith(SYNTHETIC)]


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def test_no_forbidden_words() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{line_of(text, match.start())} {what}"
        for path, text in text_files()
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
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
        ("+86" + "13800138000", True),
        ("tel:86 " + "13800138000", True),
        ("19790001234", False),
        ("8619080330000", False),
        ("sha256:a1" + "3800138000b", False),
        ("1" + "38001380001", False),
    ],
)
def test_which_numbers_count(text: str, found: bool) -> None:
    assert bool(real_numbers(text)) is found
