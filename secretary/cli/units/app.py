"""The text of an app's unit, which brings its secretary along; or of what makes a unit bring it.

All that is given to it has been judged and is in the syntax of unit files by now.
"""

from typing import Final

_PRIVILEGED_PORTS: Final = range(1, 1024)


def in_docker(name: str, settings: str, hint: str) -> str:
    """Return the unit of an app in a container. `settings` are its own lines of [Service]."""
    run = f"--rm --name {name}-%i --publish %i:${{APP_PORT}} $APP_OPTIONS ${{APP_IMAGE}}"
    return f"""\
# {name}, in Docker; the instance is the port on which it can be reached: {name}@8080.
# {hint}

[Unit]
Description={name} on port %i
Documentation=https://docs.docker.com/reference/cli/docker/container/run/
Wants=network-online.target
# Docker's restart ends what it runs: in order, the secretary first, and all of it comes back.
Requires=docker.service
After=network-online.target docker.service
{_with_secretary(name)}
[Service]
{settings}\
EnvironmentFile=-/etc/secretary/{name}.env
EnvironmentFile=-/etc/secretary/{name}-%i.env
# While Docker is away, as during its upgrade, it waits: that is no crash of the app's.
ExecStartPre=/bin/sh -c 'until docker version >/dev/null 2>&1; do sleep 1; done'
# One that an unclean end has left would hold the name.
ExecStartPre=-/bin/sh -c 'docker rm --force {name}-%i >/dev/null 2>&1'
ExecStart=/usr/bin/docker run {run}
ExecStop=-/usr/bin/docker stop --time 20 {name}-%i
ExecStopPost=-/bin/sh -c 'docker rm --force {name}-%i >/dev/null 2>&1'
# That is how a container ends whose app leaves SIGTERM to do its work.
SuccessExitStatus=143
Restart=always
RestartSec=1
TimeoutStartSec=15min
TimeoutStopSec=30
{_end(name, "docker.service")}"""


def of_command(name: str, command: str, user: str | None, port: int, hint: str) -> str:
    """Return the unit of an app that is a command, run by `user` or by one of its own."""
    if user is None:
        who = f"""\
# A user of its own, which may write in /var/lib/{name} and, of what lasts, nowhere else.
DynamicUser=yes
StateDirectory={name}
"""
    else:
        who = f"User={user}\n"
    if port in _PRIVILEGED_PORTS:
        who += "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
    return f"""\
# {name}; the instance is the port on which it can be reached: {name}@8080.
# {hint}

[Unit]
Description={name} on port %i
Wants=network-online.target
After=network-online.target
{_with_secretary(name)}
[Service]
Type=exec
# For an app that takes its port from the environment.
Environment=PORT=%i
EnvironmentFile=-/etc/secretary/{name}.env
EnvironmentFile=-/etc/secretary/{name}-%i.env
ExecStart={command}
{who}\
Restart=always
RestartSec=1
TimeoutStopSec=30
{_end(name)}"""


def bringing(secretary: str) -> str:
    """Return the drop-in that makes a unit bring this secretary along."""
    return f"""\
# Its secretary comes and goes with it, and is started again with it after a crash.
[Unit]
Wants={secretary}
"""


def _with_secretary(name: str) -> str:
    return f"""\
# Its secretary comes and goes with it, and is started again with it after a crash.
Wants={name}-secretary@%i.service
# Some ten crashes within a minute are a fault that a restart does not mend: each counts twice when
# its secretary's start asks for it once more.
StartLimitIntervalSec=60
StartLimitBurst=20
"""


def _end(name: str, *more: str) -> str:
    return f"""
[Install]
WantedBy={" ".join(("multi-user.target", *more))}

[X-Fleet]
Conflicts={name}@*.service
"""
