"""`orderctl notify preview`: a notification in words, as the templates would put it."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderd.ctl.context import Context
from orderd.ctl.errors import Failure, Misconfigured, WrongUsage
from orderd.ctl.request import content_of
from orderd.ctl.tables import printable
from orderd.notify.faults import Unrenderable
from orderd.notify.notice import Notice, decode
from orderd.notify.records import User
from orderd.notify.routes import DIGEST, rendered, template_names
from orderd.notify.samples import USER, sample, sample_digest
from orderd.notify.templates import DIGEST as DIGEST_TEMPLATE
from orderd.notify.templates import Rendered, Templates
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import NoticeQueue
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES, Audience
from orderd.protocol.strict_json import dumps
from orderd.runtime.config_errors import ConfigError
from orderd.shop.outcomes import Invalid

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_USER: Final = User(is_active=True, **USER)


def preview(options: argparse.Namespace, context: Context) -> int:
    """Print subject and text; raises Misconfigured or Failure for a template that is faulty."""
    settings, console = context.settings, context.console
    if options.event is None and options.type == DIGEST:
        templates = _templates(settings)
        file = templates.file_of(DIGEST_TEMPLATE)
        text = templates.render(DIGEST_TEMPLATE, sample_digest())
    else:
        notice = _notice(options, settings)
        templates = _templates(settings)
        file = templates.file_of(*template_names(notice))
        text = _rendered(templates, notice)
    if console.is_json:
        said = {"subject": text.subject, "text": text.text}
        document = {"type": options.type, "template": file, **said}
        console.document({**document, "is_sample": options.event is None})
        return ExitCode.DONE
    console.line(f"Subject: {printable(text.subject)}")
    console.line()
    console.write(text.text)
    return ExitCode.DONE


def _notice(options: argparse.Namespace, settings: "Settings") -> Notice:
    """Return the event that was given, or an example, as orderd-notify reads it."""
    try:
        example: dict[str, Any] = sample(options.type)
    except ValueError as error:
        raise WrongUsage(f"{error}; these are: {_types()}") from None
    body = json.dumps(example)
    if options.event is not None:
        content = content_of(options.event, "the event")
        if content.get("type") != options.type:
            raise WrongUsage(f"the event has another type than {options.type}")
        body = dumps(content)
    encoded = body.encode(errors="surrogatepass")
    found = decode(_queue_of(options.type), encoded, None, 0, settings.body_bytes_max)
    if isinstance(found, Invalid):
        raise Failure(f"orderd-notify would not take it: {found.code}: {found.message}")
    return found


def _queue_of(kind: str) -> str:
    is_told = kind in TYPES[Audience.USERS] or (
        kind not in TYPES[Audience.ADMINS] and kind.startswith(OPEN_PREFIXES[Audience.USERS])
    )
    return NoticeQueue.USER if is_told else NoticeQueue.ADMIN


def _types() -> str:
    own = (each for types in TYPES.values() for each in types)
    return ", ".join([*own, *(f"{prefix}*" for prefix in OPEN_PREFIXES.values()), DIGEST])


def _templates(settings: "Settings") -> Templates:
    own = settings.notify.templates
    try:
        return Templates.load(Path(own) if own else None)
    except ConfigError as error:
        raise Misconfigured("\n".join(map(str, error.problems))) from error


def _rendered(templates: Templates, notice: Notice) -> Rendered:
    try:
        return rendered(templates, notice, None if notice.user_id is None else _USER)
    except Unrenderable as fault:
        raise Failure(f"template {fault}") from fault
