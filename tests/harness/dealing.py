"""Which process of a test run gets which test: many at a time at first, single ones in the end.

xdist's own scheduler sends each test that is in no group by itself, counts all that a process has
ever had at each test that it ends, and looks each up in a list: for 12,500 tests that took twelve
seconds of the processor, and more with each test that is added.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

MOST = 16
"""How many units are sent at once at most. A unit is a group, or a test that is in none."""
SHARE = 100
"""A hundredth of what is left is sent, so that no process has much to do when others have ended."""


class Dealer(LoadGroupScheduling):  # type: ignore[misc]  # xdist comes without types
    """Deals the tests in their order; those of a group all go to one process."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._places: dict[str, int] = {}

    def mark_test_complete(
        self,
        node: WorkerController,
        item_index: int,
        duration: float = 0,  # noqa: ARG002  # as xdist calls it
    ) -> None:
        """Forget a unit whose tests have all ended, then see whether the process needs more."""
        assert self.collection is not None
        nodeid = self.collection[item_index]
        scope = self._split_scope(nodeid)
        assigned = self.assigned_work[node]
        assigned[scope][nodeid] = True
        if all(assigned[scope].values()):
            del assigned[scope]
        self._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        assert self.collection is not None
        if not self._places:
            self._places = {nodeid: place for place, nodeid in enumerate(self.collection)}
        assigned = self.assigned_work.setdefault(node, {})
        places: list[int] = []
        for _ in range(max(1, min(MOST, len(self.workqueue) // SHARE))):
            scope, unit = self.workqueue.popitem(last=False)
            assigned[scope] = unit
            places += [self._places[nodeid] for nodeid, ended in unit.items() if not ended]
        node.send_runtest_some(places)
