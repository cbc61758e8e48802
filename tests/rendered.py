"""What a built-in template makes of some records, as `secretary render` would."""

from collections.abc import Mapping
from datetime import UTC, datetime

from secretary.core.instance import Instance
from secretary.core.settings import Builtin, TemplateSettings
from secretary.renderer.outputs import output
from secretary.renderer.services import Roster
from tests.unit.renderer.records import keyed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def render(
    builtin: Builtin,
    *records: Instance,
    vars: Mapping[str, str] | None = None,
    known: tuple[str, ...] = (),
) -> str:
    """`known` are services that had instances once."""
    settings = TemplateSettings(
        dest="/nowhere/dest", builtin=builtin, check_cmd=(), vars=vars or {}
    )
    view = Roster(known).view(7, 0, keyed(records), ())
    return output(settings, {}).template.render(view, NOW)
