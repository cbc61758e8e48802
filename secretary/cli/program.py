"""The program: its verbs, and how each ends.

Exit codes: 0; 1 for a failure; 2 for wrong settings, before anything is touched; 130 when
interrupted. Every failure is one line on stderr. A traceback is a bug.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click

from secretary import __version__
from secretary.cli.listing import ls
from secretary.cli.surroundings import Surroundings
from secretary.cli.verbs import check, health, host, run
from secretary.core.errors import SecretaryError, SettingsError

FAILED: Final = 1
WRONG_SETTINGS: Final = 2
INTERRUPTED: Final = 130

EPILOG: Final = (
    "Every option of a verb is also an environment variable, SECRETARY_<OPTION>, and a key of"
    " the TOML file that --config names. A flag wins over a variable, a variable over the file."
)


@dataclass(frozen=True, slots=True)
class Lazy:
    """A verb that is imported only when it is called: `module` holds it as `name`."""

    module: str
    name: str
    help: str


class Verbs(click.Group):
    """Some of them are lazy."""

    lazy: Final[Mapping[str, Lazy]] = {
        "render": Lazy(
            "secretary.cli.rendering", "render", "Keep nginx and haproxy right, from the records."
        ),
        "scale": Lazy(
            "secretary.cli.scaling", "scale", "Make and remove machines, by hand or load."
        ),
        "ha": Lazy("secretary.cli.ha.verb", "ha", "Look after a pair of load balancers."),
        "units": Lazy("secretary.cli.units.verb", "units", "Write systemd units for your own app."),
        "dev": Lazy("secretary.cli.dev", "dev", "Try it all here: etcd, three apps, a live table."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        verb = self.lazy[cmd_name]
        command = getattr(importlib.import_module(verb.module), verb.name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{verb.module}.{verb.name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, verb.get_short_help_str(80)) for name, verb in self.commands.items()]
        rows += [(name, verb.help) for name, verb in self.lazy.items()]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


@click.group(cls=Verbs, epilog=EPILOG)
@click.version_option(__version__, message="secretary %(version)s")
def program() -> None:
    """A secretary sits beside one app and keeps that app's record in etcd true."""


for _verb in (run, host, ls, check, health):
    program.add_command(_verb)


def main(arguments: Sequence[str] | None = None, around: Surroundings | None = None) -> int:
    """Run the program and return its exit status. `arguments` are without the program's name."""
    # gRPC's core would write to stderr by itself; it looks when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries: none of the user's doing
    try:
        status = program.main(
            arguments,
            prog_name="secretary",
            standalone_mode=False,
            obj=around or Surroundings(os.environ),
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_SETTINGS
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except SettingsError as error:
        return _failed(str(error), WRONG_SETTINGS)
    except SecretaryError as error:
        return _failed(str(error), FAILED)
    except OSError as error:
        # What is left in the buffer would only raise once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        quiet = isinstance(error, BrokenPipeError)  # nobody reads on, and need not be told
        return FAILED if quiet else _failed(f"cannot write: {error.strerror}", FAILED)
    return status or 0


def _failed(message: str, status: int) -> int:
    click.echo(f"secretary: {' '.join(message.split())}", err=True)
    return status
