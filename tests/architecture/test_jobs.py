"""Jobs are enqueued by name: each name is a function of exactly one kind of worker, and in step
with the queue it waits in, the command line, and the deployment.
"""

import importlib
import pkgutil
import re
from collections import Counter

import workers
from service.queue import QUEUES, Job, queue_name
from tests.architecture.tree import modules
from workers.__main__ import KINDS
from workers.context import WorkerKind


def kinds() -> dict[str, WorkerKind]:
    """Every module of `workers` that has a KIND."""
    names = [found.name for found in pkgutil.iter_modules(workers.__path__)]
    found = {n: importlib.import_module(f"workers.{n}") for n in names if n != "__main__"}
    return {name: module.KIND for name, module in found.items() if hasattr(module, "KIND")}


def test_a_kind_has_the_name_of_its_module() -> None:
    assert {name: kind.name for name, kind in kinds().items()} == {n: n for n in kinds()}


def test_the_command_line_knows_every_kind() -> None:
    assert kinds() == KINDS


def test_every_job_is_a_function_of_exactly_one_kind_and_every_function_a_job() -> None:
    functions = Counter(job.__name__ for kind in kinds().values() for job in kind.jobs)
    assert functions == Counter(job.value for job in Job)


def test_every_job_waits_in_the_queue_of_the_kind_that_does_it() -> None:
    done_by = {job.__name__: kind.name for kind in kinds().values() for job in kind.jobs}
    assert {job.value: QUEUES[job] for job in Job} == done_by


def test_no_two_kinds_share_a_queue() -> None:
    assert len({queue_name(kind.name) for kind in kinds().values()}) == len(kinds())


MAKES_A_CLIENT = re.compile(r"\b(?:Redis|ArqRedis|create_pool|RedisSettings)\(|\bRedis\.from_")


def test_clients_of_redis_are_made_in_one_module() -> None:
    makers = [path.stem for path in modules() if MAKES_A_CLIENT.search(path.read_text("utf-8"))]
    assert makers == ["queue"]
