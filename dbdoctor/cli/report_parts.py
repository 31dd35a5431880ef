"""What `recommend` and `simulate-timeout` answer, as values for a report instead of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbdoctor.cli.leaks_answer import Manner
from dbdoctor.cli.options import FailOn
from dbdoctor.cli.recommend_run import RecommendRun, Way
from dbdoctor.cli.simulate_run import SimulateRun
from dbdoctor.model.advice import Advice
from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Target
from dbdoctor.model.trial import SimulationReport

if TYPE_CHECKING:
    from dbdoctor.cli.recommend_options import RecommendOptions
    from dbdoctor.cli.simulate_options import SimulateOptions


class Recommended(RecommendRun):
    """A recommendation from what a report has looked at already; `found` is the answer, once it was asked for.

    `examination` is None where nothing was connected to.
    """

    def __init__(self, asked: RecommendOptions, way: Way, examination: Examination | None) -> None:
        super().__init__(asked, way, None, no_color=True, fail_on=FailOn.NEVER)
        self._seen = examination
        self.found: Advice | None = None

    def _examination(self, target: Target | None) -> Examination | None:
        del target
        return self._seen

    def _print(self, advice: Advice) -> None:
        self.found = advice


class Simulated(SimulateRun):
    """A simulation whose report is kept; where there is none, `why` says why."""

    def __init__(self, target: Target, asked: SimulateOptions, login_timeout: float, *, is_demo: bool) -> None:
        super().__init__(target, asked, Manner(False, True, FailOn.NEVER), login_timeout, is_demo=is_demo)
        self.report: SimulationReport | None = None
        self.why = "not begun, since it was not confirmed"

    def _print(self, report: SimulationReport) -> None:
        self.report = report

    def _no_way_in(self, examination: Examination) -> int:
        del examination
        self.why = "there was no way in any more"
        return 0
