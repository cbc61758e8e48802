"""The token, out of the environment or a file, and nowhere else.

It is put into requests at the last moment, by requests itself: no other library, log or error
ever has it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import requests
from requests.auth import AuthBase

from secretary.core.errors import SettingsError

VARIABLE: Final = "DIGITALOCEAN_TOKEN"
FILE_VARIABLE: Final = "DIGITALOCEAN_TOKEN_FILE"
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")


class Token(AuthBase):
    """Signs requests. Given as `auth`, it also keeps out what a netrc says.

    With `is_private` a file that others than its owner may read is refused; `file_option` is what
    names the file to whoever gave it.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        is_private: bool = False,
        file_option: str = FILE_VARIABLE,
    ) -> None:
        """SettingsError when there is none, or none that could be one."""
        self._is_private = is_private
        token, path = environ.get(VARIABLE), environ.get(FILE_VARIABLE)
        if token and path:
            raise SettingsError(f"{VARIABLE} and {FILE_VARIABLE}: set one of the two")
        self._path = path or None
        self.source = file_option if path else VARIABLE
        if self._path is not None:
            self.value = self._read(self._path)
        elif token:
            self.value = _sound(VARIABLE, token.strip())
        else:
            raise SettingsError(f"DigitalOcean needs a token: set {VARIABLE} or {FILE_VARIABLE}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.value}"
        return request

    def renewed(self, rejected: str) -> bool:
        """Read the file again; say whether there is another token now than the one `rejected`."""
        if self._path is not None:
            try:
                self.value = self._read(self._path)
            except SettingsError:
                return False
        return self.value != rejected

    def _read(self, path: str) -> str:
        try:
            with Path(path).open(encoding="ascii", errors="replace") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except OSError as error:
            raise SettingsError(f"{self.source}: {path}: {error.strerror}") from error
        if self._is_private and mode & 0o077:
            wrong = f"mode {mode & 0o7777:04o} lets others read it; chmod 600 {path}"
            raise SettingsError(f"{self.source}: {path}: {wrong}")
        return _sound(f"{self.source}: {path}", text.strip())


def _sound(source: str, token: str) -> str:
    # What cannot stand in a header would be quoted by the error that says so.
    if not _TOKEN.fullmatch(token):
        raise SettingsError(f"{source}: does not hold a token: one word of printable characters")
    return token
