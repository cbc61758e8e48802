"""One watch on one member: batches of changes in order, none left out, or an error.

It does not resume: where it breaks, its reader lists or watches again, from the revision it has.
A member that falls silent is found out by asking it for progress. The revision of such an
answer is not used: before 3.5.8 etcd may send it ahead of events that it still owes.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

from secretary.core.errors import (
    AccessDenied,
    Compacted,
    LoginExpired,
    StoreError,
    StoreUnavailable,
)
from secretary.store.kv import Batch

SILENCE_S: Final = 2.0
"""After so long without a word the member is asked; after as long again it is given up."""


class Watch:
    """Iterate over it for `Batch`es; `cancel()` from any thread ends the iteration.

    None is yielded where the member has said only that it is there.

    It is made once the member has said that it watches. Making it and iterating raise
    StoreUnavailable when the member is lost, Compacted when changes between the wanted revision
    and now are gone, AccessDenied when we may not read the prefix.
    """

    def __init__(
        self,
        *,
        call: Callable[[Iterator[Any]], Any],
        create: Any,
        progress: Any,
        translate: Callable[[Exception], StoreError],
        close: Callable[[], None],
    ) -> None:
        self._first_revision = int(create.create_request.start_revision)
        self._prefix = create.create_request.key.decode()
        self._progress = progress
        self._translate = translate
        self._close = close
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._requests.put(create)
        self._stream = call(iter(self._requests.get, None))
        self._cancelled = False
        self._reader = threading.Thread(target=self._read, name="etcd-watch", daemon=True)
        self._reader.start()
        try:
            self._check(self._next())
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        self._reader.join(SILENCE_S)
        self._close()

    def cancel(self) -> None:
        """End the iteration; may be called twice."""
        self._cancelled = True
        self._requests.put(None)
        self._stream.cancel()

    def ask(self) -> None:
        """Have the member say that it is there: None is yielded then."""
        self._requests.put(self._progress)

    def __iter__(self) -> Iterator[Batch | None]:
        while (answer := self._next()) is not None:
            self._check(answer)
            if not answer.events:
                yield None
            else:
                yield Batch(
                    answer.events[-1].kv.mod_revision,
                    tuple(
                        (
                            e.kv.key.decode(errors="backslashreplace"),
                            None if e.type == e.DELETE else e.kv.value,
                        )
                        for e in answer.events
                    ),
                )

    def _check(self, answer: Any) -> None:
        """Raise what an answer that ends the watch means."""
        if answer.compact_revision:
            raise Compacted(f"revision {self._first_revision} has been compacted away")
        if answer.created and 0 < answer.header.revision < self._first_revision - 1:
            # The cluster was made anew: its past is not the one that we have seen.
            raise Compacted(f"etcd is at revision {answer.header.revision} again")
        if answer.canceled and "token" in answer.cancel_reason:
            raise LoginExpired(f"watch of {self._prefix}: {answer.cancel_reason}")
        if answer.canceled:
            reason = answer.cancel_reason or "permission denied"
            raise AccessDenied(f"watch of {self._prefix}: {reason}")

    def _next(self) -> Any:
        """Return the next answer; None once cancelled."""
        for last in (False, True):
            try:
                answer = self._answers.get(timeout=SILENCE_S)
            except queue.Empty:
                if last:
                    raise StoreUnavailable("the watched member has fallen silent") from None
                self._requests.put(self._progress)
                continue
            if self._cancelled:
                return None
            if isinstance(answer, Exception):
                raise self._translate(answer) from answer
            return answer
        raise AssertionError("the second silence raises")

    def _read(self) -> None:
        try:
            for answer in self._stream:
                self._answers.put(answer)
            self._answers.put(StoreUnavailable("the watch was closed by its member"))
        except Exception as error:  # whatever gRPC raises is the iterating thread's to judge
            self._answers.put(error)
