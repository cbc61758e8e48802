"""Whether Docker answers, and what has been said of that: each trouble once."""

from secretary.core.errors import DockerError, DockerRefused


class Reach:
    """`away` is why Docker does not answer, None when it does; `errors` counts what failed."""

    def __init__(self) -> None:
        self.away: str | None = None
        self.errors = 0
        self._refusals: set[str] = set()

    def lost(self, error: DockerError) -> bool:
        """Note that it does not answer; return whether that is news."""
        said, is_first = str(error), self.away is None
        self.errors += 1
        self.away = said
        if not isinstance(error, DockerRefused):
            return is_first
        is_new = said not in self._refusals
        self._refusals.add(said)
        return is_new

    def answered(self) -> bool:
        """Note that it answers; return whether that is news."""
        is_news = self.away is not None
        self.away = None
        self._refusals.clear()
        return is_news
