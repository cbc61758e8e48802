"""What a machine is given at its start: the user's template, read anew for each machine.

`${name}`, `${group}` and `${service}` stand for what they say. Any other dollar stays as it is,
for a shell in the machine; `$$` is one dollar.
"""

from pathlib import Path
from string import Template

from secretary.core.errors import CloudRefused
from secretary.core.scaling import ScaleGroup


def user_data(group: ScaleGroup, name: str, at_most: int = 65535) -> str | None:
    """Return the text for the machine `name`; None where the group has no template.

    CloudRefused names the file that cannot be read, or is more than `at_most` bytes.
    """
    path = group.machine.user_data
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise CloudRefused(f"group {group.name}: user_data: {path}: {why}") from error
    filled = Template(text).safe_substitute(name=name, group=group.name, service=group.service)
    if (size := len(filled.encode())) > at_most:
        raise CloudRefused(
            f"group {group.name}: user_data: {path}: is {size} bytes for {name}, allowed: {at_most}"
        )
    return filled
