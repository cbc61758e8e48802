"""The record on the wire: an `Instance` as JSON bytes, under a key that agrees with it.

Refuses to guess: bytes that are not a whole, valid record of this key are a `RecordError`.
"""

import ipaddress
from typing import Any, Final

import msgspec

from secretary.core.errors import RecordError
from secretary.core.instance import Instance, State
from secretary.core.settings import HostPort

SCHEMA: Final = 1
MOST_BYTES: Final = 8 * 1024
REASON_CHARACTERS: Final = 200
"""What a reason may quote of a value that somebody else wrote."""

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Instance)


def encode(instance: Instance) -> bytes:
    """Return the record's bytes. RecordError when they are more than 8 KiB."""
    value = _encoder.encode(instance)
    if len(value) > MOST_BYTES:
        raise RecordError(
            f"record of {instance.name}: {len(value)} bytes, at most {MOST_BYTES} are allowed;"
            " use fewer or shorter tags and meta"
        )
    return value


def decode(key: str, value: bytes, prefix: str | None = None) -> Instance:
    """Return the instance that `value` under `key` describes. RecordError says what is wrong.

    `prefix` is where the key must stand, directly; anywhere when it is None.
    """
    if len(value) > MOST_BYTES:
        raise RecordError(f"{len(value)} bytes, at most {MOST_BYTES} are allowed")
    try:
        instance = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(str(error)[:REASON_CHARACTERS]) from error
    parts = key.rsplit("/", 2)
    if prefix is not None and parts[0] != prefix:
        raise RecordError(f"the key is not {prefix}/<name>/<ip>")
    if len(parts) != 3 or parts[1] != instance.name:
        raise RecordError(f"the key is not of the service {instance.name!r}")
    if parts[2] not in (instance.ip, instance.addr, instance.id):
        raise RecordError(f"the key names neither {instance.ip} nor {instance.addr} nor the id")
    return instance


def draining(value: bytes) -> bytes:
    """Return the record with the word that its app is being left. RecordError if it is none."""
    try:
        instance = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(str(error)[:REASON_CHARACTERS]) from error
    return encode(msgspec.structs.replace(instance, state=State.DRAINING))


def endpoint_of(value: bytes) -> str | None:
    """Return the `ip:port` that a value seems to speak of, None when it cannot be told.

    Lenient on purpose: it also reads what predecessors of this program wrote (host, ipv4_addr
    and port only, the port perhaps as text), to tell one's own predecessor from a stranger.
    """
    try:
        fields: Any = msgspec.json.decode(value)
        ip = ipaddress.ip_address(fields.get("ipv4_addr") or fields.get("ipv6_addr"))
        return str(HostPort(str(ip), int(fields["port"])))
    except (
        msgspec.DecodeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        return None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the record; `docs/record.schema.json` is made from it."""
    schema = msgspec.json.schema(Instance)
    body = schema["$defs"]["Instance"]
    one_address = [{"required": ["ipv4_addr"]}, {"required": ["ipv6_addr"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of secretary, under <prefix>/<name>/<ip>",
        **{key: value for key, value in body.items() if key != "title"},
        "oneOf": one_address,
        "$defs": {key: value for key, value in schema["$defs"].items() if key != "Instance"},
    }
