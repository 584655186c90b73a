"""What was sent and what came of it: every reply, dead letter and event has its cause, and one."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.shop import Message, Received
from tests.acceptance.state_machine.asking import SPOILT
from tests.acceptance.state_machine.explain import Happened, Search, Seen, Tables
from tests.acceptance.state_machine.reference_model import ReferenceModel, Request, Row, timeless

ATTEMPTS = {"retries_exhausted": 2}
# What is told each time anew.
UNRECORDED = {*(code for _, code in SPOILT), "id_conflict", "retries_exhausted"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message, as it was meant and as it went out."""

    request: Request
    message: Message


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the faults since the last reckoning allow: more than one copy, another order."""

    copies: bool
    event_copies: bool
    disorder: bool


@dataclass(slots=True)
class Account:
    """Everything from the beginning of a sequence on; `due` counts what was sent lately."""

    model: ReferenceModel = field(default_factory=ReferenceModel)
    sent: dict[str, Sent] = field(default_factory=dict)
    due: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    _codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _replies: list[Received] = field(default_factory=list)
    _told: dict[str, bytes] = field(default_factory=dict)
    _heard: dict[str, bytes] = field(default_factory=dict)
    _sequences: dict[str, list[int]] = field(default_factory=dict)

    def note_replies(self, replies: Iterable[Received]) -> None:
        self._replies.extend(replies)

    def forget_letters(self, keys: Container[str]) -> None:
        """Take note that the dead letters of these messages are gone."""
        self.letters = Counter({one: n for one, n in self.letters.items() if one not in keys})
        self._codes = Counter({one: n for one, n in self._codes.items() if one[0] not in keys})

    @property
    def is_answered(self) -> bool:
        """Whether everything that is due has its reply."""
        return self.due <= Counter(reply.properties.correlation_id for reply in self._replies)

    def reckon(
        self,
        *,
        tables: Tables,
        outcomes: Mapping[str, str],
        letters: Sequence[Received],
        events: Sequence[Received],
        allowed: Allowed,
    ) -> None:
        """Check everything that came since the last time; AssertionError says what is amiss."""
        seen = self._seen(allowed)
        self.model, happened = Search(self.model, seen, tables).result()
        recorded = {key: told.code or "applied" for key, (_, told) in self.model.ledger.items()}
        assert outcomes == recorded, "the ledger"
        self._check_told(happened)
        self._check_letters(letters, happened, allowed)
        self._check_events(events, happened, allowed)
        self._replies.clear()
        self.due.clear()

    def _seen(self, allowed: Allowed) -> list[Seen]:
        """Return each different thing that a request was told, likeliest order first."""
        bodies: dict[str, list[bytes]] = {}
        for reply in self._replies:
            bodies.setdefault(reply.properties.correlation_id, []).append(reply.body)
        places = {key: place for place, key in enumerate(self.due)}
        seen = []
        for key, copies in bodies.items():
            request = self.sent[key].request
            is_right = allowed.copies or len(copies) == self.due[key]
            assert is_right, f"{request} was sent {self.due[key]} times, told {copies}"
            different = [Seen(request, body) for body in dict.fromkeys(copies)]
            if len(different) == 1 and not allowed.disorder:
                different = [Seen(request, copies[0], places[key])]
            seen += different
        return sorted(seen, key=lambda one: places.get(one.request.key, -1))

    def _check_told(self, happened: Sequence[Happened]) -> None:
        """Check that a request is told the same to the byte, however often it asks."""
        for one in happened:
            if not one.request.is_query and one.told.code not in UNRECORDED:
                said = one.seen.partition(b",")[2]  # behind the caller's own correlation id
                name = one.request.id + one.request.content
                first = self._told.setdefault(name, said)
                assert said == first, f"{one.request} was told {said!r}, before that {first!r}"

    def _check_letters(
        self, letters: Sequence[Received], happened: Sequence[Happened], allowed: Allowed
    ) -> None:
        found = Counter(letter.properties.correlation_id for letter in letters)
        new = found - self.letters
        assert self.letters <= found, f"dead letters are gone: {self.letters - found}"
        spoilt = [one for one in happened if _is_dead_lettered(one)]
        due = Counter({one.request.key: self.due[one.request.key] or 1 for one in spoilt})
        is_right = due <= new and new.keys() == due.keys() if allowed.copies else due == new
        assert is_right, f"dead letters of {new}, should be of {due}"
        for letter in letters:
            self._check_letter(letter, self.sent[letter.properties.correlation_id].message)
        # A replay that was killed leaves the old letter, with the code of its time.
        coded = Counter(map(_key_and_code, letters))
        assert {*(coded - self._codes)} == {(one.request.key, one.told.code) for one in spoilt}
        self.letters, self._codes = found, coded

    def _check_letter(self, letter: Received, message: Message) -> None:
        assert letter.body == message.body
        headers = dict(letter.headers)
        found = headers.pop("orderd-code")
        assert headers.pop("orderd-queue") == message.queue
        assert headers.pop("orderd-attempt") == ATTEMPTS.get(found, 0)
        for name in ("orderd-reason", "orderd-failed-at", "orderd-error", "orderd-received"):
            headers.pop(name, None)
        assert headers == (message.properties.headers or {})
        for name in ("message_id", "reply_to", "delivery_mode", "content_type"):
            assert getattr(letter.properties, name) == getattr(message.properties, name), name

    def _check_events(
        self, events: Sequence[Received], happened: Sequence[Happened], allowed: Allowed
    ) -> None:
        due = [(one.request, *event) for one in happened for event in one.events]
        for event in events:
            document = _read(event.body)
            assert document["id"] == event.properties.message_id
            assert document["type"] == event.routing_key
            known = self._heard.setdefault(document["id"], event.body)
            assert known == event.body, f"two events with the id {document['id']}"
            if known is not event.body:
                assert allowed.event_copies, f"a copy of {document}"
                continue
            cause = next((one for one in due if self._is_of(document, *one)), None)
            assert cause is not None, f"nothing happened for {document}, only {due}"
            due.remove(cause)
            self._check_sequence(document, allowed)
        assert not due, f"no event of {due}"

    def _check_sequence(self, document: Row, allowed: Allowed) -> None:
        """Check that no two events of a subject share a sequence, and that it grows."""
        if document["type"].endswith(".refused"):
            assert "sequence" not in document, document
            return
        assert document["sequence"] == str(document["data"]["revision"]), document
        sequence, before = (
            int(document["sequence"]), self._sequences.setdefault(document["subject"], [])
        )  # fmt: skip
        assert sequence not in before, f"a second event with this sequence: {document}"
        is_in_order = not (allowed.event_copies or allowed.disorder)
        assert not is_in_order or sequence > max(before, default=0), f"late: {document}"
        before.append(sequence)

    def _is_of(
        self, document: Row, request: Request, kind: str, subject: str, content: Row
    ) -> bool:
        if (document["type"], document["subject"]) != (kind, subject):
            return False
        caller = self.sent[document["correlationid"]].request
        if (caller.id, caller.content) != (request.id, request.content):
            return False
        told = document["data"]
        if kind.endswith(".refused"):
            said = {"action": told["action"], "code": told["code"], "id": told["request"]["id"]}
            return said == content
        return timeless(told) == content


def _is_dead_lettered(one: Happened) -> bool:
    return bool(one.request.spoilt) or one.told.code in ("id_conflict", "retries_exhausted")


def _key_and_code(letter: Received) -> tuple[str, str]:
    return letter.properties.correlation_id, letter.headers["orderd-code"]


def _read(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)
