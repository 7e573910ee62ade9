"""`python -m workers KIND…`: run one or more kinds of worker in this process until SIGTERM.

`channel:china_mobile` is a channel process for the gateways of one carrier; see `workers.channel`.
It ends with one of `service.liveness.exit_codes`.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import uvloop

from service.campaigns.stops import restored
from service.errors import Misconfigured, TocsinError
from service.liveness.beat import beating
from service.liveness.exit_codes import ExitCode, exit_code_of
from service.liveness.figure_server import figures_served
from service.liveness.watching import watched
from service.logs import configure
from service.parent import end_with_parent
from service.runtime import Runtime, open_runtime
from service.settings import Settings, read_settings
from service.storage.postgres import BY_KEY, open_pool
from service.tracing import tracing
from service.words.catalogues import of_shell
from service.words.phrase import phrase, told
from workers import channel, delivery, expand, imports, scheduler, webhooks
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

KINDS: dict[str, WorkerKind] = {
    module.KIND.name: module.KIND
    for module in (scheduler, expand, channel, delivery, imports, webhooks)
}

log = logging.getLogger("workers")


async def run(settings: Settings, kinds: list[WorkerKind]) -> ExitCode:
    """Run workers of these kinds until SIGTERM or SIGINT, then let them finish; returns the code
    with which the process ends.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with (
        watched(settings) as life,
        open_runtime(settings, life) as runtime,
        open_pool(settings.database_url, size=1) as beats,
        AsyncExitStack() as stack,
    ):
        for sign in (signal.SIGTERM, signal.SIGINT):  # nothing is to be finished before
            loop.add_signal_handler(sign, stop.set)
        shown = figures_served(settings, runtime.figures, life.turns)
        await stack.enter_async_context(shown)
        label = " ".join(kind.label for kind in kinds)
        await stack.enter_async_context(beating(beats, runtime.clock, life, label))
        await restored.check(runtime)  # before anything can leave
        extra: dict[str, Any] = {}
        for kind in kinds:
            if kind.name == channel.KIND.name:
                serving = channel.serving(runtime, stop, kind)
                extra = await stack.enter_async_context(serving)
        life.turns.started()
        log.info("workers started", extra={"kinds": [kind.label for kind in kinds]})
        async with asyncio.TaskGroup() as group:
            group.create_task(_end_turns(runtime, stop))
            for kind in kinds:
                own = await _own_runtime(stack, runtime, kind)
                make = partial(make_worker, own, kind, extra)
                group.create_task(supervise(make, stop, runtime.queue.note_loss))
                if kind is scheduler.KIND:
                    group.create_task(scheduler.keep_turns(own, stop))
    return life.code


async def _end_turns(runtime: Runtime, stop: asyncio.Event) -> None:
    """What goes round no more because it was asked to stop is not late."""
    await stop.wait()
    runtime.life.turns.end()


async def _own_runtime(stack: AsyncExitStack, runtime: Runtime, kind: WorkerKind) -> Runtime:
    """The runtime as a kind has it: with connections of its own, if it is to have some."""
    if not kind.connections:
        return runtime
    url = runtime.settings.database_url
    session = BY_KEY if kind.by_key else {}
    opening = open_pool(url, size=kind.connections, session=session)
    pool = await stack.enter_async_context(opening)
    return replace(runtime, pool=pool)


def stand_back(niceness: int) -> None:
    """Let others on this machine go first (decision 0100), as work that nobody waits for: such
    processes interrupt nobody when they wake. Not every system, or container, allows that.
    """
    os.nice(niceness)
    if niceness and sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError as error:
            log.warning("not scheduled as a batch", extra={"why": str(error)})


def kind_of(word: str) -> WorkerKind:
    """The kind that a word of the command line names.

    Raises:
        Misconfigured: it names channels of no carrier, or the groups of a kind that has none.
    """
    name, colon, groups = word.partition(":")
    if not colon:
        return KINDS[name]
    if name != channel.KIND.name:
        raise Misconfigured(
            phrase(
                "{word}: only {kind_name} is divided by carriers",
                word=word,
                kind_name=channel.KIND.name,
            )
        )
    return channel.kind_for(groups)


def main(arguments: list[str]) -> int:
    """Run the kinds named on the command line; all without names.

    Returns:
        the exit code; a process whose work stands still ends with ExitCode.LATE by itself.
    """
    unknown = [word for word in arguments if word.partition(":")[0] not in KINDS]
    if unknown:
        print(f"unknown kind {unknown[0]!r}; there are: {', '.join(KINDS)}", file=sys.stderr)  # noqa: T201
        return ExitCode.USAGE
    end_with_parent()
    try:
        kinds = [kind_of(word) for word in arguments or KINDS]
        settings = read_settings()
        configure(settings.log_level)
        stand_back(settings.worker_niceness)
        with tracing():
            return uvloop.run(run(settings, kinds))
    except TocsinError as error:
        print(f"tocsin: {told(error.message, of_shell())}", file=sys.stderr)  # noqa: T201
        return exit_code_of(error)
    except KeyboardInterrupt:  # before it took over the signals, as while it waits for PostgreSQL
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
