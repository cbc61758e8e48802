"""`secretary ha`: the group of its commands, each in a file of its own beside this one."""

import click

from secretary.cli.ha.fresh import fresh
from secretary.cli.ha.handover import online, standby
from secretary.cli.ha.reserved_ip import reserved_ip
from secretary.cli.ha.status import status


@click.group()
def ha() -> None:
    """Look after a pair of load balancers under Pacemaker."""


ha.add_command(fresh)
ha.add_command(reserved_ip)
ha.add_command(online)
ha.add_command(standby)
ha.add_command(status)
