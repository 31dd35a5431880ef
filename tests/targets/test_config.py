import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dbdoctor.errors import ConfigError
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Endpoint, Target, Workload
from dbdoctor.targets.select import Selection, profile_names, select_targets
from dbdoctor.targets.settings import TARGET, THRESHOLDS, TOP, Kind, Setting, threshold

SECRET = "hunter2-is-a-secret"


class Place:
    """A home and a project directory of their own, and what the environment says of them."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.project = base / "work" / "project"
        self.project.mkdir(parents=True)
        self.environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CONFIG_DIRS": str(base / "xdg"),
            "XDG_STATE_HOME": str(self.home / "state"),
        }
        self.system = base / "xdg" / "dbdoctor" / "config.toml"
        self.user = self.home / "config" / "dbdoctor" / "config.toml"
        self.own = self.project / "dbdoctor.toml"

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        for directory in (path.parent, path.parent.parent):
            directory.chmod(0o755)
        path.write_text(text)
        path.chmod(0o644)
        return path

    def select(self, *words: str, **options: Any) -> Selection:
        options.setdefault("environment", self.environment)
        return select_targets(words, directory=options.pop("directory", self.project), **options)

    def one(self, *words: str, **options: Any) -> Target:
        (target,) = self.select(*words, **options).targets
        assert isinstance(target, Target)
        return target

    def error(self, *words: str, **options: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self.select(*words, **options)
        said = f"{caught.value.what} {caught.value.cause} {caught.value.help}"
        assert SECRET not in said
        assert "SECRET" not in said.replace("SECRET_VARIABLE", "")
        return caught.value


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


# --- discovery and precedence ---


def test_nearest_file_wins_and_all_are_merged(place):
    place.write(place.system, 'format = "json"\nfail_on = "never"\nlogin_timeout = 1\n[targets.far]\nhost = "far"\n')
    place.write(place.user, 'fail_on = "warning"\nlogin_timeout = 2\n[targets.shop]\nuser = "me"\nport = 6000\n')
    place.write(place.own, 'login_timeout = "3s"\n[targets.shop]\nhost = "near"\n')
    selection = place.select("shop", "far")
    assert selection.settings == {"format": "json", "fail_on": "warning", "login_timeout": 3.0}
    assert isinstance(selection.targets[0], Target)
    assert selection.targets[0].shown.startswith("postgresql://me@near:6000/")
    assert selection.sources["login_timeout"].endswith("dbdoctor.toml")
    assert selection.sources["targets.shop.user"].endswith("config.toml")


@pytest.mark.parametrize(("near", "port"), [('dsn = "postgresql://near/x"', 5432), ('host = "near"', 7000)])
def test_the_nearest_way_to_say_where_drops_the_others(place, near, port):
    place.write(place.user, '[targets.shop]\nhost = "far"\nport = 7000\ndatabase = "x"\n')
    place.write(place.own, f"[targets.shop]\n{near}\n")
    assert place.one().endpoints == (Endpoint("near", port),)


def test_found_in_a_directory_above(place):
    place.write(place.project.parent / "dbdoctor.toml", '[targets.shop]\nhost = "above"\n')
    assert place.one().endpoints[0].host == "above"


def test_own_file_before_pyproject_and_pyproject_without_table_is_passed_over(place):
    place.write(place.project.parent / "pyproject.toml", '[tool.dbdoctor.targets.shop]\nhost = "pyproject"\n')
    place.write(place.project / "pyproject.toml", '[project]\ndependencies = ["dbdoctor"]\n[tool.other]\n')
    assert place.one().endpoints[0].host == "pyproject"
    place.write(place.project.parent / "dbdoctor.toml", '[targets.shop]\nhost = "own"\n')
    assert place.one().endpoints[0].host == "own"


def test_config_option_replaces_all_and_no_config_reads_none(place, tmp_path):
    place.write(place.own, "this is not TOML\n")
    explicit = place.write(tmp_path / "other.toml", '[targets.shop]\nhost = "explicit"\n')
    assert place.one(config=explicit).endpoints[0].host == "explicit"
    assert place.one("postgresql://x/y", use_config=False).shown.endswith("@x:5432/y")
    assert "missing.toml" in place.error(config=tmp_path / "missing.toml").what


def test_default_config_home_is_below_home(place):
    place.write(place.home / ".config" / "dbdoctor" / "config.toml", '[targets.shop]\nhost = "home"\n')
    del place.environment["XDG_CONFIG_HOME"]
    assert place.one().endpoints[0].host == "home"


def test_tomllib_is_not_imported_without_a_file(place):
    code = (
        "import sys; from pathlib import Path; from dbdoctor.targets.select import select_targets;"
        "select_targets(['postgresql://a/b'], environment={'HOME': sys.argv[1]}, directory=Path(sys.argv[1]));"
        "print([name for name in ('tomllib', 'difflib', 'subprocess', 'sqlalchemy', 'json') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(place.project)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what is wrong in a file ---


@pytest.mark.parametrize(
    ("text", "what", "help"),
    [
        (f'a = 1\npassword = "{SECRET}\n', "dbdoctor.toml, line 2: not TOML", "line 2"),
        ("[targets.shop\n", "line 1: not TOML", ""),
        ("targets = 5\n", "`targets` in", "[targets]"),
        ("login_timeut = 5\n", "unknown key `login_timeut`", "did you mean `login_timeout`?"),
        ("[targets.shop]\npool_sise = 5\n", "unknown key `pool_sise` in [targets.shop]", "`pool_size`"),
        ("[targets.shop.thresholds]\nslot = 0.5\n", "unknown key `slot` in [targets.shop.thresholds]", "known here"),
        (f'[targets.shop]\n"{SECRET}@!" = 5\n', "unknown key (not a plain word)", ""),
        (f"[targets.shop]\npassword = 5\nuser = '{SECRET}'\n", "`targets.shop.password` in", ""),
        ("[targets.shop]\npool_size = true\n", "`targets.shop.pool_size` in", ""),
        ("[targets.shop]\npool_size = 1.5\n", "must be a whole number", ""),
        ("[targets.shop]\npool_size = -1\n", "must be from 0 to 100000", ""),
        ("[targets.shop]\nport = 99999\n", "must be from 1 to 65535", ""),
        ("[targets.shop]\nlogin_timeout = 'soon'\n", "`targets.shop.login_timeout`", "5s"),
        ("login_timeout = 0\n", "`login_timeout` in", ""),
        ("login_timeout = nan\n", "must be from", ""),
        ("[thresholds]\nslots_error = 90\n", "`thresholds.slots_error` in", ""),
        ("fail_on = 'sometimes'\n", "must be one of error, warning, never", ""),
        ("[targets.shop]\npool_pre_ping = 1\n", "must be true or false", ""),
        ("[targets.shop]\npassword_command = []\n", "`targets.shop.password_command`", ""),
        (f"[targets.shop]\ndsn = 'postgresql://u:{SECRET}@h'\nhost = 'x'\n", "in two ways: `dsn` and `host`", ""),
        (f"[targets.shop]\npassword = '{SECRET}'\npassfile = 'x'\n", "`password` and `passfile`", ""),
        ("[targets.shop]\nengine = 'a:b'\nuser = 'x'\n", "brings its own user", ""),
        (f"[targets.shop.parameters]\npassword = '{SECRET}'\n", "has a key of its own", "`password`"),
        ("[targets.shop.parameters]\nsslmode = true\n", "`targets.shop.parameters.sslmode`", ""),
        ("[targets.demo]\nhost = 'x'\n", "`demo` in [targets]", ""),
        ("[targets.'a b']\nhost = 'x'\n", "is not a name for a profile", ""),
        ("default = 'shop'\n[targets.other]\nhost = 'x'\n", "`default` in", "other"),
        ("[targets.shop]\npool_size = 5\n", "does not say where to connect", "host"),
        ("[targets.shop]\nhost = 'x'\nrate = 5\n", "`rate` needs `use_time`", "use_time"),
        ("[targets.shop]\nhost = 'x'\nburst = 5\n", "`burst` needs `rate`", "use_time"),
        ("[targets.shop]\nhost = 'x'\nrate = 5\nuse_time = '1s'\ntrace = 'x'\n", "demand in two ways", "`trace`"),
        ("[targets.shop]\nhost = 'x'\nrate = true\nuse_time = '1s'\n", "must be a number such as 200", ""),
        (f"[targets.shop]\ndsn = 'postgresql://u:{SECRET}@h:99999/x'\n", "`targets.shop.dsn` in", ""),
    ],
)
def test_mistakes_are_named(place, text, what, help):
    place.write(place.own, text)
    error = place.error()
    assert what in error.what
    assert help in (error.help or "")
    assert "dbdoctor.toml" in error.what


@pytest.mark.parametrize("content", [b"a = '\xff'\n", b"a = " + b"[" * 20000, b"\x00", b"\xff\xfe" + b"x" * 99])
def test_garbage_is_one_error(place, content):
    place.own.write_bytes(content)
    assert "dbdoctor.toml" in place.error("postgresql://a/b").what


def test_bom_and_windows_line_ends(place):
    place.own.write_bytes(b'\xef\xbb\xbf[targets.shop]\r\nhost = "x"\r\n')
    assert place.one().endpoints[0].host == "x"


def test_every_setting_of_the_table_is_taken(place):
    values = {
        Kind.TEXT: '"x"',
        Kind.DURATION: '"5s"',
        Kind.INTEGER: "3",
        Kind.SHARE: "0.5",
        Kind.NUMBER: "2.5",
        Kind.BOOLEAN: "true",
        Kind.TABLE: "{}",
    }

    def line(setting: Setting) -> str:
        return f"{setting.name} = " + (
            f'"{setting.choices[0]}"' if setting.kind is Kind.CHOICE else values[setting.kind]
        )

    left_out = ("dsn", "engine", "service", "password_command", "passfile", "trace")
    lines = [line(setting) for setting in TOP if setting.name not in ("default", "targets", "thresholds")]
    lines += ["[thresholds]", *map(line, THRESHOLDS), "[targets.shop]"]
    lines += [line(setting) for setting in TARGET if setting.name not in left_out]
    place.write(place.own, "\n".join(lines))
    target = place.one()
    assert target.pool == PoolSettings(3, 3, 5.0, 5.0, True, True, None, 3, 3)
    assert target.workload == Workload(2.5, 5.0, 2.5, None, 3, 3, 3)
    assert dict(target.thresholds) == {s.name: 0.5 if s.kind is Kind.SHARE else 5.0 for s in THRESHOLDS}


def test_a_trace_is_found_beside_the_config(place):
    place.write(place.own, '[targets.shop]\nhost = "x"\ntrace = "traces/shop.csv"\n')
    workload = place.one().workload
    assert workload is not None
    assert workload.trace == place.own.parent / "traces" / "shop.csv"


def test_thresholds_have_defaults():
    assert threshold({}, "slots_error") == 0.9
    assert threshold({"slots_error": 0.5}, "slots_error") == 0.5
    with pytest.raises(KeyError):
        threshold({}, "unheard_of")


# --- variables ---


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:${PW}@localhost/shop",
        "postgresql+asyncpg://app:${PW}@localhost/shop",
        "postgresql://app@localhost/shop?password=${PW}",
        "host=localhost user=app dbname=shop password=${PW}",
        "host=localhost user=app dbname=shop password='${PW}'",
        "jdbc:postgresql://localhost/shop?user=app&password=${PW}",
        "Host=localhost;Username=app;Database=shop;Password=${PW}",
        "Driver={PostgreSQL Unicode};Server=localhost;UID=app;Database=shop;PWD={${PW}}",
    ],
)
@pytest.mark.parametrize("password", ["plain", "p@ss/w:rd", "a b;c}d'e\"f", "100%&#?=\\", "$${PW}"])
def test_a_variable_in_the_passwords_place_is_taken_as_it_is(place, dsn, password):
    place.write(place.own, f"[targets.shop]\ndsn = '''{dsn}'''\n")
    target = place.one(environment={**place.environment, "PW": password})
    assert target.password is not None
    assert target.password.reveal() == password
    assert (target.user, target.database, target.endpoints[0].host) == ("app", "shop", "localhost")
    assert password not in repr(target) or len(password) < 4


def test_variables_elsewhere_are_inserted_as_text(place):
    environment = {**place.environment, "URL": "postgresql://app:p%40w@localhost:6000/shop", "PORT": "6001", "N": "7"}
    place.write(
        place.own,
        "[targets.whole]\ndsn = '${URL}'\n[targets.part]\ndsn = 'postgresql://localhost:${PORT}/x'\n"
        "[targets.parts]\nhost = 'localhost'\nport = '${PORT}'\npool_size = '${N}'\ndatabase = 'a$${b}'\n",
    )
    whole, part, parts = (place.one(name, environment=environment) for name in ("whole", "part", "parts"))
    assert whole.password is not None
    assert whole.password.reveal() == "p@w"
    assert part.endpoints[0].port == 6001
    assert parts.endpoints[0].port == 6001
    assert parts.pool == PoolSettings(pool_size=7)
    assert parts.database == "a${b}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dsn = 'postgresql://u:${SECRET_VARIABLE}@localhost'", ("SECRET_VARIABLE is not set", "targets.shop.dsn")),
        ("dsn = 'postgresql://u:${not a name}@localhost'", ("does not begin the name",)),
        ("dsn = 'postgresql://u:${OPEN@localhost'", ("does not begin the name",)),
        (
            "port = '${LETTERS}'\nhost = 'localhost'",
            ("the variable's value is not a whole number", "targets.shop.port"),
        ),
        ("login_timeout = '${LETTERS}'\nhost = 'localhost'", ("targets.shop.login_timeout",)),
    ],
)
def test_variables_gone_wrong(place, line, words):
    place.write(place.own, f"[targets.shop]\n{line}\n")
    error = place.error(environment={**place.environment, "LETTERS": SECRET})
    assert all(word in error.what for word in (*words, "dbdoctor.toml"))


def test_an_unset_variable_of_another_profile_does_not_matter(place):
    place.write(place.own, "[targets.a]\nhost = '${NOWHERE}'\n[targets.b]\nhost = 'localhost'\n")
    assert place.one("b").profile == "b"


# --- password_command ---


def command(place: Place, words: str, extra: str = "") -> Path:
    text = f"[targets.shop]\ndsn = 'postgresql://app@db/shop'\npassword_command = {words}\n{extra}"
    return place.write(place.user, text)


@pytest.mark.parametrize("words", ["'''printf \"%s\\n\" \" a b \" second'''", '["printf", "%s\\n", " a b ", "second"]'])
def test_the_first_line_is_the_password(place, words):
    command(place, words)
    assert place.one().password.reveal() == "a b"


def test_no_shell_and_no_standard_input(place):
    command(place, """["sh", "-c", "read line || echo closed $0", "$HOME;x"]""")
    assert place.one().password.reveal() == "closed $HOME;x"


def test_runs_in_the_files_directory_with_variables_in_single_words(place):
    command(place, "'''cat \"${NAME}\"'''")
    (place.user.parent / "a file").write_text("from a file\n")
    assert place.one(environment={**place.environment, "NAME": "a file"}).password.reveal() == "from a file"


@pytest.mark.parametrize(
    ("words", "what", "cause"),
    [
        (
            f"""["sh", "-c", "echo {SECRET}; echo no such entry {SECRET} >&2; exit 3"]""",
            "exit status 3",
            "no such entry ***",
        ),
        ("""["sh", "-c", "kill -9 $$"]""", "signal 9", None),
        ('["true"]', "no password", None),
        (f'["no-such-program-{SECRET}"]', "could not be run", "No such file or directory"),
        ("'''unclosed \"'''", "is not a command", None),
    ],
)
def test_commands_that_fail(place, words, what, cause):
    command(place, words)
    error = place.error()
    assert what in error.what
    assert "targets.shop.password_command" in error.what
    assert error.cause == cause


def test_a_command_that_hangs_is_ended_with_its_children(place):
    command(place, """["sh", "-c", "sleep 300 & echo $! > pid; wait"]""", "login_timeout = '300ms'\n")
    started = time.monotonic()
    assert "did not end within 300 ms" in place.error().what
    assert time.monotonic() - started < 3
    child = int((place.user.parent / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_commands_of_many_profiles_meet_each_other(place):
    # Each waits for the other's file: only when both run at once does either end.
    script = "touch {0}; until [ -e {1} ]; do :; done; echo {0}"
    place.write(
        place.user,
        "".join(
            f"[targets.{a}]\nhost = 'db'\npassword_command = ['sh', '-c', '{script.format(a, b)}']\n"
            for a, b in (("one", "two"), ("two", "one"))
        ),
    )
    selection = place.select(every_profile=True)
    assert [target.password.reveal() for target in selection.targets] == ["one", "two"]


def test_the_same_command_runs_once(place):
    line = "password_command = ['sh', '-c', 'echo x >> runs; echo pw']\n"
    place.write(place.user, f"[targets.a]\nhost = 'a'\n{line}[targets.b]\nhost = 'b'\n{line}")
    assert len(place.select(every_profile=True).targets) == 2
    assert (place.user.parent / "runs").read_text() == "x\n"


# --- trust ---


RUNS = "[targets.shop]\nhost = 'db'\npassword_command = ['sh', '-c', 'touch ran; echo pw']\n"


def test_a_found_file_runs_nothing_until_trusted_and_a_changed_one_is_not(place):
    place.write(place.own, RUNS)
    error = place.error()
    assert "would run a command (`password_command`: sh)" in error.what
    assert "--trust" in (error.help or "")
    assert not (place.project / "ran").exists()
    assert place.one(trust=True).password.reveal() == "pw"
    assert (place.project / "ran").exists()
    assert place.one().password.reveal() == "pw"
    place.write(place.own, RUNS + "# changed\n")
    assert "not trusted" in place.error().what
    elsewhere = place.write(place.project / "below" / "dbdoctor.toml", RUNS)
    assert "not trusted" in place.error(directory=elsewhere.parent).what


def test_config_option_is_trust(place):
    place.write(place.own, RUNS)
    assert place.one(config=place.own).password.reveal() == "pw"
    place.error()


def test_an_engine_of_a_found_file_is_not_imported(place):
    (place.project / "shopapp.py").write_text("import pathlib\npathlib.Path('ran').touch()\nurl = 'postgresql://h/d'\n")
    place.write(place.own, "[targets.shop]\nengine = 'shopapp:url'\n")
    assert "import and run Python code (`engine`: shopapp:url)" in place.error().what
    assert not (place.project / "ran").exists()
    assert profile_names(environment=place.environment, directory=place.project) == ["shop"]


@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_the_users_file_is_not_trusted_when_others_write_it(place, mode):
    place.write(place.user, RUNS).chmod(mode)
    error = place.error()
    assert "can be written by everybody" in (error.cause or "")
    assert any("not trusted" in note for note in place.select("postgresql://a/b").notes)


def test_a_record_that_others_write_counts_for_nothing(place):
    place.write(place.own, RUNS)
    place.one(trust=True)
    (record,) = (place.home / "state" / "dbdoctor" / "trusted").iterdir()
    record.chmod(0o666)
    assert "not trusted" in place.error().what


@pytest.mark.parametrize(
    ("lines", "does"),
    [
        ("dsn = 'postgresql://u:${SECRET_VARIABLE}@evil/x'", "send the variable SECRET_VARIABLE"),
        ("dsn = 'postgresql://evil/${SECRET_VARIABLE}'", "send the variable SECRET_VARIABLE"),
        ("host = 'evil'\nuser = '${SECRET_VARIABLE}'", "send the variable SECRET_VARIABLE"),
        ("dsn = 'host=localhost hostaddr=192.0.2.1 user=${SECRET_VARIABLE}'", "send the variable"),
        ("host = 'evil'\npassfile = 'x'", "send a password of your files"),
        ("dsn = 'postgresql://evil/x?passfile=x'", "send a password of your files"),
        ("dsn = 'host=db hostaddr=192.0.2.1'", "send a password of your password file"),
        ("dsn = 'host=localhost sslkey=engine:key'", "OpenSSL engine"),
        ("dsn = 'Driver=/repo/evil.so;Server=localhost;Database=x'", "load a driver of its choice"),
    ],
)
def test_what_a_found_file_may_not_send_or_load(place, lines, does):
    place.write(place.own, f"[targets.shop]\n{lines}\n")
    environment = {**place.environment, "SECRET_VARIABLE": SECRET}
    assert does in place.error(environment=environment).what
    place.one(environment=environment, trust=True)


def test_pgpassword_goes_to_no_host_of_a_found_file(place):
    place.write(place.own, "[targets.shop]\nhost = 'evil'\n")
    environment = {**place.environment, "PGPASSWORD": SECRET}
    assert "send PGPASSWORD to evil:5432" in place.error(environment=environment).what
    assert place.one("postgresql://other/x", environment=environment).password.reveal() == SECRET


def test_the_users_password_goes_to_no_host_of_a_found_file(place):
    place.write(place.user, f"[targets.shop]\nhost = 'db'\npassword = '{SECRET}'\n")
    place.write(place.own, "[targets.shop]\nhost = 'evil'\n")
    assert "send the password of" in place.error().what
    place.write(place.own, "[targets.shop]\npool_size = 5\n")
    assert place.one().password.reveal() == SECRET


@pytest.mark.parametrize(
    "line", ["dsn = 'postgresql://u:${PW}@localhost/x'", "host = '/run/postgresql'\npassword = '${PW}'"]
)
def test_a_found_file_may_use_variables_for_this_machine(place, line):
    place.write(place.own, f"[targets.shop]\n{line}\n")
    assert place.one(environment={**place.environment, "PW": "own"}).password.reveal() == "own"


def test_a_found_file_may_bring_its_own_password(place):
    place.write(place.own, "[targets.shop]\ndsn = 'postgresql://u:it%40s@db/x'\n")
    assert place.one(environment={**place.environment, "PGPASSWORD": "it@s"}).password.reveal() == "it@s"
