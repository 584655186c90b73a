"""`orderctl notify test`: one message over a channel of the settings, and what became of it."""

import argparse
from contextlib import closing
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from orderd.config.notify import ChannelSettings, LogChannel, SmtpChannel, WebhookChannel
from orderd.ctl.context import Context
from orderd.ctl.errors import Failure, Misconfigured, Unavailable, WrongUsage
from orderd.notify.addresses import mail_address
from orderd.notify.channels.build import build_channel
from orderd.notify.channels.channel import Channel
from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from orderd.notify.message import Message
from orderd.notify.routes import SOURCE
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.notifications import Audience
from orderd.protocol.strict_json import dumps

if TYPE_CHECKING:
    from orderd.config.notify import NotifySettings

TYPE: Final = "notification.test"
_TEXT: Final = "This is a test message of orderctl: the channel {name} works.\n"


def test(options: argparse.Namespace, context: Context) -> int:
    """Send it to each address; raises Unavailable where no server is there, Failure if refused."""
    notify, console = context.settings.notify, context.console
    settings = _channel(notify, options.channel)
    if isinstance(settings, LogChannel):
        raise WrongUsage(f"channel {settings.name} is the log of orderd-notify: nothing to test")
    where = _where(settings)
    taken: list[str] = []
    with closing(_built(notify, settings)) as channel:
        for address in _addresses(settings, options.to):
            _send(channel, _message(settings.name, address), where)
            taken.append(address)
    if console.is_json:
        document = {"channel": settings.name, "kind": settings.kind, "server": where}
        console.document({**document, "to": [each for each in taken if each]})
        return ExitCode.DONE
    for address in taken:
        to = f" for {address}" if address else ""
        console.say(f"channel {settings.name}: {where} has taken the message{to}")
    return ExitCode.DONE


def _channel(notify: "NotifySettings", name: str) -> ChannelSettings:
    for each in notify.channel:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in notify.channel)
    raise WrongUsage(f"no channel {name!a} in the settings; there are: {names}")


def _built(notify: "NotifySettings", settings: ChannelSettings) -> Channel:
    try:
        return build_channel(settings, notify.credential(settings), lambda: None)
    except ValueError as fault:
        raise Misconfigured(f"notify.channel.{settings.name}: {fault}") from fault


def _where(settings: ChannelSettings) -> str:
    if isinstance(settings, SmtpChannel | WebhookChannel):
        return f"{settings.server.host}:{settings.server.port}"
    return ""


def _addresses(settings: ChannelSettings, wanted: str | None) -> tuple[str, ...]:
    """Return to whom it goes: one empty address where the channel has none."""
    if not isinstance(settings, SmtpChannel):
        if wanted is not None:
            raise WrongUsage(f"--to: channel {settings.name} sends to no address")
        return ("",)
    if wanted is not None:
        return (_address(wanted),)
    if settings.audience == Audience.USERS:
        raise WrongUsage(f"--to is required: channel {settings.name} sends to users")
    return settings.to


def _address(text: str) -> str:
    try:
        mail_address(text)
    except ValueError as error:
        raise WrongUsage(f"--to: {error}") from None
    return text


def _message(name: str, to: str) -> Message:
    test_id, text = str(uuid4()), _TEXT.format(name=name)
    event = {
        "specversion": "1.0",
        "id": test_id,
        "source": SOURCE,
        "type": TYPE,
        "datacontenttype": "application/json",
        "data": {"message": text.strip()},
    }
    return Message(
        id=f"test-{test_id}",
        type=TYPE,
        address=to,
        subject="Test of orderd-notify",
        text=text,
        event=dumps(event),
    )


def _send(channel: Channel, message: Message, where: str) -> None:
    told = f"channel {channel.name}: "
    to = f" for {message.address}" if message.address else ""
    try:
        channel.send(message)
    except Unreachable as fault:
        raise Unavailable(f"{told}{fault}") from fault
    except RefusedForNow as fault:
        raise Failure(f"{told}{where} refuses it{to} for now: {fault.answer}") from fault
    except RefusedForGood as fault:
        raise Failure(f"{told}{where} refuses it{to}: {fault.answer}") from fault
