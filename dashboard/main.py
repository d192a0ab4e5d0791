"""The script that Streamlit runs for every visitor. It is executed, not imported: so it imports by full name."""

from importlib import import_module

from auditor.resources import dashboard_package

import_module(f"{dashboard_package()}.app").render()
