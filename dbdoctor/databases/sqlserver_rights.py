"""What one may see of SQL Server, and the right that would show the rest, for this version, edition and tier; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from dbdoctor.databases.sqlserver_edition import Edition
from dbdoctor.databases.sqlserver_text import RefusedError, first_line, first_sentence, quote
from dbdoctor.model.server import Missing

# Where VIEW DATABASE STATE is not enough for most views; elastic pools, too, but those are not told from here.
_SMALL_TIERS = frozenset({"BASIC", "S0", "S1", "ELASTICPOOL"})
_DENIALS = frozenset({229, 262, 297, 300, 371, 15562})
_ABSENCES = frozenset({195, 207, 208, 2812, 4121, 104467})


def is_absence(error: RefusedError) -> bool:
    """Whether the server does not have what was asked for."""
    return error.native in _ABSENCES


class Rights(NamedTuple):
    """`sees_all`: other logins' sessions are shown to us. `login` is the server's name for us, `user` the database's."""

    edition: Edition
    tier: str | None
    login: str | None
    user: str | None
    sees_all: bool

    @classmethod
    def read(
        cls, edition: Edition, answer: Sequence[Any], tier: str | None, login: str | None, user: str | None
    ) -> Self:
        """From the answer to RIGHTS, in which None says that the server knows no such right."""
        state, performance, database, reader = answer or (None,) * 4
        held = (state, performance, reader, database) if edition.is_database else (state, performance)
        # Relatives that know none of these have no such rights: whoever is in sees all there is.
        sees_all = any(held) or all(one is None for one in held)
        return cls(edition, tier, login, user, sees_all)

    @property
    def right(self) -> str:
        """What one needs to see other sessions here."""
        if self.edition.is_database:
            return "VIEW DATABASE STATE"
        return "VIEW SERVER PERFORMANCE STATE" if self.edition.has_performance_state else "VIEW SERVER STATE"

    def grant(self, right: str | None = None) -> str:
        """The statement that gives it to us."""
        right = right or self.right
        return f"GRANT {right} TO {quote(self.user if 'DATABASE' in right else self.login)};"

    def why(self) -> tuple[str, str]:
        """Why other sessions are hidden, and what would show them."""
        return f"{f'the login {self.login}' if self.login else 'this login'} does not have {self.right}", self.grant()

    def grant_kill(self) -> str:
        """The statement that lets us end other logins' sessions."""
        if self.edition.is_database:
            return f"GRANT KILL DATABASE CONNECTION TO {quote(self.user)};"
        return f"GRANT ALTER ANY CONNECTION TO {quote(self.login)};"

    def missing(self, what: str, error: RefusedError) -> Missing:
        """What could not be read because of this error, with the remedy where there is one."""
        if error.native in _DENIALS:
            if self.edition.is_azure_database and (self.tier or "").upper() in _SMALL_TIERS:
                return Missing(
                    what,
                    f"in the service tier {self.tier} only the server's administrators and members of "
                    "##MS_ServerStateReader## may see it: no GRANT in the database does it",
                    f"ALTER SERVER ROLE ##MS_ServerStateReader## ADD MEMBER {quote(self.login)};",
                )
            return Missing(what, f"the server refuses it: {first_line(str(error))}", self._remedy(error))
        if is_absence(error):
            return Missing(what, f"{self.edition.product} does not have it: {first_sentence(str(error))}")
        return Missing(what, f"the server refuses it: {first_line(str(error))}")

    def is_denial(self, missing: Missing) -> bool:
        """Whether the right that shows other sessions would show this, too."""
        # VIEW SERVER STATE contains VIEW SERVER PERFORMANCE STATE, which a managed instance may name.
        contained = ["VIEW SERVER PERFORMANCE STATE"] if self.right == "VIEW SERVER STATE" else []
        return missing.help in {self.grant(right) for right in (self.right, *contained)}

    def _remedy(self, error: RefusedError) -> str:
        """By the server's own words where they name a right that fits here."""
        named = error.right
        if self.edition.is_database and named is not None and "SERVER" in named:
            named = None
        return self.grant(named)
