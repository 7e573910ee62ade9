"""Who has a joint plan already, by another leg, as SQL on `joint_places`.

That table has a row for each person and joint fire, by the keyed hash of the phone, with the run
that sent it or may have. The mark takes a place (`dispatch.limits.joint_store`); a ledger asks
before.
"""


def department_of_run(run: str) -> str:
    """SQL: whose run one is."""
    return f"(SELECT department_id FROM runs WHERE id = {run})"  # noqa: S608  # a column


def has_place_elsewhere(fire: str, phone: str, department: str) -> str:
    """SQL: whether a person has a place in a joint fire that is another department's."""
    return (
        f"EXISTS (SELECT FROM joint_places j WHERE j.fire = {fire} AND j.phone_hash = {phone}"
        f" AND {department_of_run('j.run_id')} <> {department})"
    )
