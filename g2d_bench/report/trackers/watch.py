"""Several trackers are told of a run, without standing in its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from g2d_bench.progress import tell
from g2d_bench.records.record import Record
from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Pages, Setup, Tracker, told_of


class Watch:
    """Tells several trackers; what goes wrong in one is said once, and the run goes on without it.

    Args:
        trackers: by name.
    """

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = dict(trackers)

    def __bool__(self) -> bool:
        return bool(self._trackers)

    def cell(self, record: Record) -> None:
        """Show a finished cell."""
        if self._trackers:
            told = told_of(record)
            self._each(lambda one: one.cell(told))

    def end(self, pages: Callable[[], Pages]) -> None:
        """Show the run as a whole."""
        if self._trackers:
            made = pages()
            self._each(lambda one: one.end(made))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # Whatever a tool raises, records are what counts.
                del self._trackers[name]
                what = (str(error).splitlines() or [""])[0]
                tell(f"tracker {name}: {type(error).__name__}: {what}; the run goes on without it")


def opened(names: Sequence[str], setup: Setup) -> Watch:
    """Open trackers by name.

    Raises:
        InputError: there is none of a name, or its library is not installed.
    """
    return Watch({name: TRACKERS[name](setup) for name in dict.fromkeys(names)})
