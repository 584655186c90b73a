"""`orderctl notify preview`: a notification in words, as the templates would put it."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderd.ctl.context import Context
from orderd.ctl.errors import Failure, Misconfigured, WrongUsage
from orderd.ctl.request import content_of
from orderd.ctl.tables import printable
from orderd.notify.faults import Unrenderable
from orderd.notify.notice import Notice, decode
from orderd.notify.routes import DIGEST, context_of
from orderd.notify.samples import USER, Sample, digest_context, sample_of
from orderd.notify.templates import Rendered, Templates
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES
from orderd.protocol.strict_json import dumps
from orderd.runtime.config_errors import ConfigError
from orderd.shop.outcomes import Invalid

if TYPE_CHECKING:
    from orderd.config.settings import Settings


def preview(options: argparse.Namespace, context: Context) -> int:
    """Print subject and text; raises Misconfigured or Failure for a template that is faulty."""
    settings, console = context.settings, context.console
    known = _context(options, settings)
    templates = _templates(settings)
    text = _rendered(templates, options.type, known)
    if console.is_json:
        said = {"subject": text.subject, "text": text.text}
        document = {"type": options.type, "template": templates.file_of(options.type), **said}
        console.document({**document, "is_sample": options.event is None})
        return ExitCode.DONE
    console.line(f"Subject: {printable(text.subject)}")
    console.line()
    console.write(text.text)
    return ExitCode.DONE


def _context(options: argparse.Namespace, settings: "Settings") -> Mapping[str, Any]:
    """Return what the template can name, of the event that was given or of an example."""
    if options.event is None and options.type == DIGEST:
        return digest_context()
    sample = sample_of(options.type)
    if sample is None:
        raise WrongUsage(f"{options.type!a} is no type of notifications; these are: {_types()}")
    if options.event is not None:
        content = content_of(options.event, "the event")
        if content.get("type") != options.type:
            raise WrongUsage(f"the event has another type than {options.type}")
        sample = Sample(sample.queue, content)
    notice = _notice(sample, settings)
    return context_of(notice, None if notice.user_id is None else USER)


def _notice(sample: Sample, settings: "Settings") -> Notice:
    body = dumps(sample.content).encode(errors="surrogatepass")
    found = decode(sample.queue, body, None, 0, settings.body_bytes_max)
    if isinstance(found, Invalid):
        raise Failure(f"orderd-notify would not take it: {found.code}: {found.message}")
    return found


def _types() -> str:
    own = (each for types in TYPES.values() for each in types)
    return ", ".join([*own, *(f"{prefix}*" for prefix in OPEN_PREFIXES.values()), DIGEST])


def _templates(settings: "Settings") -> Templates:
    try:
        return Templates(settings.notify.templates)
    except ConfigError as error:
        raise Misconfigured("\n".join(map(str, error.problems))) from error


def _rendered(templates: Templates, kind: str, known: Mapping[str, Any]) -> Rendered:
    try:
        return templates.render(kind, known)
    except Unrenderable as fault:
        raise Failure(f"template {fault}") from fault
