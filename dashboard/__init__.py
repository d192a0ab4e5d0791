"""The dashboard: upload a log, see what is wrong, understand why.

`server.py` builds the one process, `main.py` is the script that Streamlit runs for a visitor, `views/` draw what
`queries/` read. Nothing in here judges a log: audits are made by `auditor`, and only read here.
"""
