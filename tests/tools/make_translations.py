"""Rebuild dbdoctor/probe/translations.json from the message catalogues that are installed here.

    apt-get install postgresql-15        # any major version; its catalogues are /usr/share/locale/*/LC_MESSAGES/
    python -m tests.tools.make_translations

The catalogues are part of PostgreSQL and come under its licence. Of some 6000 messages only those are taken that tell why a
connection was refused or ended. A message that the installed versions do not have (15 lacks what 17 added) is kept with no
translation, so that at least its English is known.
"""

import gettext
import json
import re
from pathlib import Path

# Where Debian's package puts them, or where tests/run.py unpacked it.
PLACES = (Path("/usr/share/locale"), Path(__file__).resolve().parents[2] / ".cache/debian/usr/share/locale")
CATALOGUES = next((place for place in PLACES if (place / "de/LC_MESSAGES/postgres-15.mo").exists()), PLACES[0])
OUTPUT = Path(__file__).resolve().parents[2] / "dbdoctor" / "probe" / "translations.json"

# As PostgreSQL 13 to 18 word them: src/backend/utils/init/{postinit,miscinit}.c, libpq/{auth,hba}.c,
# tcop/{postgres,backend_startup}.c, postmaster/postmaster.c, storage/lmgr/proc.c, commands/user.c.
MESSAGES = (
    # who
    'role "%s" does not exist',
    "role with OID %u does not exist",
    'role "%s" is not permitted to log in',
    "no PostgreSQL user name specified in startup packet",
    # pg_hba.conf
    'no pg_hba.conf entry for host "%s", user "%s", database "%s", %s',
    'no pg_hba.conf entry for replication connection from host "%s", user "%s", %s',
    'pg_hba.conf rejects connection for host "%s", user "%s", database "%s", %s',
    'pg_hba.conf rejects replication connection for host "%s", user "%s", %s',
    # proof
    "connection requires a valid client certificate",
    'password authentication failed for user "%s"',
    '"trust" authentication failed for user "%s"',
    'Ident authentication failed for user "%s"',
    'Peer authentication failed for user "%s"',
    'GSSAPI authentication failed for user "%s"',
    'SSPI authentication failed for user "%s"',
    'PAM authentication failed for user "%s"',
    'BSD authentication failed for user "%s"',
    'LDAP authentication failed for user "%s"',
    'RADIUS authentication failed for user "%s"',
    'OAuth bearer authentication failed for user "%s"',
    'certificate authentication failed for user "%s"',
    'authentication failed for user "%s": host rejected',
    'authentication failed for user "%s": invalid authentication method',
    "canceling authentication due to timeout",
    # the server's state
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    "the database system is not accepting connections",
    "Consistent recovery state has not been yet reached.",
    "Hot standby mode is disabled.",
    # how many
    "sorry, too many clients already",
    "remaining connection slots are reserved for non-replication superuser connections",
    "remaining connection slots are reserved for roles with the %s attribute",
    'remaining connection slots are reserved for roles with privileges of the "%s" role',
    'number of requested standby connections exceeds "max_wal_senders" (currently %d)',
    "number of requested standby connections exceeds max_wal_senders (currently %d)",
    'too many connections for role "%s"',
    'too many connections for database "%s"',
    # which database
    'database "%s" does not exist',
    'database "%s" is not currently accepting connections',
    'database "%s" has disappeared from pg_database',
    'cannot connect to invalid database "%s"',
    'permission denied for database "%s"',
    "permission denied for database %s",
    "User does not have CONNECT privilege.",
    "database locale is incompatible with operating system",
    "must be superuser to connect during database shutdown",
    "must be superuser to connect in binary upgrade mode",
    # ended
    "canceling statement due to statement timeout",
    "canceling statement due to lock timeout",
    "canceling statement due to user request",
    "canceling statement due to conflict with recovery",
    "terminating connection due to administrator command",
    "terminating connection due to idle-session timeout",
    "terminating connection due to idle-in-transaction timeout",
    "terminating connection due to transaction timeout",
    "terminating connection due to conflict with recovery",
    "terminating connection due to immediate shutdown command",
    "terminating connection due to unexpected postmaster exit",
    "terminating connection because of crash of another server process",
    "terminating connection because of unexpected SIGQUIT signal",
)


def installed() -> dict[str, dict[str, str]]:
    """msgid -> language -> msgstr; where several versions are installed, the newest one's."""
    found: dict[str, dict[str, str]] = {message: {} for message in MESSAGES}
    files = sorted(CATALOGUES.glob("*/LC_MESSAGES/postgres-*.mo"), key=_version)
    for path in files:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)
        for message in MESSAGES:
            translated = catalogue.gettext(message)
            if translated != message:
                found[message][path.parts[-3]] = translated
    return {message: dict(sorted(languages.items())) for message, languages in found.items()}


def _version(path: Path) -> int:
    match = re.search(r"-(\d+)\.mo$", path.name)
    return int(match[1]) if match else 0


def main() -> None:
    """Write the file."""
    translations = installed()
    OUTPUT.write_text(json.dumps(translations, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    languages = {language for known in translations.values() for language in known}
    print(f"{len(translations)} messages in {len(languages)} languages: {' '.join(sorted(languages))}")
    for message, known in translations.items():
        if not known:
            print(f"English only: {message}")


if __name__ == "__main__":
    main()
