"""Those who make machines, each a `Provider` (see `scaler/ports.py`), imported when used."""

from collections.abc import Mapping

from secretary.core.scaling import ProviderName, ScaleGroup
from secretary.scaler.ports import Provider


def open_provider(group: ScaleGroup, environ: Mapping[str, str]) -> Provider:
    """Return the group's provider. SettingsError, or CloudRefused without its library."""
    match group.provider:
        case ProviderName.DOCKER:
            from secretary.scaler.providers.docker import open_docker

            return open_docker(group, environ)
        case ProviderName.DIGITALOCEAN:
            from secretary.scaler.providers.digitalocean import open_digitalocean

            return open_digitalocean(group, environ)
        case ProviderName.OPENSTACK:
            from secretary.scaler.providers.openstack import open_openstack

            return open_openstack(group, environ)
