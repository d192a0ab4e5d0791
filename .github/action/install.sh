#!/usr/bin/env bash
# Installs auditor where nothing else is, and says where its command is.
set -euo pipefail

case "$VERSION" in
  installed)
    auditor=$(command -v auditor) || { echo "auditor is not on the PATH" >&2; exit 2; }
    echo "auditor=$auditor" >> "$GITHUB_OUTPUT"
    exit 0
    ;;
  "") wanted=$GITHUB_ACTION_PATH ;;
  latest) wanted=workflow-auditor ;;
  *)
    if [[ ! $VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
      echo "version takes X.Y.Z, latest, installed or nothing" >&2
      exit 2
    fi
    wanted=workflow-auditor==$VERSION
    ;;
esac

# -I: a file of the checkout must not pass for a module of Python.
venv=$RUNNER_TEMP/auditor-venv
"${PYTHON:-python3}" -I -m venv --clear "$venv"
"$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check -- "$wanted"
echo "auditor=$venv/bin/auditor" >> "$GITHUB_OUTPUT"
