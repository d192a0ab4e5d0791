"""What an audit is told by a file: `[tool.auditor]` in `pyproject.toml`, or `auditor.toml`."""

from auditor.config.discovery import VARIABLE, discover, found
from auditor.config.loading import load
from auditor.config.model import Config

__all__ = ["VARIABLE", "Config", "discover", "found", "load"]
