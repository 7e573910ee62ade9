"""What a process knows of itself: its turns, its clock, and how it is to end."""

from dataclasses import dataclass, field

from service.liveness.exit_codes import ExitCode
from service.liveness.offset import ClockState
from service.liveness.turns import LoopTurns


@dataclass(slots=True)
class Life:
    """Of one process. turns: where its loops say that they go round; clock: as it was last held
    against PostgreSQL's; code: with which it ends once it has stopped.
    """

    turns: LoopTurns = field(default_factory=LoopTurns)
    clock: ClockState = ClockState.FITS
    code: ExitCode = ExitCode.OK

    @property
    def may_hand_off(self) -> bool:
        """Whether the clock is good enough to decide by it what leaves."""
        return self.clock is not ClockState.UNFIT
