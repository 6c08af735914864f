"""Work that does not end by itself."""

from __future__ import annotations

import time


def hang(*arguments: object) -> None:
    """Take longer than any limit of a test, whatever the arguments."""
    time.sleep(600)
