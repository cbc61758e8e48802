"""Who asks, and of which cloud: as openstacksdk reads it, out of the variables or clouds.yaml.

The process's own environment is not looked at: the variables are given. A password's file is read
for each login.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from secretary.core.errors import SettingsError

PASSWORD_FILE: Final = "OS_PASSWORD_FILE"  # noqa: S105 - the name of a variable
_CLOUD: Final = "OS_CLOUD"
_CONFIG_FILE: Final = "OS_CLIENT_CONFIG_FILE"
_OTHERS: Final = (_CLOUD, _CONFIG_FILE, PASSWORD_FILE, "OS_CLIENT_SECURE_FILE", "OS_CLOUD_NAME")
"""Of which none says by itself where a cloud is."""
_NEXT: Final = (
    "set OS_CLOUD and have it in clouds.yaml, or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD_FILE,"
    " OS_PROJECT_NAME and the names of the domains"
)


class Login:
    """The variables of one cloud, and of one of its regions (its only one, where empty)."""

    def __init__(self, environ: Mapping[str, str], region: str) -> None:
        """SettingsError for a password that is given twice."""
        given = {name: value for name, value in environ.items() if name.startswith("OS_") and value}
        self._cloud = given.get(_CLOUD)
        self._config_file = given.get(_CONFIG_FILE)
        self._password_file = given.get(PASSWORD_FILE)
        self._options: dict[str, Any] = {
            name.removeprefix("OS_").lower(): value
            for name, value in given.items()
            if name not in _OTHERS
        }
        if region:
            self._options["region_name"] = region
        if self._password_file and "OS_PASSWORD" in given:
            raise SettingsError(f"OS_PASSWORD and {PASSWORD_FILE}: set one of the two")

    def password(self) -> str | None:
        """Return what is in the file now; None where none is named. SettingsError."""
        if self._password_file is None:
            return None
        try:
            return Path(self._password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise SettingsError(f"{PASSWORD_FILE}: {self._password_file}: {why}") from error

    def cloud(self, session: Any, timeout_s: float) -> Any:
        """Return the library's description of the cloud; it asks nothing. SettingsError.

        `session` is what makes the library's sessions, `timeout_s` for how long each question of
        a login is waited for, whatever the variables and files say.
        """
        from keystoneauth1.exceptions import ClientException
        from openstack.config.loader import CONFIG_FILES, OpenStackConfig
        from openstack.exceptions import SDKException

        is_by_file = self._cloud is not None or not self._options.keys() - {"region_name"}
        options = dict(self._options)
        if is_by_file:
            options = {k: v for k, v in options.items() if k == "region_name"}
        options["api_timeout"] = timeout_s
        if (password := self.password()) is not None:
            options["auth"] = {"password": password}
        files = [self._config_file] if self._config_file else list(CONFIG_FILES)
        try:
            with warnings.catch_warnings(category=Warning, action="ignore"):  # of its own makers'
                config = OpenStackConfig(
                    config_files=files if is_by_file else [],
                    load_envvars=False,
                    load_yaml_config=is_by_file,
                    session_constructor=session,
                )
                found = config.get_one(cloud=self._cloud, **options)
                found.get_session()
        except (ClientException, SDKException, OSError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())
            raise SettingsError(f"OpenStack: {why}; {_NEXT}") from error
        authority = found.config.get("cacert")
        if authority and not Path(authority).expanduser().exists():
            raise SettingsError(f"OpenStack: OS_CACERT: {authority}: there is no such file")
        login = found.config.get("auth", {})
        if not login.get("auth_url"):
            raise SettingsError(f"OpenStack: it is not said where it is; {_NEXT}")
        if login.get("username") and not login.get("password"):
            raise SettingsError(f"OpenStack: there is no password; {_NEXT}")
        return found
