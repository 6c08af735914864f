"""Opens the files named in a JSON list, without network and with little memory; prints what came of each."""

from __future__ import annotations

import json
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

SPARE = 1 << 30
"""Bytes of address space beyond what the libraries take."""
SECONDS = 60


ATTEMPTS: list[str] = []
"""What reached for the network; libraries may swallow the error that they get."""


def _refuse(*arguments: object, **_: object) -> Any:
    ATTEMPTS.append(repr(arguments[:2]))
    raise OSError("no network here")


def _too_long(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    """Read jobs ``[{"file": ..., "card": ... or null}]`` from standard input, write one result per line."""
    from g2d_bench.cards.encoder import EncoderCard
    from g2d_bench.cards.io import load_card
    from g2d_bench.encoders.checkpoint import open_checkpoint
    from g2d_bench.encoders.load import load_encoder
    from g2d_bench.encoders.text import TextEncoder
    from g2d_bench.errors import InputError

    # Named, so that what it loads is loaded before the limit is set.
    assert TextEncoder.__name__
    jobs = json.load(sys.stdin)
    status = Path("/proc/self/status").read_text()
    size = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (size + SPARE, size + SPARE))
    signal.signal(signal.SIGALRM, _too_long)
    socket.socket = _refuse  # type: ignore[assignment, misc]
    socket.create_connection = _refuse
    socket.getaddrinfo = _refuse
    for job in jobs:
        file = Path(job["file"])
        # Of the processor: how busy the machine is says nothing of a file.
        start = time.process_time()
        signal.alarm(SECONDS)
        try:
            if job["card"] is None:
                open_checkpoint(file)
            else:
                load_encoder(load_card(Path(job["card"]), EncoderCard), checkpoint=file)
            found = "loads"
        except InputError as error:
            found = str(error)
        except BaseException as error:
            found = f"!! {type(error).__name__}: {error}"
        signal.alarm(0)
        if ATTEMPTS:
            found = f"!! network: {ATTEMPTS.pop()}"
        print(json.dumps([found, round(time.process_time() - start, 3)]), flush=True)


if __name__ == "__main__":
    main()
