"""SQL: of which post an entry of a list speaks, and whether whom it was handed to still stands.

Two rules say how a list that is imported later and a hand-over stand to each other (decision 0603).
An entry that names whoever handed a post over gives it back to nobody. And whoever was handed a
post does not stand any more once a list after the hand-over takes the person off, or names somebody
for the post who has not held it.
"""

from service.audience.rosters.on_lists import is_on_a_list
from service.audience.vocabulary.roles import POST_ROLES

_UNITS = ("school", "college", "org", "office", "grade", "class")
_ROLES = ", ".join(f"'{role}'" for role in POST_ROLES)


def unit_of(entry: str) -> str:
    """SQL: what an entry `entry` of a list says of where somebody belongs, as one text; where it
    names no unit, the code of the place; "": neither.
    """
    parts = ", ".join(f"nullif({entry}.{column}, '')" for column in _UNITS)
    return f"coalesce(nullif(concat_ws(' ', {parts}), ''), {entry}.area_code, '')"


def unit_key_of(entry: str) -> str:
    """SQL: `unit_of`, folded as `posts.unit_key`. Folding takes the spaces out, so it joins without
    any: an index can have that, and `links_post` does.
    """
    parts = " || ".join(f"{entry}.{column}" for column in _UNITS)
    return f"folded(coalesce(nullif({parts}, ''), {entry}.area_code, ''))"


def is_of_post(entry: str, post: str) -> str:
    """SQL: the entry of the post's own list names somebody for it."""
    return f"""({entry}.left_by IS NULL AND {entry}.roles && ARRAY[{_ROLES}]
        AND {post}.role = ANY ({entry}.roles)
        AND {unit_key_of(entry)} = {post}.unit_key)"""


def was_handed_on(entry: str, roster: str, role: str) -> str:
    """SQL: the entry names, for a post of this role, somebody who handed it over."""
    return f"""EXISTS (
        SELECT FROM posts p
            JOIN post_holders f ON f.post_id = p.id AND f.contact_id = {entry}.contact_id
            JOIN post_holders n ON n.post_id = p.id AND n.until IS NULL
        WHERE p.department_id = {roster}.department_id AND p.roster = {roster}.name
          AND p.role = {role} AND p.unit_key = {unit_key_of(entry)}
          AND n.contact_id <> {entry}.contact_id)"""  # names of columns


def was_named_anew(post: str, holder: str, roster: str) -> str:
    """SQL: a list that came after the hand-over names somebody for the post who has not held it."""
    return f"""EXISTS (
        SELECT FROM links e
        WHERE e.roster_id = {roster}.id AND {is_of_post("e", post)}
          AND NOT EXISTS (SELECT FROM post_holders x
                          WHERE x.post_id = {post}.id AND x.contact_id = e.contact_id)
          AND EXISTS (SELECT FROM imports i
                      WHERE i.created_at > {holder}.since AND i.undone_at IS NULL
                        AND (i.id = e.import_id OR i.id IN (
                            SELECT import_id FROM link_repeats WHERE link_id = e.id))))"""  # noqa: S608


def stands(post: str, holder: str, roster: str, contact: str, day: str) -> str:
    """SQL: whom a post was handed to is on a list that holds, was not taken off the post's own list
    since, and that list names nobody anew.
    """
    return f"""({is_on_a_list(contact, day)}
        AND (EXISTS (SELECT FROM links e WHERE e.contact_id = {contact}.id
                     AND e.roster_id = {roster}.id AND e.left_by IS NULL)
             OR NOT EXISTS (SELECT FROM links e WHERE e.contact_id = {contact}.id
                            AND e.roster_id = {roster}.id AND e.left_at >= {holder}.since))
        AND NOT {was_named_anew(post, holder, roster)})"""  # noqa: S608
