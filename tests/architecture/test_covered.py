"""The table of `make coverage`: the rooms of the map, each statement counted once."""

from pathlib import Path

import pytest
from coverage import CoverageData

from tests.architecture import covered
from tests.architecture.covered import reached
from tests.architecture.map import rooms
from tests.architecture.tree import ROOT, modules


def test_the_table_has_every_room_and_adds_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = (ROOT / "service" / "accounts").glob("**/*.py")
    own = [ROOT / "service" / name for name in ("clock.py", "errors.py")]
    some = {*own, *accounts, *modules()[::10]}
    monkeypatch.setattr(covered, "modules", lambda: sorted(some))
    data = CoverageData(str(tmp_path / "data"))
    data.add_lines({str(ROOT / "service" / "clock.py"): range(1, 1_000)})
    data.write()
    *table, total = reached(tmp_path / "data")
    house = [reach.name for reach in table if reach.name.endswith("/")]
    assert house == [f"{room.name.rpartition('.')[2]}/" for room in rooms()]
    assert total.statements == sum(reach.statements for reach in table) > 1_000
    assert total.missed == sum(reach.missed for reach in table)
    top = table[0]
    assert (top.name, 0 < top.missed < top.statements) == ("service", True)
    assert all(reach.missed == reach.statements for reach in table[1:])
    assert str(table[1]).split()[2:4] == ["0.0", "%"]
