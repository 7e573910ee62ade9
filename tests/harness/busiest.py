"""How many submits a simulated carrier has seen in its busiest second."""

import bisect


def busiest_second(instants: list[float]) -> int:
    """The most instants that lie within any one second."""
    ordered = sorted(instants)
    return max(bisect.bisect_left(ordered, t + 1.0) - i for i, t in enumerate(ordered))
