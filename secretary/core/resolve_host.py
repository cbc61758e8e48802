"""Flags, environment and file into what `secretary host` needs. Pure, like `resolve.py`."""

from collections.abc import Mapping

from secretary.core.errors import SettingsError
from secretary.core.option import Scope
from secretary.core.reading import Reading
from secretary.core.resolve import Flags, Resolved, layers, options_of, run_settings
from secretary.core.services import service
from secretary.core.settings import ContainerRules
from secretary.core.settings_file import ParsedFile
from secretary.core.sources import from_environ, from_flags, own_defaults

_VERB = "host"


def resolve_host(flags: Flags, environ: Mapping[str, str], file: ParsedFile | None) -> Resolved:
    """Return the settings; what is given holds for every container whose labels are silent."""
    if file is not None and file.services:
        raise SettingsError(
            f"service[0] in {file.path}: secretary host takes its services from containers;"
            " secretary run takes tables"
        )
    shell = (from_flags(flags), from_environ(environ))
    found = layers(shell, file, own_defaults=own_defaults(_VERB))
    process = Reading(options_of(_VERB, Scope.PROCESS), found)
    known = {option.name for option in options_of(_VERB, Scope.SERVICE)}
    # A name or port in the environment is of one service, and not of all containers.
    below = tuple(
        {name: given for name, given in layer.items() if name in known} for layer in found
    )
    read = Reading(options_of("run", Scope.SERVICE), below, own=())
    service(read)  # what is wrong whatever the labels say is refused at once
    settings = run_settings(
        process, containers=(ContainerRules(ref=None, auto=process["auto"], below=below),)
    )
    return Resolved(settings, (*process.origins(None), *read.origins("containers")))
