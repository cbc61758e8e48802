"""A roster over a Docker that is a fake, watched: what it told, and when it may be let go on."""

from secretary.agent.discovery.roster import Roster
from tests.fakes.docker import FakeDocker
from tests.waiting import wait_for

JOIN_S = 5.0


class Watched:
    """A roster over a fake Docker, and what it told."""

    def __init__(self, docker: FakeDocker, resync_s: float = 1000.0) -> None:
        self.docker = docker
        self.tells: list[list[str]] = []
        self.health_tells: list[str] = []
        self.roster = Roster(docker, self._tell, self.health_tells.append, resync_s)

    def _tell(self) -> None:
        self.tells.append(self.names)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.roster.running]

    def life(self, name: str) -> int:
        return next(each.life for each in self.roster.running if each.name == name)

    def is_up_to_date(self) -> bool:
        return self.roster.seen and self.roster.away is None

    def start(self) -> None:
        self.roster.start()
        wait_for(self.is_up_to_date)

    def wait_for_names(self, *names: str) -> None:
        wait_for(lambda: self.names == list(names), what=f"{names} serve")

    def settle(self) -> None:
        """Wait until everything told so far has been acted on."""
        self.docker.run("zz-last")
        wait_for(lambda: "zz-last" in self.names)
        self.docker.remove("zz-last")
        wait_for(lambda: "zz-last" not in self.names)


def held(watched: Watched) -> None:
    """Bring the roster to wait for the answer about a container, so that events pile up."""
    while watched.docker.asked.acquire(blocking=False):
        pass
    watched.docker.answering.clear()
    watched.docker.run("zy-held")
    assert watched.docker.asked.acquire(timeout=5)


def let_go(watched: Watched) -> None:
    """Answer, after all that has happened meanwhile has come."""
    wait_for(lambda: all(stream.is_read for stream in watched.docker.streams))
    watched.docker.answering.set()
