"""What crm_mon has said of a real pair, without its histories; each file is named for the moment.

The pair is that of deploy/pacemaker: lb1 and lb2, with the clone `balancers` and the `address`.
"""

from pathlib import Path
from typing import Final

CAPTURED: Final = Path(__file__).parent / "crm_mon"


def said(moment: str) -> str:
    return (CAPTURED / f"{moment}.xml").read_text()
