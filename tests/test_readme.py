"""The README says what the program does: every command, option, code, setting and exit code, and runs that are real."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from dbdoctor.cli.app import application
from dbdoctor.cli.explain import all_pages
from dbdoctor.errors import ExitCode
from tests.readme import README, block, generated, record, recorded, unvarying

TEXT = README.read_text()


def commands() -> dict[str, list[str]]:
    root = get_command(application())
    found = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
        found[name] = [option for option in options if option.startswith("-")]
    return found


def test_every_command_and_option_is_documented() -> None:
    for name, options in commands().items():
        assert f"## `dbdoctor {name} " in TEXT, name
        for option in options:
            assert f"`{option}" in TEXT or f", `{option}`" in TEXT, f"{name} {option}"


def test_every_command_and_option_has_help() -> None:
    root = get_command(application())
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.name == "help", f"{name} {parameter.name}"


def test_every_code_is_documented() -> None:
    listed = set(re.findall(r"`([a-z0-9-]+)`", block("codes")))
    assert set(all_pages()) <= listed


def test_every_exit_code_is_documented() -> None:
    for code in ExitCode:
        assert f"| {int(code)} |" in TEXT


def test_generated_parts_are_current() -> None:
    """`python -m tests.readme` writes them anew."""
    for name, text in generated().items():
        assert block(name).strip() == text.strip(), (
            f"the part {name!r} of README.md is stale: run `python -m tests.readme`"
        )


def test_every_page_is_whole() -> None:
    for code, page in all_pages().items():
        assert re.fullmatch(r"[a-z][a-z0-9-]{2,40}", code)
        for part in (page.summary, page.means, page.matters, page.do):
            assert len(part.strip()) > 10, (code, part)
            # A place that nobody filled in; `connect_args={...}` is code.
            assert not re.search(r"\{[a-z_]*\}", part.replace("{where}", "")), (code, part)


@pytest.mark.parametrize("name", recorded())
def test_recorded_runs_are_what_the_program_prints(name: str) -> None:
    """But for figures: `python -m tests.readme --record` writes them anew."""
    assert unvarying(block(name)) == unvarying(record(recorded()[name]))


def test_a_code_has_one_page() -> None:
    """Faults, rules and failures share one name space: `explain CODE`."""
    from dbdoctor import rules
    from dbdoctor.faults import kinds
    from dbdoctor.probe import failures

    names = [*kinds.pages(), *rules.pages(), *failures.pages()]
    assert len(names) == len(set(names))
