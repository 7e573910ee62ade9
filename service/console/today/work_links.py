"""Where each kind of waiting work is worked off, and how urgent it looks."""

from urllib.parse import quote

_PAGES = {
    "stops": "/duty/stop",
    "shut_channels": "/duty/channels/{id}",
    "not_firing": "/plans/{id}",
    "holds": "/plans/{id}",
    "missed_fires": "/plans/{id}",
    "approvals": "/plans/{id}/sign",
    "texts_to_approve": "/texts/{id}",
    "duties": "/duties/{id}",
    "late_units": "/duties/late",
    "returned": "/plans/{id}/edit",
    "asked_legs": "/plans/legs/{id}",
    "returned_legs": "/plans/legs/{id}",
    "left_out_legs": "/plans/legs/{id}",
    "held_opt_outs": "/duty/holds",
    "held_suppressions": "/people/never/entries/{id}",
    "uncertain": "/duty/doubt",
    "inbound": "/duty/replies",
    "receipts": "/duty/receipts",
    "list_files": "/duty/list-files",
    "imports": "/people/imports/{id}",
    "ending_rosters": "/people/lists",
    "vacant_posts": "/people/lists/{name}/posts",
    "number_corrections": "/number-corrections/{id}",
    "taken_texts": "/texts/{id}",
    "filings": "/texts/{id}/filings",
    "channel_changes": "/office/channels/{id}",
    "grants": "/office/users/{id}",
    "keys": "/office/keys",
    "passwords": "/office/users/{id}",
    "retention": "/office/privacy/retention",
    "deputies": "/office/deputies",
    "direct_limits": "/office/departments/{id}/limits",
    "lint_proposals": "/office/departments/{id}/sender",
    "signatures": "/office/departments/{id}/sender",
    "area_renames": "/people/areas",
    "machine_access": "/office/users/{id}",
}
"""By kind of work, the page on which one thing of it is worked off."""

_LISTS = {"duties": "/duties", "late_units": "/duties/late"}
"""The kinds that have a list of their own; the others stand in the list of whoever is on duty."""

_LINT_RULES = "/office/rules/lint"

_TONES = {"stops": "bad", "shut_channels": "bad", "not_firing": "bad", "missed_fires": "bad"}


def address_of(kind: str, thing: str, name: str, *, reads: bool = True) -> str:
    """The page on which a thing that waits is worked off, by its id, or where that has no page, by
    its name; "" for a kind without one.

    reads: whether the reader may open the pages of whoever is on duty; else none leads there.
    """
    if kind == "lint_proposals" and thing == "rules":
        return _LINT_RULES
    address = _PAGES.get(kind, "").replace("{id}", thing)
    address = address.replace("{name}", quote(name, safe=""))
    return address if reads or not address.startswith("/duty/") else ""


def list_of(kind: str, *, reads: bool) -> str:
    """The page that has all that waits of a kind; "": none that the reader may open."""
    return _LISTS.get(kind, "/duty" if reads else "")


def tone_of(kind: str) -> str:
    """The state in which a kind of work is shown: `bad` where texts do not leave, else `warn`."""
    return _TONES.get(kind, "warn")
