"""What a renderer is called: the same at each start, and otherwise than its neighbours."""

import hashlib
import socket

from secretary.core.settings import RenderSettings


def id_of(settings: RenderSettings) -> str:
    """Return the name that it was given, or one of this host and its destinations."""
    if settings.id is not None:
        return settings.id
    destinations = "\0".join(sorted(t.dest for g in settings.groups for t in g.templates))
    digest = hashlib.sha256(destinations.encode()).hexdigest()[:8]
    host = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())
    return f"{host.strip('-')[:50] or 'unnamed'}-{digest}"
