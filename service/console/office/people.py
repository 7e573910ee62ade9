"""Users: who there is, what each may do, and the second person who says so."""

from urllib.parse import urlencode

from service.accounts.people.model import Right, rights_of
from service.api.accounts import departments, login, users
from service.api.accounts.users import UserBody, UserOut, UserPatch, UsersQuery
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.names import names_of
from service.console.office import words
from service.console.office.choices import department_names
from service.console.render import Gone, Shown
from service.console.second_person import SecondPerson, second_person
from service.words.phrase import phrase

MOST_GRANTS = 10
_ANOTHER = phrase("another administrator who has all of these rights")


async def show_users(desk: Desk) -> Shown:
    """Everybody whom the caller sees, of a department or with some words in the name."""
    query = body_of(UsersQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(users.list_users, query=query)
    asked = {
        name: str(value)
        for name, value in (("words", query.words), ("department_id", query.department_id))
        if value is not None
    }
    told = {
        "users": found.items,
        "next": urlencode({**asked, "cursor": found.next_cursor}) if found.next_cursor else "",
        "asked": asked,
        "departments": await department_names(desk),
    }
    return Shown("office/users.html", told | await _told(desk))


async def show_user(desk: Desk) -> Shown:
    """One user: roles, rights, what was proposed for them, and the acts on the account."""
    user = await desk.get(users.get_user, user_id=desk.uuid("user_id"))
    cursor = desk.request.query.get("cursor")
    query = made_of(PageQuery, {"limit": MOST_GRANTS, "cursor": cursor})
    grants = await desk.get(users.list_grants, user_id=user.id, query=query)
    seconds = await _seconds(desk, user)
    hands = [
        user.password_from,
        *(person for one in grants.items for person in (one.proposed_by, one.confirmed_by)),
    ]
    if user.proposed:
        hands.append(user.proposed.proposed_by)
    department = await desk.get(departments.get_department, department_id=user.department_id)
    told = {
        "user": user,
        "department_name": department.name,
        "names": await names_of(desk, hands),
        "rights": words.rights(desk.language),
        "seconds": seconds,
        "grants": grants.items,
        "next": grants.next_cursor,
        "grant_states": words.PROPOSAL_STATES,
    }
    return Shown("office/user.html", told | await _told(desk))


async def _seconds(desk: Desk, user: UserOut) -> dict[str, SecondPerson]:
    """Who may confirm what waits: the proposed rights, and a given password."""
    another = desk.may(Right.ACCOUNTS) and user.id != desk.user.id
    found: dict[str, SecondPerson] = {}
    if user.proposed is not None:
        holds = desk.user.could_grant(user.proposed.roles, rights_of(user.proposed.rights))
        first = user.proposed.proposed_by
        found["grant"] = await second_person(desk, first, allowed=another and holds, who=_ANOTHER)
    if user.password_from is not None:
        first = user.password_from
        found["password"] = await second_person(desk, first, allowed=another, who=_ANOTHER)
    return found


async def show_new_user(desk: Desk) -> Shown:
    """The form for a new user."""
    options = [(str(key), name) for key, name in (await department_names(desk)).items()]
    return Shown("office/user_new.html", {"department_options": options} | await _told(desk))


async def create_user(desk: Desk) -> Gone:
    """Make a user; the roles wait for a second person."""
    made = await desk.act(users.create_user, body=body_of(UserBody, desk.form))
    done = phrase("{name} is made. The roles count once another administrator confirms them.",
                  name=made.name)  # fmt: skip
    return Gone(f"/office/users/{made.id}", done)


async def edit_user(desk: Desk) -> Gone:
    """Change the name or the roles of a user."""
    user_id = desk.uuid("user_id")
    roles = desk.form.getall("roles", [])
    body = body_of(UserPatch, desk.form, but=("roles",), given={"roles": roles})
    changed = await desk.act(users.edit_user, user_id=user_id, body=body)
    done = phrase("Saved.")
    if changed.proposed is not None:
        done = phrase("Saved. The new roles count once another administrator confirms them.")
    return Gone(f"/office/users/{user_id}", done)


async def confirm_grant(desk: Desk) -> Gone:
    """Let proposed roles and rights count, as the second person."""
    user_id = desk.uuid("user_id")
    await desk.act(users.confirm_grant, user_id=user_id, grant_id=desk.uuid("grant_id"))
    return Gone(f"/office/users/{user_id}", phrase("The rights count now."))


async def set_service(desk: Desk) -> Gone:
    """Put a user out of service, or propose them for it again."""
    user_id = desk.uuid("user_id")
    off = desk.typed("disabled") == "true"
    await desk.act(users.edit_user, user_id=user_id, body=UserPatch(disabled=off))
    done = phrase("The user is out of service; sessions and keys have ended.")
    back = phrase("The user is back once another administrator confirms it.")
    return Gone(f"/office/users/{user_id}", done if off else back)


async def give_password(desk: Desk) -> Shown:
    """Give a password for once; it is shown this once."""
    user_id = desk.uuid("user_id")
    given = await desk.act(login.give_password, user_id=user_id)
    return Shown("office/secret.html", {
        "title": phrase("A password for once"),
        "secret": given.password,
        "waits": given.state == "pending",
        "back": f"/office/users/{user_id}",
    })  # fmt: skip


async def confirm_password(desk: Desk) -> Gone:
    """Let a given password count, as the second person."""
    user_id = desk.uuid("user_id")
    await desk.act(login.confirm_password, user_id=user_id)
    return Gone(f"/office/users/{user_id}", phrase("The password counts now."))


async def reset_authenticator(desk: Desk) -> Gone:
    """Take a lost authenticator away."""
    user_id = desk.uuid("user_id")
    await desk.act(login.reset_totp, user_id=user_id)
    done = phrase("The authenticator is taken away; the user's sessions have ended.")
    return Gone(f"/office/users/{user_id}", done)


async def _told(desk: Desk) -> dict[str, object]:
    return {
        "role_options": words.roles(desk.language),
        "role_words": words.ROLES,
        "manages": desk.may(Right.ACCOUNTS),
    }
