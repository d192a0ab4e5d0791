#!/usr/bin/env bash
# Ends as the audit did.
set -euo pipefail

case "$EXIT_CODE" in
  0) exit 0 ;;
  1) echo "::error title=auditor::there are new findings at or above fail-on" ;;
  3) echo "::error title=auditor::something could not be judged; that is never green" ;;
  *) echo "::error title=auditor::the audit did not end as it should; see above" ;;
esac
[[ $EXIT_CODE =~ ^[0-9]+$ ]] || exit 2
exit "$EXIT_CODE"
