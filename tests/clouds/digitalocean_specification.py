"""The public specification of DigitalOcean's API, held against what is asked and answered."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_FILE: Final = Path(__file__).with_name("digitalocean-openapi.json")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def violation(self) -> str | None:
        """Return how it breaks the specification, if it does."""
        try:
            _specification().validate_request(self._mock())
        except OpenAPIError as error:
            return f"request {self.method} {self.path}: {_words(error)}"
        return None

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return how an answer to it breaks the specification, if it does."""
        told = MockResponse(
            body, status_code=status, headers=dict(headers), content_type="application/json"
        )
        try:
            _specification().validate_response(self._mock(), told)
        except OpenAPIError as error:
            return f"answer {status} to {self.method} {self.path}: {_words(error)}"
        return None

    def _mock(self) -> MockRequest:
        return MockRequest(
            "https://api.digitalocean.com",
            self.method.lower(),
            self.path,
            args=dict(self.query),
            headers=dict(self.headers),
            data=self.body or None,
            content_type=self.headers.get("Content-Type", "application/json").split(";")[0],
        )


@functools.cache
def _specification() -> OpenAPI:
    return OpenAPI.from_dict(json.loads(_FILE.read_text()))


def _words(error: BaseException) -> str:
    """Return what is wrong; the library keeps the details in the causes."""
    told = [repr(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        told.append(repr(error))
    for each in getattr(error, "schema_errors", ()):
        told.append(f"{list(each.path)}: {each.message}")
    return "; ".join(told)[:2000]
