"""The step of the pipeline that sends: each notice on record, sent by its routes, on record."""

import traceback
from collections.abc import Callable, Iterator, Sequence

from orderd.db.faults import LockedOut, RowFault, TransactionConflict
from orderd.logs.logger import LogEvent, emit
from orderd.notify.decoder import Task
from orderd.notify.faults import Unrenderable
from orderd.notify.notice import Notice
from orderd.notify.records import Beginning, Begun, Failed, Records, Target, User
from orderd.notify.routes import Route, Routes
from orderd.notify.sending import Sender, Verdict, elsewhere, fields_of, undeliverable
from orderd.pipeline.results import Result
from orderd.protocol.names import DeferralCode
from orderd.protocol.values import value
from orderd.runtime.crash_points import reach
from orderd.shop.outcomes import Deferred, Done, Undeliverable, Unreachable, Waiting

# Of the verdicts on the sendings of one message the first kind that is there decides.
_WORST_FIRST = (Unreachable, Waiting, Deferred, Undeliverable)


@value
class _Plan:
    """What is due for one notice, to *user* if it is for one; `settled` are verdicts before that.

    These are on what failed in an earlier try, and on what another daemon sends now.
    """

    due: Sequence[tuple[Route, Target]]
    user: User | None
    settled: Sequence[Verdict]


class Deliverer:
    """Sends notices, by the routes that are in force."""

    def __init__(
        self,
        records: Records,
        sender: Sender,
        routes: Callable[[], Routes],
        *,
        assert_able: Callable[[], None],
        keep_alive: Callable[[], None],
    ) -> None:
        """Begin with nothing sent; *assert_able* raises where nothing could be settled now."""
        self._records = records
        self._sender = sender
        self._routes = routes
        self._assert_able = assert_able
        self._keep_alive = keep_alive
        self.has_sent = False

    def commit(self, requests: Sequence[Task]) -> Iterator[list[Result]]:
        """Yield the result of each of *requests*, whose sendings are on record by then.

        Raises `DatabaseOutage`, `BrokerFault` and `Withheld`; of what was not yielded by then, the
        records know what was sent.
        """
        # A server that is away is asked once for all of them.
        self._sender.forget_away()
        for task in requests:
            self._keep_alive()
            self._assert_able()
            yield [Result(task.delivery, task.notice, self._verdict(task), None)]
            self.has_sent = True

    def _verdict(self, task: Task) -> Verdict:
        notice = task.notice
        try:
            return self._send(task)
        except LockedOut as fault:
            return Waiting(str(fault), place=notice.place)
        except TransactionConflict as fault:
            return Deferred(DeferralCode.TRANSIENT, str(fault), place=notice.place)
        except (RowFault, Unrenderable) as fault:
            trace = "".join(traceback.format_exception(fault))
            text = f"{type(fault).__name__}: {fault}"
            return Deferred(DeferralCode.UNEXPECTED, text, trace, place=notice.place)

    def _send(self, task: Task) -> Verdict:
        notice = task.notice
        plan = self._begin(task)
        reach("notification_recorded", (notice.sender_id,))
        verdicts = [*plan.settled]
        for route, target in plan.due:
            try:
                message = route.message(notice, target, plan.user)
            except Unrenderable as fault:
                verdicts.append(self._sender.fail_to_render(notice, route, target, fault))
                continue
            verdicts.append(self._sender.send(notice, route, target, message))
        return _whole(verdicts)

    def _begin(self, task: Task) -> _Plan:
        """Put on record what is about to be sent, what is not and why, what waits for a digest."""
        notice = task.notice
        due: list[tuple[Route, Target]] = []
        settled: list[Verdict] = []
        with self._records.begin() as beginning:
            user = None if notice.user_id is None else beginning.user(notice.user_id)
            obstacle = _obstacle(task, user)
            if obstacle:
                emit(LogEvent.NOTIFICATION_SKIPPED, obstacle, **fields_of(notice))
            for route in self._routes().of(notice):
                for target in route.targets(notice, user):
                    if obstacle:
                        beginning.skip(notice, target, obstacle)
                        continue
                    match _started(beginning, notice, route, target, user):
                        case Begun.DUE:
                            due.append((route, target))
                        case Begun.ELSEWHERE:
                            settled.append(elsewhere(notice))
                        case Failed(error):
                            settled.append(undeliverable(route, error))
        return _Plan(due, user, settled)


def _started(
    beginning: Beginning, notice: Notice, route: Route, target: Target, user: User | None
) -> Begun | Failed:
    if route.digest_s and beginning.is_collecting(notice, target, route.digest_s):
        text = route.rendered(notice, user)
        return beginning.collect(notice, target, text.subject, text.text)
    # A dead letter that comes again begins anew: what failed for good is tried once more.
    return beginning.start(notice, target, may_retry_failed=notice.attempt == 0)


def _obstacle(task: Task, user: User | None) -> str:
    """Return why nothing is to be sent, an empty text where nothing is in the way."""
    if task.is_expired:
        return "expired before it could be sent"
    user_id = task.notice.user_id
    if user_id is None:
        return ""
    if user is None:
        return f"there is no user {user_id}"
    return "" if user.is_active else f"user {user_id} is not active"


def _whole(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a message from those on its sendings."""
    for kind in _WORST_FIRST:
        for verdict in verdicts:
            if isinstance(verdict, kind):
                return verdict
    return Done(tuple(name for each in verdicts if isinstance(each, Done) for name in each.reached))
