"""`make manifests`: the files with which others than docker-compose run Tocsin.

Run: python -m tests.manifests.manifests

The chart is linted, rendered with each example, and held to Kubernetes' schemas and to what
docker-compose.yml promises. A table is printed; the exit code is 1 if a promise is broken. No
cluster is needed, and none is asked.
"""

import sys
from collections.abc import Callable

from tests.containers.table import Table
from tests.manifests import chart, networks

ROWS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("chart: lint", chart.check_lint),
    ("chart: schemas", chart.check_schemas),
    ("chart: bad values", chart.check_values),
    ("chart: closed", chart.check_closed),
    ("chart: secrets", chart.check_secrets),
    ("chart: probes", chart.check_probes),
    ("chart: budgets", chart.check_budgets),
    ("chart: names", chart.check_names),
    ("chart: settings", chart.check_settings),
    ("network: three carriers", networks.check_three_carriers),
    ("network: everything", networks.check_everything),
    ("network: minimal", networks.check_minimal),
)


def main() -> int:
    """Check all; 1 if a row is red."""
    table = Table("manifests")
    for name, check in ROWS:
        with table.row(name) as row:
            row.says(check())
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
