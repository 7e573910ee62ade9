"""`tocsin documents`: the county's own Word files, begun with and checked."""

import argparse
import sys
from pathlib import Path

from service.documents.county_file import check
from service.documents.styles import shipped_file
from service.errors import Conflict, Misconfigured
from service.words.catalogues import of_shell
from service.words.phrase import phrase, told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    write = commands.add_parser(
        "write", help=phrase("write a Word file with the shipped styles, to be changed in Word")
    )
    write.add_argument("file", type=Path, metavar="FILE", help=phrase("a new file, all.docx"))
    write.add_argument(
        "--language", choices=("zh", "en"), default="zh", help=phrase("of the page numbers")
    )
    write.set_defaults(run=lambda o: _write(o.file, o.language))
    checks = commands.add_parser(
        "check", help=phrase("say whether documents can be made with these Word files")
    )
    checks.add_argument("files", type=Path, nargs="+", metavar="FILE", help=phrase("Word files"))
    checks.set_defaults(run=lambda o: _check(o.files))


def _write(path: Path, language: str) -> None:
    try:
        with path.open("xb") as file:
            file.write(shipped_file(language))
    except FileExistsError as error:
        raise Conflict(phrase("{path} is there already", path=path)) from error
    except OSError as error:
        raise _unusable(path, error) from error


def _check(paths: list[Path]) -> None:
    for path in paths:
        try:
            octets = path.read_bytes()
        except OSError as error:
            raise _unusable(path, error) from error
        check(path.name, octets)
        sys.stdout.write(told(phrase("{path}: good", path=path), of_shell()) + "\n")


def _unusable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(phrase("{path}: {why}", path=path, why=error.strerror or ""))
