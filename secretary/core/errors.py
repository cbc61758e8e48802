"""Every error that this project raises on purpose, under one root.

    SecretaryError
    |- SettingsError           a wrong option, variable, file or file key (exit 2)
    |  `- AddressError         several addresses that cannot be told apart
    |     `- AddressPending    none: the network may not be up yet
    |- RecordError             a value in the directory that is not a record
    |- ProbeError              a probe that could not be run: says nothing of the app
    |- DockerError             Docker, as the agent asks it for containers
    |  |- DockerAway           it does not answer: try again later
    |  `- DockerRefused        it answered, and refuses us: somebody must act
    |- CloudError              a provider of machines
    |  |- CloudAway            no answer that can be believed: it may have been carried out
    |  |- CloudBusy            told to come back later: it was not carried out
    |  `- CloudRefused         it was not carried out, and somebody must act
    |- ClusterError            Pacemaker, as a pair of balancers asks it
    |- DevError                the throwaway local etcd could not be made
    |- MeterError              a metric that cannot be read
    |- ScaleError              more or fewer machines than a group may have
    |- TemplateError           a template that does not compile, or cannot be rendered
    |- PublishError            a configuration that could not be written
    |  |- CheckRefused         the check command says that it is wrong
    |  `- ReloadFailed         the proxy could not be made to take it up
    `- StoreError              etcd
       |- StoreUnavailable     no member answered in time: try again later
       |- LoginExpired         the token has run out: log in again
       |- StoreMisconfigured   it will not get better by itself: somebody must act
       |  |- TrustRefused      TLS: wrong CA, name or client certificate
       |  |- CredentialsRefused  wrong user or password, or none where one is needed
       |  `- AccessDenied      the user is known, and may not touch this key
       |- StoreFull            etcd is out of space or overloaded: it takes no writes
       |- LeaseLost            the lease expired or was revoked by others
       `- Compacted            the revision asked for is gone: list again

A message is one line: it names the option, key or host, what was found, and the next step.
"""


class SecretaryError(Exception):
    """The root: `except SecretaryError` catches all that this project raises on purpose."""


class SettingsError(SecretaryError):
    """A setting is wrong; nothing has been touched."""


class AddressError(SettingsError):
    """The address to publish cannot be told."""


class AddressPending(AddressError):
    """There is no address that can be published, which a network that comes up would change."""


class RecordError(SecretaryError):
    """A value under the prefix does not decode as a record."""


class ProbeError(SecretaryError):
    """A probe could not be run; nothing is known of the app."""


class DockerError(SecretaryError):
    """Something about Docker."""


class DockerAway(DockerError):
    """The daemon did not answer before the deadline."""


class DockerRefused(DockerError):
    """No permission for the socket, TLS that does not fit, a proxy that filters, no package."""


class CloudError(SecretaryError):
    """Something about a provider of machines."""


class CloudAway(CloudError):
    """No answer, a broken one or a server's fault: what was asked may have been carried out."""


class CloudBusy(CloudError):
    """Asked too often. What was asked was not carried out."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CloudRefused(CloudError):
    """A token, quota, image or size that will not do. What was asked was not carried out."""


class ClusterError(SecretaryError):
    """Pacemaker is not there, did not answer, refused, or has not done in time what it was told."""


class DevError(SecretaryError):
    """The throwaway local etcd could not be made or reached."""


class MeterError(SecretaryError):
    """What decides on the number of machines could not be read; says nothing of the load."""


class ScaleError(SecretaryError):
    """A wish that a group's limits do not allow, or a machine that it does not have."""


class TemplateError(SecretaryError):
    """A template does not compile, or could not be rendered."""


class PublishError(SecretaryError):
    """A configuration could not be written; what was there before stays."""


class CheckRefused(PublishError):
    """The check command refused the configuration."""


class ReloadFailed(PublishError):
    """The proxy could not be made to take up what is written."""


class StoreError(SecretaryError):
    """Something about etcd."""


class StoreUnavailable(StoreError):
    """No member answered before the deadline."""


class LoginExpired(StoreError):
    """The token is no longer valid; a fresh login mends it."""


class StoreMisconfigured(StoreError):
    """etcd answered, and refuses us for a reason that only a person can mend."""


class TrustRefused(StoreMisconfigured):
    """The TLS handshake failed."""


class CredentialsRefused(StoreMisconfigured):
    """The user name or password is wrong or missing."""


class AccessDenied(StoreMisconfigured):
    """The role of this user does not cover the key."""


class StoreFull(StoreError):
    """etcd answers, and takes no writes for now."""


class LeaseLost(StoreError):
    """The lease is gone, and with it every key under it."""


class Compacted(StoreError):
    """The revision has been compacted away."""
