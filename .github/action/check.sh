#!/usr/bin/env bash
# Runs the audit, keeps its exit code and says what came of it. Ends well whatever was found.
set -euo pipefail

cd -- "$WORKING_DIRECTORY"
scratch=$(mktemp -d "$RUNNER_TEMP/auditor-XXXXXX")
report=$scratch/report.json
file=${SARIF_FILE:-$scratch/auditor.sarif}
[[ $file == /* ]] || file=$PWD/$file

# An output may hold anything but its delimiter, which nobody can foresee.
output() {
  local end
  end=auditor_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s<<%s\n%s\n%s\n' "$1" "$end" "$2" "$end" >> "$GITHUB_OUTPUT"
}

# One item a line, without the blanks around it.
lines() {
  sed -e 's/\r$//' -e 's/^[[:blank:]]*//' -e 's/[[:blank:]]*$//' -e '/^$/d' <<< "$1"
}

# Not mapfile: the bash of macOS does not have it.
options=(--format=github "--report=json=$report")
logs=()
while IFS= read -r line; do [[ -z $line ]] || options+=("$line"); done < <(lines "$ARGS")
while IFS= read -r line; do [[ -z $line ]] || logs+=("$line"); done < <(lines "$PATHS")
[[ -z $FAIL_ON ]] || options+=("--fail-on=$FAIL_ON")
[[ -z $CONFIG ]] || options+=("--config=$CONFIG")
[[ -z $BASELINE ]] || options+=("--baseline=$BASELINE")
[[ $SARIF != true ]] || options+=("--report=sarif=$file")

# A file of an earlier audit must not pass for one of this.
[[ $SARIF != true ]] || rm -f -- "$file"
code=0
"$AUDITOR" check "${options[@]}" -- ${logs[@]+"${logs[@]}"} < /dev/null || code=$?
# Nothing was audited, whatever it says: `--help` among the options.
[[ -f $report || $code != 0 ]] || code=2

output exit-code "$code"
if [[ $SARIF == true && -f $file ]]; then output sarif-file "$file"; fi
if [[ -f $report ]]; then
  "${PYTHON:-python3}" -I - "$report" >> "$GITHUB_OUTPUT" <<'EOF'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    report = json.load(file)
states = report["counts"]["states"]
print(f"verdict={report['verdict']}\nnew={states['new']}\nknown={states['known']}")
EOF
fi
