"""`make manifests`: the files with which others than docker-compose run Tocsin.

Run: python -m tests.manifests.manifests

The chart is linted, rendered with each example, and held to Kubernetes' schemas and to what
docker-compose.yml promises; so are the units of systemd, by systemd's own programs. A table is
printed; the exit code is 1 if a promise is broken. No cluster is needed and no systemd that runs.
"""

import sys
from collections.abc import Callable

from tests.containers.machine import NotHere
from tests.containers.table import Table
from tests.manifests import chart, machine, networks, scripts, units

ROWS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("docker-compose: config", scripts.check_compose),
    ("shellcheck", scripts.check_shell),
    ("hadolint", scripts.check_dockerfile),
    ("systemd: verify", units.check_verify),
    ("systemd: security", units.check_security),
    ("systemd: as docker-compose", units.check_compose),
    ("systemd: supervised", units.check_supervised),
    ("systemd: target", units.check_target),
    ("systemd: credentials", units.check_credentials),
    ("chart: lint", chart.check_lint),
    ("chart: schemas", chart.check_schemas),
    ("chart: bad values", chart.check_values),
    ("chart: closed", chart.check_closed),
    ("chart: secrets", chart.check_secrets),
    ("chart: probes", chart.check_probes),
    ("chart: budgets", chart.check_budgets),
    ("chart: names", chart.check_names),
    ("chart: settings", chart.check_settings),
    ("chart: docs/install.md", chart.check_page),
    ("network: three carriers", networks.check_three_carriers),
    ("network: everything", networks.check_everything),
    ("network: minimal", networks.check_minimal),
)


def main() -> int:
    """Check all; 1 if a row is red, 2 if a program is missing."""
    try:
        machine.prepare()
    except NotHere as error:
        print(error, file=sys.stderr)
        return 2
    table = Table("manifests")
    for name, check in ROWS:
        with table.row(name) as row:
            row.says(check())
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
