"""How many people two plans both mean, by a sample of each (pure).

A sample is the smallest of the hashes of everybody in an audience. Two samples show the same part
of all possible hashes, up to the end of the one that ends first; so how many lie in both there is
to the audience as the part is to the whole. An audience no larger than a sample is known exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SAMPLE = 2_048


@dataclass(frozen=True, slots=True)
class PlanAudience:
    """Whom a plan means: how many, by carrier, and a sample."""

    target: int
    by_carrier: Mapping[str, int]
    sample: Sequence[int]
    hashes: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", frozenset(self.sample))

    @property
    def is_whole(self) -> bool:
        """Whether the sample is the audience."""
        return len(self.sample) < SAMPLE

    def shared(self, other: "PlanAudience") -> int:
        """About how many are in both; exact if both samples are whole.

        A thirtieth off, as a rule, where most of the larger audience is in both, and a sixth where
        one of sixty is.
        """
        cut = [a for a in (self, other) if not a.is_whole]
        both = self.hashes & other.hashes
        if not cut:
            return len(both)
        first = min(cut, key=lambda audience: audience.sample[-1])
        within = sum(hashed <= first.sample[-1] for hashed in both)
        share = within / len(first.sample)
        return min(round(share * first.target), self.target, other.target)
