"""Asks a server what Schemathesis makes up from its OpenAPI document, and looks at each answer.

What is made up at random is refused long before anything is done with it. So true ids, and words
that the service knows, take the place of some of it, and several persons ask; what an answer shows
is known from then on. Schemathesis looks again at what has become of the request, and judges the
answer by that.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from schemathesis import APIOperation, Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.generation.stateful.state_machine import (
    APIStateMachine,
    StepInput,
    StepOutput,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)

from tests.harness.left_english import left_english
from tests.harness.words import FILES, WORDS, new_area_name, new_name, usual_queries

QUERIES = usual_queries()
AnyOperation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[AnyOperation]
"""The engine makes them; these tests know no more of them."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SAME = {"absent_id": "user_id", "deputy_id": "user_id"}
"""Fields of bodies by the parameter that means the same."""

NUMBER = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
MOST_KNOWN = 40
PLAIN = 0.35
"""How often a request that is right is sent just as it usually is."""
SURPRISE = 0.15
"""How often a field of a usual body is what was made up for it."""
LONGEST_REQUEST_LINE = 8_000
"""Longer ones are refused before they reach the API, in the words of the HTTP library."""
TIMEOUT = 30

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Of chance, so it may end in the digits of a number."""


@dataclass
class Tally:
    """How each operation has answered, and what was wrong with an answer, each kind once."""

    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    findings: dict[tuple[str, str], str] = field(default_factory=dict)
    modes: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    """How the usual request of an operation was refused, or why it could not be asked."""

    @property
    def cases(self) -> int:
        return sum(counts.total() for counts in self.answers.values())

    def done(self) -> set[str]:
        """The operations that were carried out at least once."""
        return {
            label
            for label, counts in self.answers.items()
            if any(200 <= status < 300 for status in counts)
        }

    def note(self, label: str, what: str, more: str) -> None:
        self.findings.setdefault((label, what), more)


Known = dict[str, list[dict[str, str]]]
Act = Callable[[], Coroutine[Any, Any, Any]]


@dataclass
class World:
    """Who asks of what.

    people: tokens, each as often as it is to be taken; admins: of those who may do all.
    person: makes the token of a new one, for what only a person does who has logged in.
    asks: makes the token of whoever usually asks for an operation, where not every admin can.
    known: the parameters of an address by the last of them; those under `campaign_id of
        approve_campaign` are good for that operation, once. So are ids that bodies have.
    bodies: what the service takes, by operation.
    spared: ids of who asks here, and of what they need: nothing is changed about them.
    before, after: what is to be done so that an operation can be carried out, and once it was.
    wait: does what is done beside the requests, and returns what comes of it.
    """

    people: Sequence[str]
    admins: Sequence[str]
    person: Act
    asks: Mapping[str, Act]
    known: Known
    bodies: Mapping[str, Mapping[str, Any]]
    spared: frozenset[str]
    before: Mapping[str, Act]
    after: Mapping[str, Act]
    wait: Callable[[Coroutine[Any, Any, Any]], Any]


class Asker:
    """Asks as one of several people, and keeps the tally."""

    def __init__(self, url: str, world: World, seed: int) -> None:
        self.tally = Tally()
        self._url = url
        self._world = world
        self._random = random.Random(seed)
        self._share = 1.0
        self._session = requests.Session()

    # ---- before

    def prepare(self, case: AnyCase, *, linked: bool = False, usual: bool = False) -> str | None:
        """Put what is true in the place of some of what was made up; a link's address stays.

        usual: in the place of all of it. Returns the token of whoever asks.
        """
        operation = _name(case)
        negative = case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE
        plain = usual or (not negative and not linked and self._random.random() < PLAIN)
        self._share = 1.0 if plain else 0.3 if negative else 0.8
        if plain:
            case.headers.clear()
            self._do(self._world.before.get(operation))
        token = self._who(case, plain, usual)
        parameters = dict(case.path_parameters or {})
        spared = self._world.spared & set(map(str, parameters.values()))
        if plain or (parameters and ((not linked and self._luck()) or spared)):
            case.path_parameters = parameters | self._parameters_of(case, operation, plain)
        if plain:
            case.query = dict(QUERIES.get(operation, {}))
        elif case.query and self._luck():
            case.query = self._with_words(case.query)
        if isinstance(case.body, dict):
            case.body = self._body(operation, case.body, plain)
        return token

    def _do(self, act: Act | None) -> Any:
        return act and self._world.wait(act())

    def _luck(self) -> bool:
        return self._random.random() < self._share

    def _parameters_of(self, case: AnyCase, operation: str, plain: bool) -> dict[str, Any]:
        names = re.findall(r"{(\w+)}", case.path)
        found: dict[str, Any] = {}
        for name in names:
            fitting = self._world.known.get(f"{name} of {operation}")
            if plain and fitting:
                found |= fitting.pop()
            elif items := self._world.known.get(name):
                found |= items[-1] if plain else self._random.choice(items)
        return {name: found[name] for name in names if name in found}

    def _id(self, name: str) -> Any:
        items = self._world.known.get(name)
        if not items or not name.endswith("_id"):
            return None
        found = self._random.choice(items)[name]
        return int(found) if name == "channel_id" else found

    def _body(self, operation: str, made: dict[str, Any], plain: bool) -> dict[str, Any]:
        body = dict(made)
        if plain:
            body = self._usual(operation)
        elif self._luck():
            some = {name: made[name] for name in made if self._random.random() < SURPRISE}
            body = self._usual(operation) | some
        if not plain and self._luck():
            body = self._with_words(body)
        if operation in FILES and (self._luck() or not isinstance(body.get("file"), bytes)):
            body["file"] = FILES[operation]
        return body

    def _usual(self, operation: str) -> dict[str, Any]:
        """The usual body, with ids of what is there and a name that is new."""
        body = dict(self._world.bodies.get(operation, {}))
        for name in body:
            known = self._world.known
            items = known.get(f"{name} of {operation}") or known.get(SAME.get(name, name))
            if items and name.endswith("_id"):
                last = items[-1][SAME.get(name, name)]
                body[name] = int(last) if name == "channel_id" else last
            elif name == "name" or (name == "login" and operation != "login"):
                body[name] = new_area_name() if operation == "create_area" else new_name()
        return body

    def _with_words(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        filled = {}
        for name, value in fields.items():
            known = self._id(SAME.get(name, name))
            if known is None and name in WORDS:
                words = WORDS[name]
                known = self._random.choice(words) if isinstance(words, list) else words()
            if name == "ids" and value and isinstance(value, list) and isinstance(value[0], str):
                known = [self._id("message_id")]
            if name == "channels" and isinstance(value, list):
                known = [self._id("channel_id")]
            filled[name] = known if known is not None and self._luck() else value
        return filled

    # ---- the request

    def _who(self, case: AnyCase, plain: bool, usual: bool) -> str | None:
        """The token of somebody; seldom none, or one that nobody has."""
        if not plain and self._random.random() < 0.03:
            return self._random.choice([None, "tk_unknown", ""])
        needs_login = "Takes a login" in case.operation.definition.raw["description"]
        make = self._world.asks.get(_name(case), self._world.person if needs_login else None)
        if make and (plain or needs_login):
            token: str = self._do(make)
            return token
        if usual:
            return self._world.admins[0]
        return self._random.choice(self._world.admins if plain else self._world.people)

    def call_options(self, token: str | None) -> dict[str, Any]:
        """How a case is sent: by somebody who reads Chinese."""
        headers = {"Accept-Language": "zh"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return {
            "base_url": self._url,
            "session": self._session,
            "headers": headers,
            "timeout": TIMEOUT,
        }

    def ask(self, case: AnyCase) -> None:
        """Send a case and look at the answer."""
        token = self.prepare(case)
        self.look(case, case.call(**self.call_options(token)), token)

    def ask_usual(self, operation: AnyOperation) -> None:
        """Ask for an operation just as it usually is; what was prepared for it makes it succeed."""
        media = next(iter(operation.definition.raw.get("requestBody", {}).get("content", ())), None)
        case = operation.Case(**({"body": {}, "media_type": media} if media else {}))
        token = self.prepare(case, usual=True)
        missing = set(re.findall(r"{(\w+)}", case.path)) - case.path_parameters.keys()
        if missing:
            self.tally.refused[operation.label] = f"nobody has prepared {sorted(missing)}"
            return
        response = case.call(**self.call_options(token))
        self.look(case, response, token)
        if not 200 <= response.status_code < 300:
            self.tally.refused[operation.label] = _told(case, response)
        elif "json" in response.headers.get("content-type", [""])[0]:
            for place, said in left_english(response.json()):
                self.tally.note(operation.label, f"English in a Chinese answer: {place}", said)

    def machine(self, base: type[APIStateMachine]) -> type[APIStateMachine]:
        """What follows the links of the document, asking as this does."""
        asker = self

        class Machine(base):  # type: ignore[misc, valid-type]  # its base is made at run time
            def step(self, input: StepInput) -> StepOutput:  # noqa: A002
                linked = input.transition is not None and input.is_applied
                token = asker.prepare(input.case, linked=linked)
                response = input.case.call(**asker.call_options(token))
                self.after_call(response, input.case)
                asker.look(input.case, response, token, self.recorder)
                return StepOutput(response, input.case)

        return Machine

    # ---- after

    def look(
        self, case: AnyCase, response: Response, token: str | None, recorder: Any = None
    ) -> None:
        """Look at an answer, and remember what it shows."""
        label, status = case.operation.label, response.status_code
        if status == 400 and len(response.request.url or "") > LONGEST_REQUEST_LINE:
            return
        self.tally.answers[label][status] += 1
        mode = case.meta.generation.mode.value if case.meta else "none"
        self.tally.modes[mode] += 1
        is_open = case.operation.definition.raw.get("security") == []
        known = token in self._world.people or (token or "").startswith("ts_")
        if not is_open and not known and status != 401:
            self.tally.note(label, f"{status} without a key", _told(case, response))
        if status >= 400 and NUMBER.search(_ID.sub("", response.text)):
            self.tally.note(label, "a number in an error", _told(case, response))
        self._check(case, response, recorder)
        if 200 <= status < 300:
            self._learn(case, response)
            self._do(self._world.after.get(_name(case)))

    def _check(self, case: AnyCase, response: Response, recorder: Any) -> None:
        """What Schemathesis finds wrong; of forms with files it cannot tell which are right."""
        is_wrong = case.meta is not None and any(
            part.mode is GenerationMode.NEGATIVE for part in case.meta.components.values()
        )
        checks = [*CHECKS]
        if is_wrong and _name(case) not in FILES:
            checks.append(negative_data_rejection)
        if recorder is not None:
            checks.append(use_after_free)
        try:
            case.validate_response(response, checks=checks, recorder=recorder)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                what = f"{getattr(failure, 'title', failure)} ({response.status_code})"
                why = str(getattr(failure, "message", ""))[:300]
                label = case.operation.label
                self.tally.note(label, what, f"{why}\n{_told(case, response)}")

    def _learn(self, case: AnyCase, response: Response) -> None:
        if "json" not in response.headers.get("content-type", [""])[0]:
            return
        shown = response.json()
        if not isinstance(shown, dict):
            return
        for name, ids in (("run_id", [shown.get("run_id")]), ("message_id", shown.get("ids"))):
            for value in ids or []:
                self._remember(name, value, {})
        things = shown.get("items", [shown])
        below = re.compile(re.escape(case.path) + r"/{(\w+)}")
        for name in {found[1] for path in self._paths(case) if (found := below.match(path))}:
            called = "id" if name.endswith("_id") else name
            for thing in things[:3] if isinstance(things, list) else []:
                value = thing.get(called) if isinstance(thing, dict) else None
                self._remember(name, value, case.path_parameters or {})

    def _remember(self, name: str, value: object, others: Mapping[str, Any]) -> None:
        if value is not None and str(value) not in self._world.spared:
            items = self._world.known.setdefault(name, [])
            items.append({**others, name: str(value)})
            del items[1:-MOST_KNOWN]  # the first is what there was at the beginning

    def _paths(self, case: AnyCase) -> Sequence[str]:
        paths: Sequence[str] = case.operation.schema.raw_schema["paths"].keys()
        return paths


def _name(case: AnyCase) -> str:
    return str(case.operation.definition.raw["operationId"])


def _told(case: AnyCase, response: Response) -> str:
    sent = json.dumps(case.body, ensure_ascii=False, default=repr)
    return (
        f"{case.method} {case.formatted_path} {case.query} {sent[:600]}"
        f" -> {response.status_code} {response.text[:400]}"
    )
