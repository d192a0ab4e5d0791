"""The published experiment, which shows the bug that fences cure, and that it is cured."""

from auditor.stress.experiment import Outcome, Plan, run_cycle
from auditor.stress.latency import Latency
from auditor.stress.shape import Shape

__all__ = ["Latency", "Outcome", "Plan", "Shape", "run_cycle"]
