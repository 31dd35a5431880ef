"""From what a probe saw to everything that is to be said about it: the rules' findings, and what the DSN itself does wrong."""

from __future__ import annotations

from dataclasses import replace

from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target


def judge(examination: Examination) -> Examination:
    """The examination with the rules' findings and skipped rules added."""
    findings = [*written_wrong(examination.target), *examination.findings]
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


def written_wrong(target: Target) -> list[Finding]:
    """A finding for each thing in the DSN or the connect_args that does not do what it says."""
    if not target.warnings:
        return []
    from dbdoctor.model.finding import Severity
    from dbdoctor.probe.failures import find

    findings = []
    for warning in target.warnings:
        right = warning.remedy
        advice = f"write `{right}` instead of `{warning.subject}`" if right else f"remove `{warning.subject}`"
        values: dict[str, object] = {
            "option": warning.subject,
            "right_option": right or "connect_timeout",
            "advice": advice,
        }
        failure = Failure(warning.code, StageName.LOGIN, values=values)
        finding = find(failure, severity=Severity.ERROR if warning.fatal else Severity.WARNING)
        findings.append(finding if right else replace(finding, command=None))
    return findings
