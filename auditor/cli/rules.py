"""`auditor rules`: the catalogue."""

from __future__ import annotations

import json

import click

from auditor.check.catalogue import load
from auditor.check.header import Rule


@click.command(short_help="List the rules.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", help="Output format.")
def rules(format_: str) -> None:
    """List every rule: what it finds, how bad that is, and what a log must record for it."""
    catalogue = load()
    if format_ == "json":
        click.echo(json.dumps([_described(rule) for rule in catalogue.values()], indent=2, ensure_ascii=False))
        return
    group = None
    for rule in sorted(catalogue.values(), key=lambda rule: (rule.group, rule.id)):
        if rule.group != group:
            group = rule.group
            click.echo(f"{group}")
        needs = f"  needs {', '.join(rule.needs)}" if rule.needs else ""
        click.echo(f"  {rule.id:<29} {'/'.join(_severities(rule)):<19} {rule.confidence}{needs}")
        click.echo(f"      {rule.title}")


def _severities(rule: Rule) -> list[str]:
    return list(dict.fromkeys(case.severity.value for case in rule.severity))


def _described(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "group": rule.group,
        "title": rule.title,
        "severity": _severities(rule),
        "confidence": rule.confidence.value,
        "about": rule.about,
        "needs": [need.value for need in rule.needs],
        "implies": list(rule.implies),
        "since": rule.since,
        "version": rule.version,
        "params": {param.name: {"default": param.default, "meaning": param.meaning} for param in rule.params},
        "document": rule.document,
    }
