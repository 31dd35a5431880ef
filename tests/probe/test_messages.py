import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dbdoctor.probe.messages as messages
from dbdoctor.probe.messages import which_message
from tests.tools.make_translations import CATALOGUES, MESSAGES, installed

TRANSLATIONS = json.loads(Path(messages.__file__).with_name("translations.json").read_text(encoding="utf-8"))
FORMS = [("en", message, message) for message in TRANSLATIONS] + [
    (language, message, form) for message, forms in TRANSLATIONS.items() for language, form in forms.items()
]
PLACEHOLDER = re.compile(r"%(?:\d+\$)?[sdum]")
# These say the same, so that either is a right answer to the other.
SAME = {'permission denied for database "%s"', "permission denied for database %s"}


def fill(form: str, *values: str) -> str:
    """Each placeholder takes the next value, round and round."""
    number = -1

    def next_value(_: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return values[number % len(values)]

    return PLACEHOLDER.sub(next_value, form)


def same(found: str | None, message: str) -> bool:
    return found == message or {found, message} == SAME


SAMPLES = [
    ("app", "10.0.0.5", "shop"),
    ("",),
    ("12345",),
    ("a b", "c\nd"),
    ("%s", "%1$s", "%"),
    ('"', '""'),
    ("*", ".*", "\\"),
    ("ünïcødé", "名前", "роль"),
]


@pytest.mark.parametrize("values", SAMPLES, ids=repr)
def test_every_form_is_recognised_and_as_no_other(values):
    wrong = [
        (language, message, found)
        for language, message, form in FORMS
        if not same(found := which_message(fill(form, *values)), message)
    ]
    assert wrong == []


def test_the_first_line_is_enough():
    several = [(message, form) for _, message, form in FORMS if "\n" in form]
    assert several
    for message, form in several:
        assert which_message(fill(form, "app").splitlines()[0]) == message


def test_a_name_made_of_another_message_deceives_nobody():
    wrong = [
        (message, other)
        for message in TRANSLATIONS
        if "%s" in message
        for other in TRANSLATIONS
        if not same(which_message(fill(message, fill(other, "x"))), message)
    ]
    assert wrong == []


def test_ten_other_languages_at_least_and_the_messages_that_need_them():
    languages = {language for language, _, _ in FORMS}
    assert languages >= {"de", "es", "fr", "it", "ja", "ka", "ko", "ru", "sv", "uk", "zh_CN"}
    for message in MESSAGES:
        if message.startswith(('role "', "the database system", "no pg_hba", "connection requires")):
            missing = languages - {"en"} - set(TRANSLATIONS[message])
            assert missing <= ({"zh_CN"} if "accepting" in message else set()), message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Rolle »app« existiert nicht", 'role "%s" does not exist'),
        ("Rolle »app« hat keine Berechtigung zum Einloggen", 'role "%s" is not permitted to log in'),
        ("das Datenbanksystem startet", "the database system is starting up"),
        ("le système de base de données s'arrête", "the database system is shutting down"),
        ("система баз данных запускается", "the database system is starting up"),
        ('ロール"app"は存在しません', 'role "%s" does not exist'),
        ("sorry, too many clients already\n", "sorry, too many clients already"),
    ],
)
def test_messages_as_servers_send_them(text, message):
    assert which_message(text) == message


@pytest.mark.parametrize("language", ["de", "es", "fr", "it", "sv"])
def test_a_server_that_does_not_speak_utf8(language):
    """Its accents are lost on the way; what is left is right or nothing, never something else."""
    found, asked = 0, 0
    for known, message, form in FORMS:
        if known != language or form.isascii():
            continue
        text = fill(form, "app").encode("latin-1", "replace").decode("utf-8", "replace")
        if "\ufffd" not in text:
            continue
        answer = which_message(text)
        assert answer is None or same(answer, message), (text, answer)
        asked += 1
        found += answer is not None
    assert found >= asked * 0.9


@pytest.mark.parametrize(
    "text", ["", " ", "%s", '"', "role", "hello", 'role "x', "\x00", "\ufffd", "\ufffd\ufffd \ufffd"]
)
def test_what_is_no_message_is_none(text):
    assert which_message(text) is None


@pytest.mark.parametrize(
    "text", ['"' * 2**20, 'role "' + '" "' * 350_000, "x" * 2**20, "\ufffd" * 2**20, '", "' * 2**18]
)
def test_a_megabyte_takes_no_time(text):
    which_message("")
    begin = time.process_time()
    assert which_message(text) is None
    assert which_message(f'no pg_hba.conf entry for host "{text}", user "a", database "b", no encryption') is not None
    assert time.process_time() - begin < 1.0


def test_nothing_is_read_before_it_is_needed():
    code = "import dbdoctor.probe.messages as m; assert m._patterns.cache_info().currsize == 0"
    subprocess.run([sys.executable, "-c", f"{code}; import sys; assert 'json' not in sys.modules"], check=True)


def test_the_file_is_what_the_installed_catalogues_say():
    found = installed()
    if not any(found.values()):
        pytest.skip("no catalogue of PostgreSQL is installed here")
    assert list(TRANSLATIONS) == list(MESSAGES)
    if not (CATALOGUES / "de/LC_MESSAGES/postgres-15.mo").exists():
        pytest.skip("another version's catalogues are installed; the file is made from 15")
    assert found == TRANSLATIONS
