"""What crm_mon has said of a real pair, without its histories; each file is named for the moment.

The pair is that of deploy/pacemaker: lb1 and lb2, with the clone `balancers` and the `address`.
"""

from pathlib import Path
from typing import Final

CAPTURED: Final = Path(__file__).parent / "crm_mon"


def said(moment: str) -> str:
    return (CAPTURED / f"{moment}.xml").read_text()


def banned_from_lb1() -> str:
    """A pair that is well, after a standby that was cut short."""
    which = 'id="cli-ban-address-on-lb1" resource="address" node="lb1"'
    ban = f'<bans><ban {which} weight="-1000000" promoted-only="false"/></bans>'
    return said("healthy").replace("<status ", f"{ban}<status ")
