"""One sending: what became of it, on record and as a verdict on its message."""

import traceback

from orderd.logs.fields import LogFields
from orderd.logs.logger import LogEvent, emit
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable, Unrenderable
from orderd.notify.message import Message
from orderd.notify.notice import Notice
from orderd.notify.records import Entry, Records, Target
from orderd.notify.routes import Route
from orderd.pipeline.policy import Policy
from orderd.protocol.names import UNDELIVERABLE, DeferralCode
from orderd.protocol.notifications import State
from orderd.runtime.crash_points import reach
from orderd.shop import outcomes
from orderd.shop.outcomes import Deferred, Done, Undeliverable, Waiting

Verdict = Done | Deferred | Undeliverable | Waiting | outcomes.Unreachable


class Sender:
    """Sends messages one by one, each between two records.

    A server that is found away is not asked again until `forget_away`.
    """

    def __init__(self, records: Records, policy: Policy) -> None:
        """Keep *records*; *policy* tells when a refusal for now is the last."""
        self._records = records
        self._policy = policy
        self._away: dict[str, str] = {}

    def forget_away(self) -> None:
        """Ask every server again."""
        self._away.clear()

    def send(self, notice: Notice, route: Route, target: Target, message: Message) -> Verdict:
        """Send *message*, which is on record as being sent; raises `DatabaseOutage`."""
        with self._records.sending(notice, target) as entry:
            if entry is None:
                return elsewhere(notice)
            verdict = self._sent(notice, route, entry, message)
        reach("notification_noted", (notice.sender_id,))
        return verdict

    def fail_to_render(
        self, notice: Notice, route: Route, target: Target, fault: Unrenderable
    ) -> Verdict:
        """Note that the text of a sending cannot be made; raises `DatabaseOutage`."""
        text = _told(route, str(fault))
        with self._records.sending(notice, target) as entry:
            if entry is not None:
                entry.note(self._state_now(notice), text)
        trace = "".join(traceback.format_exception(fault))
        return Deferred(DeferralCode.UNEXPECTED, text, trace, place=notice.place)

    def try_channel(self, route: Route, message: Message) -> None:
        """Send it; raises as channels do."""
        if route.name in self._away:
            raise Unreachable(self._away[route.name])
        try:
            route.channel.send(message)
        except Unreachable as fault:
            self._away[route.name] = str(fault)
            raise

    def _sent(self, notice: Notice, route: Route, entry: Entry, message: Message) -> Verdict:
        try:
            self.try_channel(route, message)
        except Unreachable as fault:
            entry.note(State.DEFERRED, str(fault), is_unspent=True)
            return outcomes.Unreachable(route.name, str(fault), place=notice.place)
        except RefusedForNow as fault:
            return self._refused_for_now(notice, route, entry, fault)
        except RefusedForGood as fault:
            entry.note(State.FAILED, fault.answer)
            emit(LogEvent.NOTIFICATION_FAILED, _told(route, fault.answer), **fields_of(notice))
            return undeliverable(route, fault.answer)
        except Exception as error:  # noqa: BLE001 - a fault of the channel costs this message alone
            text = _told(route, f"{type(error).__name__}: {error}")
            entry.note(self._state_now(notice), text)
            trace = "".join(traceback.format_exception(error))
            return Deferred(DeferralCode.UNEXPECTED, text, trace, place=notice.place)
        reach("notification_sent", (notice.sender_id,))
        entry.note(State.SENT)
        if route.channel.kind != "log":
            text = f"sent over {route.name}: {message.subject}"
            emit(LogEvent.NOTIFICATION_SENT, text, **fields_of(notice))
        return Done((route.name,))

    def _state_now(self, notice: Notice) -> State:
        """Return the state of what may be tried again, unless this try was the last."""
        is_last = notice.attempt >= self._policy.attempts_max
        return State.FAILED if is_last else State.DEFERRED

    def _refused_for_now(
        self, notice: Notice, route: Route, entry: Entry, fault: RefusedForNow
    ) -> Deferred:
        entry.note(self._state_now(notice), fault.answer)
        return Deferred(
            DeferralCode.TRANSIENT,
            _told(route, fault.answer),
            place=notice.place,
            delay_s=fault.retry_after_s or 0.0,
        )


def fields_of(notice: Notice) -> LogFields:
    """Return what log lines about the notice have besides."""
    fields: LogFields = {
        "queue": notice.queue,
        "action": notice.type,
        "id": notice.event_id,
        "correlation_id": notice.correlation_id,
    }
    if notice.user_id is not None:
        fields["user_id"] = notice.user_id
    return fields


def undeliverable(route: Route, answer: str) -> Undeliverable:
    """Return the verdict on what the server of *route* has refused for good with *answer*."""
    return Undeliverable(UNDELIVERABLE, _told(route, answer))


def elsewhere(notice: Notice) -> Waiting:
    """Return the verdict on what another daemon sends at this moment."""
    return Waiting("another daemon is sending it", place=notice.place)


def _told(route: Route, answer: str) -> str:
    return f"channel {route.name}: {answer}"
