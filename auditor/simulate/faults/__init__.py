"""Faults: each imitates one way in which a real system has gone wrong."""

from __future__ import annotations

from auditor.simulate.faults import clocks, entities, exports, fences, hooks, queues, reads, rows, slots, writers
from auditor.simulate.faults.base import Fault

_MODULES = (fences, writers, queues, reads, entities, exports, slots, clocks, hooks, rows)

FAULTS: dict[str, type[Fault]] = {
    made.id(): made
    for module in _MODULES
    for name, made in vars(module).items()
    if isinstance(made, type)
    and issubclass(made, Fault)
    and made.__module__ == module.__name__
    and made.rules
    and not name.startswith("_")
}
"""Every fault by its name."""
