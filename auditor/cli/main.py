"""`auditor`: where a command begins and ends, and the one place where errors become exit codes.

Nothing that takes time is imported before the process knows how to end when it is told to.
"""

from __future__ import annotations

import signal
import sys


class _Stop:
    """Ends the process as soon as it is told to, with the code of a shell: 128 and the number of the signal."""

    def __init__(self) -> None:
        self.code: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            # What nohup, or a shell that runs us behind itself, has us ignore stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def __call__(self, number: int, _frame: object) -> None:
        self.code = 128 + number
        # An end like any other: what was copied of a log, payloads and all, is removed on the way out.
        sys.exit(self.code)


def main() -> None:
    """Run the command line. No traceback reaches a user unless AUDITOR_DEBUG is set."""
    stop = _Stop()
    try:
        from auditor.cli.commands import cli  # noqa: PLC0415 - takes time, as above

        code = cli.main(prog_name="auditor", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - all of them end here
        if stop.code is not None:  # what was under way says in its own words that it was broken off
            sys.exit(stop.code)
        from auditor.cli.failures import explained  # noqa: PLC0415 - as above

        code = explained(error)
    sys.exit(stop.code or int(code or 0))
