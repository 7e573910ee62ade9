"""What a folder of backups holds, lacks, is due, and may be thrown away."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.backup.base import throw_away
from service.backup.catalogue import (
    BackupCatalogue,
    BaseBackup,
    BaseKind,
    due,
    expired_bases,
    find_faults,
    leads_through,
    read_catalogue,
    read_newest,
    segment_of,
    whole_path,
)
from service.backup.crypt import (
    encrypt_compressed,
    make_key,
    read_identities,
    read_recipients,
)
from service.backup.keeper import last_night
from service.backup.restore import plan_restore, read_segment
from service.errors import Misconfigured
from service.settings import BackupSettings

NIGHT = datetime(2027, 1, 12, 18, 30, tzinfo=UTC)  # 02:30 in China
CLUSTER = "7300000000000000001"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def base(kind: BaseKind, ended: datetime, segment: int, full: str = "") -> BaseBackup:
    name = f"{ended:%Y%m%dT%H%M%SZ}-{kind}"
    lsn = f"{segment // 256:X}/{segment % 256:02X}000028"
    return BaseBackup(
        name=name,
        kind=kind,
        full=full or name,
        cluster=CLUSTER,
        timeline=1,
        start_lsn=lsn,
        end_lsn=lsn,
        started_at=ended - MINUTE,
        ended_at=ended,
        unpacked=1_000,
        files={"base.tar.gz.age": (10, "00")},
        key_checks={1: b"check"},
        superuser="tocsin",
        database="tocsin",
    )


def put(target: Path, *bases: BaseBackup) -> None:
    for one in bases:
        folder = target / CLUSTER / "base" / one.name
        folder.mkdir(parents=True)
        (folder / "backup.json").write_text(one.as_json())


def log(target: Path, pieces: dict[str, datetime]) -> None:
    """Pieces of the log by name: 3, or 3.partial."""
    folder = target / CLUSTER / "log"
    folder.mkdir(parents=True, exist_ok=True)
    for name, at in pieces.items():
        number, dot, partial = name.partition(".")
        path = folder / f"00000001{0:08X}{int(number):08X}{dot}{partial}.gz.age"
        path.touch()
        os.utime(path, (at.timestamp(), at.timestamp()))


def missing(found: BackupCatalogue, first: int) -> list[tuple[int, int]]:
    return [(gap.first, gap.last) for gap in found.gaps(first)]


def test_a_place_in_the_log_has_its_segment() -> None:
    assert segment_of("0/3000028") == 3
    assert segment_of("2/FF000000") == 2 * 256 + 255


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = base("full", NIGHT, 5)
    put(tmp_path, one)
    (tmp_path / CLUSTER / "base" / ".20270112T183000Z-full.part").mkdir()
    assert read_catalogue(tmp_path, CLUSTER).bases == [one]


def test_a_description_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    one = base("full", NIGHT, 5)
    put(tmp_path, one)
    path = tmp_path / CLUSTER / "base" / one.name / "backup.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(Misconfigured, match=r"backup\.json cannot be read: take it from another"):
        read_catalogue(tmp_path, CLUSTER)
    path.write_text(json.dumps({"kind": "full"}))
    with pytest.raises(Misconfigured, match=r"backup\.json cannot be read"):
        read_catalogue(tmp_path, CLUSTER)


def test_a_folder_that_is_not_mounted_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="mount its disk or share"):
        read_newest(tmp_path / "away")
    with pytest.raises(Misconfigured, match="there is no backup in"):
        read_newest(tmp_path)


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (["3", "4", "5", "6.partial"], []),
        (["3", "4", "6", "7.partial"], [(5, 5)]),
        (["4", "5"], [(3, 3)]),
        (["3", "8", "9"], [(4, 7)]),
        (["3", "4.partial", "5"], [(4, 4)]),  # a part serves at the end alone
        (["3", "4.partial", "4", "5"], []),
        (["1", "2", "3"], []),
        ([], []),
    ],
)
def test_a_gap_is_seen(
    tmp_path: Path, names: Sequence[str], lacking: list[tuple[int, int]]
) -> None:
    log(tmp_path, dict.fromkeys(names, NIGHT))
    assert missing(read_catalogue(tmp_path, CLUSTER), 3) == lacking


def test_a_piece_that_is_moved_while_it_is_looked_at_is_read_where_it_is(tmp_path: Path) -> None:
    log(tmp_path, dict.fromkeys(["3", "4"], NIGHT))
    folder = tmp_path / CLUSTER / "log"
    for name in ("2", "4.partial"):  # listed, and gone when it is asked when it was written
        number, dot, partial = name.partition(".")
        at = folder / f"00000001{0:08X}{int(number):08X}{dot}{partial}.gz.age"
        at.symlink_to(folder / "gone")
    found = read_catalogue(tmp_path, CLUSTER).log
    assert [(piece.number, piece.partial) for piece in found] == [(3, False), *[(4, False)] * 2]
    assert {piece.path.is_file() for piece in found} == {True}


def test_a_piece_that_comes_to_its_end_before_it_is_restored_is_read_whole(tmp_path: Path) -> None:
    log(tmp_path, dict.fromkeys(["3", "4.partial"], NIGHT))
    (_, last) = read_catalogue(tmp_path, CLUSTER).log
    recipients = read_recipients(make_key(tmp_path / "county.key"))
    identities = read_identities(tmp_path / "county.key")
    (tmp_path / "plain").write_bytes(b"partly")
    encrypt_compressed(tmp_path / "plain", last.path, recipients)
    assert read_segment(last, identities) == b"partly"
    (tmp_path / "plain").write_bytes(b"partly and whole")
    encrypt_compressed(tmp_path / "plain", whole_path(last.path), recipients)
    last.path.unlink()
    assert read_segment(last, identities) == b"partly and whole"


def test_a_new_timeline_goes_on_from_the_old_one(tmp_path: Path) -> None:
    log(tmp_path, dict.fromkeys(["3", "4", "5.partial"], NIGHT))
    folder = tmp_path / CLUSTER / "log"
    for number in (5, 6):
        (folder / f"00000002{0:08X}{number:08X}.gz.age").touch()
    (folder / "00000002.history.gz.age").touch()
    found = read_catalogue(tmp_path, CLUSTER)
    assert missing(found, 3) == []
    assert [path.name for path in found.histories] == ["00000002.history.gz.age"]


def test_the_log_counts_on_from_ff(tmp_path: Path) -> None:
    folder = tmp_path / CLUSTER / "log"
    folder.mkdir(parents=True)
    for name in (
        "0000000100000000000000FE",
        "0000000100000000000000FF",
        "000000010000000100000001",
    ):
        (folder / f"{name}.gz.age").touch()
    (gap,) = read_catalogue(tmp_path, CLUSTER).gaps(254)
    assert gap.names == "0000000100000000"


def test_a_week_has_one_full_backup_and_the_other_nights_an_incremental_one() -> None:
    made: list[BaseBackup] = []
    for day in range(15):
        night = NIGHT + day * DAY
        found = BackupCatalogue(Path(), made)
        kind = due(found, night, manifest=True, timeline=1)
        assert kind is not None
        full = found.last("full")
        ended = night + 3 * MINUTE
        made.append(base(kind, ended, day, full.name if kind == "incremental" and full else ""))
        assert due(BackupCatalogue(Path(), made), night, manifest=True, timeline=1) is None, (
            "once a night"
        )
    assert [one.kind == "full" for one in made] == [day % 7 == 0 for day in range(15)]
    assert {one.full for one in made} == {made[n].name for n in (0, 7, 14)}


def test_without_the_list_of_files_or_with_a_gap_a_full_one_is_due(tmp_path: Path) -> None:
    put(tmp_path, base("full", NIGHT, 3))
    log(tmp_path, dict.fromkeys(["3", "4"], NIGHT))
    before = NIGHT - DAY
    assert due(read_catalogue(tmp_path, CLUSTER), before, manifest=True, timeline=1) is None
    assert due(read_catalogue(tmp_path, CLUSTER), before, manifest=False, timeline=1) == "full"
    log(tmp_path, {"6": NIGHT})
    assert due(read_catalogue(tmp_path, CLUSTER), before, manifest=True, timeline=1) == "full"


def test_after_a_restore_a_full_one_is_due_at_once() -> None:
    found = BackupCatalogue(Path(), [base("full", NIGHT, 3)])
    assert due(found, NIGHT - DAY, manifest=True, timeline=1) is None
    assert due(found, NIGHT - DAY, manifest=True, timeline=2) == "full"


def test_nights_that_the_machine_was_off_are_made_up_for_once() -> None:
    found = BackupCatalogue(Path(), [base("full", NIGHT, 3)])
    assert due(found, NIGHT + 3 * DAY, manifest=True, timeline=1) == "incremental"
    assert due(found, NIGHT + 30 * DAY, manifest=True, timeline=1) == "full"


def test_the_night_is_the_countys() -> None:
    settings = BackupSettings(backup_at="02:30", timezone="Asia/Shanghai")
    assert last_night(settings, NIGHT) == NIGHT
    assert last_night(settings, NIGHT - MINUTE) == NIGHT - DAY
    assert last_night(settings, NIGHT + DAY - MINUTE) == NIGHT


def weeks(count: int) -> list[BaseBackup]:
    """Full ones and two incremental ones of so many weeks, the last full one at NIGHT."""
    made = []
    for week in range(count):
        at = NIGHT - (count - 1 - week) * 7 * DAY
        full = base("full", at, week * 10)
        made += [full]
        made += [base("incremental", at + n * DAY, week * 10 + n, full.name) for n in (1, 2)]
    return made


def test_what_is_older_than_its_term_goes_with_all_that_builds_on_it() -> None:
    made = weeks(8)
    gone = expired_bases(made, NIGHT - 35 * DAY)
    assert gone == made[:6]  # six and seven weeks old; five weeks is not older than five weeks


def test_the_last_two_full_ones_stay_however_old_they_are() -> None:
    made = weeks(4)
    gone = expired_bases(made, NIGHT + 1_000 * DAY)
    kept = [one for one in made if one not in gone]
    assert [one.name for one in kept] == [made[6].name, made[9].name]


def test_files_that_are_thrown_away_are_gone_and_the_log_that_is_needed_stays(
    tmp_path: Path,
) -> None:
    made = weeks(4)
    put(tmp_path, *made)
    log(tmp_path, {str(n): NIGHT for n in range(40)})
    settings = BackupSettings(backup_folder=tmp_path, backup_keep_days=8)
    names = throw_away(settings, read_catalogue(tmp_path, CLUSTER), NIGHT)
    left = read_catalogue(tmp_path, CLUSTER)
    assert names == [one.name for one in made[:6]]
    assert [one.name for one in left.bases] == [one.name for one in made[6:]]
    assert [piece.number for piece in left.log] == list(range(20, 40))
    assert {path.name for path in (tmp_path / CLUSTER / "base").iterdir()} == {
        one.name for one in made[6:]
    }


@pytest.mark.parametrize(
    ("base_age", "log_age", "faults"),
    [
        (timedelta(hours=25), 4 * MINUTE, []),
        (timedelta(hours=27), 4 * MINUTE, ["the last base backup is older than 26 hours"]),
        (timedelta(hours=25), 6 * MINUTE, ["nothing of the log came in the last 5 minutes"]),
    ],
)
def test_backups_that_are_too_old_are_a_fault(
    tmp_path: Path, base_age: timedelta, log_age: timedelta, faults: list[str]
) -> None:
    put(tmp_path, base("full", NIGHT - base_age, 3))
    log(tmp_path, {"3": NIGHT - base_age, "4.partial": NIGHT - log_age})
    found = find_faults(read_catalogue(tmp_path, CLUSTER), NIGHT)
    assert [text.partition(":")[0] for text in found] == faults


def test_a_gap_and_no_backup_at_all_are_faults(tmp_path: Path) -> None:
    log(tmp_path, {"3": NIGHT})
    assert [
        "no base" in text for text in find_faults(read_catalogue(tmp_path, CLUSTER), NIGHT)
    ] == [True]
    put(tmp_path, base("full", NIGHT, 3))
    log(tmp_path, {"6": NIGHT})
    (fault,) = find_faults(read_catalogue(tmp_path, CLUSTER), NIGHT)
    assert fault.startswith("the log lacks 0000000000000004 … 0000000000000005")


def test_a_restore_takes_the_last_backup_before_the_instant_and_the_log_up_to_the_next(
    tmp_path: Path,
) -> None:
    made = [base("full", NIGHT, 3)]
    made += [base("incremental", NIGHT + n * DAY, 3 + 2 * n, made[0].name) for n in (1, 2)]
    put(tmp_path, *made)
    log(tmp_path, {str(n): NIGHT + n * DAY / 2 for n in range(3, 9)})
    plan = plan_restore(tmp_path, NIGHT + DAY + 5 * MINUTE)
    assert [one.name for one in plan.chain] == [made[0].name, made[1].name]
    assert [piece.number for piece in plan.log] == [5, 6, 7]
    everything = plan_restore(tmp_path, None)
    assert everything.base == made[2]
    assert [piece.number for piece in everything.log] == [7, 8]


def test_a_restore_that_lacks_something_says_what_to_do(tmp_path: Path) -> None:
    full = base("full", NIGHT, 3)
    later = base("incremental", NIGHT + DAY, 6, full.name)
    put(tmp_path, full)
    with pytest.raises(Misconfigured, match="the first one that can be restored is 2027-01-12T18"):
        plan_restore(tmp_path, NIGHT - MINUTE)
    with pytest.raises(Misconfigured, match="the log lacks 0000000000000003"):
        plan_restore(tmp_path, None)
    log(tmp_path, {str(n): NIGHT + n * MINUTE for n in (3, 4, 6)})
    with pytest.raises(Misconfigured, match="the log lacks 0000000000000005: put these files back"):
        plan_restore(tmp_path, None)
    with pytest.raises(Misconfigured, match="before 2027-01-12T18:34:00"):
        plan_restore(tmp_path, NIGHT + 5 * MINUTE)
    before_the_gap = plan_restore(tmp_path, NIGHT + 3 * MINUTE)
    assert [piece.number for piece in before_the_gap.log] == [3, 4]
    put(tmp_path, later)
    assert plan_restore(tmp_path, None).base == later
    (tmp_path / CLUSTER / "base" / full.name / "backup.json").unlink()
    with pytest.raises(Misconfigured, match=f"the full backup {full.name}, on which"):
        plan_restore(tmp_path, None)


HISTORY = (
    "1\t0/5000100\tbefore 2027-01-12 01:30:00+00\n2\t0/9000000\tno recovery target specified\n"
)


@pytest.mark.parametrize(
    ("segment", "leads"), [(4, True), (5, True), (6, False)], ids=["before", "in it", "after"]
)
def test_a_later_branch_leads_through_a_backup_that_ended_before_it_began(
    segment: int, leads: bool
) -> None:
    assert leads_through(HISTORY, base("full", NIGHT, segment)) is leads


def test_a_branch_leads_through_no_backup_of_a_timeline_that_is_not_before_it() -> None:
    other = replace(base("full", NIGHT, 4), timeline=3)
    assert not leads_through(HISTORY, other)
