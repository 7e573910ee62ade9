"""What listeners of this process have refused since it was last written down (pure)."""

from dataclasses import dataclass, field
from functools import partial

from service.channels.contract.gateway import Listening, Refused


@dataclass(slots=True)
class Refusals:
    """How often each channel refused what, and the address that it refused last."""

    counts: dict[tuple[int, Refused], tuple[int, str]] = field(default_factory=dict)

    def follow(self, channel_id: int, listener: object) -> None:
        """Hear of what a channel's listener refuses."""
        if isinstance(listener, Listening):
            listener.note = partial(self._add, channel_id)

    def _add(self, channel_id: int, why: Refused, address: str) -> None:
        times, _ = self.counts.get((channel_id, why), (0, ""))
        self.counts[channel_id, why] = times + 1, address

    def written(self, counts: dict[tuple[int, Refused], tuple[int, str]]) -> None:
        """Forget what has been written down; what came meanwhile is kept."""
        for key, (times, _) in counts.items():
            now, address = self.counts[key]
            if now == times:
                del self.counts[key]
            else:
                self.counts[key] = now - times, address
