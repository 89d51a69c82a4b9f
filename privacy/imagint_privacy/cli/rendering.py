"""Puts a verification into words on a terminal (rich), into a pipe (plain), or into JSON.

A certificate may be hostile until it is verified: no text of it is ever taken as markup or as a control sequence.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from imagint_privacy.evidence.errors import CertificateRefusedError, ContradictionError
from imagint_privacy.evidence.fields import format_time
from imagint_privacy.evidence.findings import Kind, VerificationReport
from imagint_privacy.evidence.shred import ShredPredicate

WIDTH: Final = 110


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, the sign before each of its lines, their colour, and the lines."""

    heading: str
    sign: str
    colour: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown: the verdict on top, then sections."""

    verdict: str
    colour: str
    sections: Sequence[Section]


def as_json(report: VerificationReport | None, refusal: CertificateRefusedError | None) -> None:
    """Answer for programs; one JSON object in every case."""
    answer: dict[str, Any] = {"verified": False} if report is None else report.as_json()
    if refusal is not None:
        answer["refused"] = {"code": refusal.code, "reason": str(refusal)}
    click.echo(json.dumps(answer, indent=2, ensure_ascii=True))


def as_text(report: VerificationReport | None, refusal: CertificateRefusedError | None) -> None:
    """Answer for people: in colour on a terminal, plain elsewhere."""
    if report is None:
        page = _refused(refusal)
    elif refusal is None:
        page = _verified(report)
    else:
        page = _untrusted(report)
    if sys.stdout.isatty():
        _print_rich(page)
    else:
        _print_plain(page)


def _refused(refusal: CertificateRefusedError | None) -> Page:
    reasons = refusal.problems if isinstance(refusal, ContradictionError) else (str(refusal),)
    advice = "Do not rely on this file. Ask the issuer for the certificate again, and for its public key."
    return Page(
        "REFUSED: this certificate proves nothing.",
        "red",
        [Section("Why", "✗", "red", reasons), Section("What to do", "→", "default", [advice])],
    )


def _verified(report: VerificationReport) -> Page:
    return Page("VERIFIED: " + _outcome(report), "green", [*_findings(report), _identity(report)])


def _untrusted(report: VerificationReport) -> Page:
    advice = [
        "Get the issuer's public key from a source that you trust (not from the same place as the certificate),",
        f"check that its id is {report.key_id}, and run: imagint verify --key evidence.pub FILE",
    ]
    return Page(
        "INTACT, BUT NOT VERIFIED: you named no key to trust, so anybody could have issued it.",
        "yellow",
        [Section("What to do", "→", "yellow", advice), *_findings(report), _identity(report)],
    )


def _outcome(report: VerificationReport) -> str:
    predicate = report.predicate
    if isinstance(predicate, ShredPredicate):
        final = format_time(predicate.irrecoverable_after)
        return f"the issuer certifies the end of tenant {predicate.tenant.name}, final from {final} on."
    if predicate.outcome == "NothingHeld":
        return "the issuer certifies that nothing was held about the subject."
    until = predicate.irrecoverable_after
    return "the issuer certifies the erasure of the subject's data" + (
        f", final from {format_time(until)} on." if until else "."
    )


def _findings(report: VerificationReport) -> list[Section]:
    return [
        Section("Proven, by this file and the public key alone", "✓", "green", report.of(Kind.PROVEN)),
        Section("Claimed, on the issuer's signed word", "•", "default", report.of(Kind.CLAIMED)),
        Section("Not covered", "!", "yellow", report.of(Kind.NOT_COVERED)),
    ]


def _identity(report: VerificationReport) -> Section:
    whose = "tenant digest" if isinstance(report.predicate, ShredPredicate) else "subject commitment"
    return Section(
        "For the record",
        " ",
        "default",
        [f"digest {report.digest}", f"key {report.key_id}", f"{whose} {report.statement.commitment}"],
    )


def _print_plain(page: Page) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these signs gets question marks, not a traceback
    click.echo(page.verdict)
    for section in page.sections:
        click.echo(f"\n{section.heading}")
        for line in section.lines:
            click.echo(f"  {section.sign} {line}")


def _print_rich(page: Page) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDTH)
    console.print(Panel(Text(page.verdict, style=f"bold {page.colour}"), border_style=page.colour))
    for section in page.sections:
        console.print(Text(section.heading, style="bold"))
        grid = Table.grid(padding=(0, 1))
        for line in section.lines:
            grid.add_row(Text(section.sign, style=section.colour), Text(line))
        console.print(Padding(grid, (0, 0, 1, 2)))
