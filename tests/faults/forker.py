"""A process that has imported everything and runs ``g2d-bench`` in forks of itself, which can be killed.

A command of the real command line spends seconds on imports before anything can be lost. A fork begins where
those are done, so that a hundred kills take minutes, and all of them fall into work.

Reads one JSON object per line from stdin: ``args``, ``cwd``, ``env`` (null removes a variable), ``out`` and
``err`` (files), ``kill`` (seconds until SIGKILL, null for none), ``signals`` (pairs of seconds and signal
number), ``limit`` (seconds after which it counts as hanging). Answers with ``code`` (negative: the signal
that ended it; null: it was still there at the limit) and ``seconds``.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from contextlib import suppress
from typing import Any


def load() -> None:
    """Import what commands import late."""
    import g2d_bench

    os.environ["HF_HUB_OFFLINE"] = "1"
    for module in pkgutil.walk_packages(g2d_bench.__path__, "g2d_bench."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("sklearn.linear_model", "scipy.optimize", "pandas", "transformers.models.bert", "timm"):
        importlib.import_module(name)


def child(order: dict[str, Any]) -> None:
    """Become the command."""
    os.setsid()
    for name, value in order.get("env", {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(order["cwd"])
    if order.get("largest"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], resource.RLIM_INFINITY))
    for number, name in enumerate((os.devnull, order["out"], order["err"])):
        handle = os.open(name, os.O_RDONLY if not number else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, number)
    from g2d_bench.cli.main import main

    code = 0
    try:
        main(order["args"], prog_name="g2d-bench")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(Exception):
        sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Run what is asked for, one after the other."""
    load()
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        start = time.monotonic()
        process = os.fork()
        if not process:
            child(order)
        events = [(float(at), int(number)) for at, number in order.get("signals", [])]
        if order.get("kill") is not None:
            events.append((float(order["kill"]), int(signal.SIGKILL)))
        events.sort()
        code: int | None = None
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            passed = time.monotonic() - start
            if ended:
                code = os.waitstatus_to_exitcode(status)
                break
            if events and passed >= events[0][0]:
                os.kill(process, events.pop(0)[1])
            if passed > order.get("limit", 300):
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
                break
            time.sleep(0.002)
        print(json.dumps({"code": code, "seconds": time.monotonic() - start}), file=answers, flush=True)


if __name__ == "__main__":
    serve()
