"""From what a probe saw to everything that is to be said about it: the rules' findings, and what the DSN itself does wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Product, Target, TargetWarning


def judge(examination: Examination) -> Examination:
    """The examination with the rules' findings and skipped rules added."""
    target = examination.target
    here = [] if _driver_missing(examination) else _of_this_machine(target)
    findings = [*_written_wrong(target, here), *examination.findings]
    if examination.facts is None:
        return replace(examination, findings=tuple(findings))
    from dbdoctor.rules import judge_all

    found, skipped = judge_all(examination.facts, examination.target)
    return replace(examination, findings=(*findings, *found), skipped=(*examination.skipped, *skipped))


def with_own_fault(examination: Examination, error: Exception) -> Examination:
    """The examination with a finding that judging it failed, by a fault of ours."""
    from dbdoctor.probe.failures import find

    failure = Failure("internal-error", StageName.QUERY, values={"kind": redact(type(error).__name__)})
    return replace(examination, findings=(*examination.findings, find(failure)))


def of_application(target: Target) -> list[Finding]:
    """What is wrong with the application's way to a server that can be reached: its string, and the ODBC set-up here."""
    return _written_wrong(target, _of_this_machine(target))


def _written_wrong(target: Target, of_this_machine: Sequence[TargetWarning] = ()) -> list[Finding]:
    """A finding for each thing in the DSN or the connect_args that does not do what it says, and what the machine adds."""
    warnings = [*target.warnings, *of_this_machine]
    if not warnings:
        return []
    from dbdoctor.model.finding import Severity
    from dbdoctor.probe.failures import find

    findings = []
    for warning in warnings:
        right = warning.remedy
        advice = f"write `{right}` instead of `{warning.subject}`" if right else f"remove `{warning.subject}`"
        values: dict[str, object] = {
            "option": warning.subject,
            "right_option": right or "connect_timeout",
            "advice": advice,
        }
        failure = Failure(warning.code, StageName.LOGIN, values=values)
        severity = Severity.ERROR if warning.fatal else Severity.WARNING
        finding = find(failure, severity=severity, product=target.product)
        findings.append(finding if right else replace(finding, command=None))
    return findings


def _driver_missing(examination: Examination) -> bool:
    """Then nothing else need be said of drivers."""
    return any(finding.code == "driver-missing" for finding in examination.findings)


def _of_this_machine(target: Target) -> list[TargetWarning]:
    """What the ODBC set-up here does beside what the string says."""
    if target.product is not Product.SQLSERVER:
        return []
    from dbdoctor.databases.odbc.advice import warnings_of

    return warnings_of(target)
