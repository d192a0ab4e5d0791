"""What an audit is told by a file: `[tool.auditor]` in `pyproject.toml`, or `auditor.toml`."""

from auditor.config.discovery import discover
from auditor.config.loading import load
from auditor.config.model import Config

__all__ = ["Config", "discover", "load"]
