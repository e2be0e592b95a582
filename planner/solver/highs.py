"""Models in PuLP solved by HiGHS: quiet, and stopped by a deadline, a callback or Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import highspy
import numpy as np
import pulp

from .clock import Clock
from .linear_program import TOLERANCE, silent_stdout

POLL_SECONDS = 0.02
MISSED = 1e-6
"""By which a solution is not the one of the value that is said."""
FEASIBLE = 2
"""HiGHS's kSolutionStatusFeasible."""


class QuietHiGHS(pulp.HiGHS):
    """HiGHS without its banner, which the constructor writes to file descriptor 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            msg=False,
            threads=1,
            primal_feasibility_tolerance=TOLERANCE,
            dual_feasibility_tolerance=TOLERANCE,
            mip_feasibility_tolerance=TOLERANCE,
            **options,
        )

    def createAndConfigureSolver(self, lp: Any) -> None:  # noqa: N802 (pulp's name)
        with silent_stdout():
            super().createAndConfigureSolver(lp)

    def findSolutionValues(self, lp: Any) -> tuple[int, int]:  # noqa: N802 (pulp's name)
        """PuLP's statuses; its own version knows no end by the number of nodes."""
        model, ended = lp.solverModel, highspy.HighsModelStatus
        found = model.getInfo().primal_solution_status == FEASIBLE
        if found:
            for x, value in zip(lp.variables(), model.getSolution().col_value, strict=True):
                x.varValue = value
        status = model.getModelStatus()
        if status in (ended.kInfeasible, ended.kUnboundedOrInfeasible):
            return pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible
        if not found:
            return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound
        proven = status == ended.kOptimal
        return (
            pulp.LpStatusOptimal,
            pulp.LpSolutionOptimal if proven else pulp.LpSolutionIntegerFeasible,
        )


class StoppableHiGHS(QuietHiGHS):
    """Runs in a thread of its own, so that this one can see Ctrl-C and the clock.

    `start` holds a value for each variable of the model: the solution to begin with.
    """

    def __init__(self, clock: Clock, start: Sequence[float] | None = None, **options: Any) -> None:
        super().__init__(timeLimit=clock.left(), **options)
        self._clock, self._start = clock, start

    def callSolver(self, lp: Any) -> None:  # noqa: N802 (pulp's name)
        model = lp.solverModel
        if self._start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = list(self._start)
            model.setSolution(solution)
        self._run(model)
        if self._start is not None and _returned_its_start(model):
            model.clearSolver()
            self._run(model)

    def _run(self, model: Any) -> None:
        model.HandleUserInterrupt = True
        worker = threading.Thread(target=model.run, daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(POLL_SECONDS)
                if self._clock.over():
                    model.cancelSolve()
        except KeyboardInterrupt:
            self._clock.stop()
            model.cancelSolve()
            worker.join()


def _returned_its_start(model: Any) -> bool:
    """Where nothing is left after presolving, HiGHS 1.16 has the optimum's value, but as its
    solution the start."""
    info = model.getInfo()
    if info.primal_solution_status != FEASIBLE:
        return False
    value, cost = info.objective_function_value, np.array(model.getLp().col_cost_)
    return bool(cost @ model.getSolution().col_value - value > MISSED * max(1.0, abs(value)))


def solution_of(lp: Any, variables: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """The whole numbers that HiGHS found, None where it has found none."""
    if lp.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return None
    return np.array([round(x.varValue) for x in variables], dtype=np.int64)
