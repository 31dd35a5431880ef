"""What is shown before sessions are ended goes into tickets, too: no text of a customer's is in it."""

from dbdoctor.cli.leaks_terminate import preview_lines
from dbdoctor.model.leaks import SessionReport, Verdict
from dbdoctor.model.session import IDLE_IN_TRANSACTION, Detail
from dbdoctor.render.style import Style
from dbdoctor.watch.termination import Plan
from tests.rules.watching import in_transaction


def test_the_preview_masks_the_texts_of_statements() -> None:
    session = in_transaction(7)
    detail = Detail(session.changed_at, "UPDATE carts SET owner = 'Smith' WHERE id = 7")
    one = SessionReport(session, Verdict.LEAK, IDLE_IN_TRANSACTION, 9.0, 9.0, 9.0, detail)
    shown = "\n".join(preview_lines(Plan((one,)), Style(colour=False, width=80, terminal=False)))
    assert "UPDATE carts SET owner = '…' WHERE id = 7" in shown
    assert "Smith" not in shown
