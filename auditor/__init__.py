"""Can I trust this event log?"""

from auditor.__about__ import __version__

__all__ = ["__version__"]
