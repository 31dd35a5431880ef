"""What each driver is given for a target, and which driver is taken, from the files that unixODBC reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbdoctor.databases.odbc.connection_string import connection_string
from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.databases.odbc.find import broken, choose, find_all, kind_of, version_of
from dbdoctor.databases.odbc.install import freetds_line, manager_line, manager_missing, platform_family
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.parse import parse_dsn
from tests.servers import odbc

MICROSOFT = Driver("m", "/m/libmsodbcsql-18.6.so.2.1", "microsoft", "18.6.2.1")
FREETDS = Driver("f", "/f/libtdsodbc.so", "freetds")


def read(text: str) -> Target:
    return parse_dsn(text, environment={"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent"})


def given(text: str, driver: Driver, endpoint: Endpoint | None = None) -> dict[str, str]:
    """Keywords and values of the string for this target."""
    return dict(re.findall(r"(\w+)=\{(.*?)\};", connection_string(read(text), driver, endpoint)))


@pytest.mark.parametrize(
    ("server", "microsoft", "freetds"),
    [
        ("h", "tcp:h,1433", ("h", "1433")),
        ("tcp:h,1500", "tcp:h,1500", ("h", "1500")),
        ("(local)", "tcp:localhost,1433", ("localhost", "1433")),
        (".,1500", "tcp:localhost,1500", ("localhost", "1500")),
        ("::1,1500", "tcp:::1,1500", ("::1", "1500")),
        (r"h\sales", r"tcp:h\sales", (r"h\sales", None)),
    ],
)
def test_servers(server: str, microsoft: str, freetds: tuple[str, str | None]) -> None:
    text = f"Driver=x;Server={server};UID=u"
    assert given(text, MICROSOFT)["Server"] == microsoft
    other = given(text, FREETDS)
    assert (other["Server"], other.get("Port")) == freetds


def test_an_instance_goes_to_the_port_that_the_browser_told() -> None:
    told = Endpoint("h", 50000, instance="sales")
    assert given(r"Driver=x;Server=h\sales", MICROSOFT, told)["Server"] == "tcp:h,50000"
    assert given(r"Driver=x;Server=h\sales", FREETDS, told)["Port"] == "50000"


@pytest.mark.parametrize(
    ("text", "microsoft", "freetds"),
    [
        ("", None, "request"),
        ("Encrypt=yes", "yes", "require"),
        ("Encrypt=true", "yes", "require"),
        ("Encrypt=no", "no", "request"),
        ("Encrypt=strict", "strict", "strict"),
        ("Encrypt=mandatory", "mandatory", "require"),
        ("Encrypt=optional", "optional", "request"),
    ],
)
def test_encryption(text: str, microsoft: str | None, freetds: str) -> None:
    whole = f"Driver={{ODBC Driver 18 for SQL Server}};Server=h;{text}"
    assert given(whole, MICROSOFT).get("Encrypt") == microsoft
    assert given(whole, FREETDS)["Encryption"] == freetds


@pytest.mark.parametrize(
    ("written", "encrypt"), [("off", "no"), ("request", "no"), ("require", "yes"), ("strict", "strict")]
)
def test_freetds_words_for_microsofts_driver(written: str, encrypt: str) -> None:
    text = f"Driver=FreeTDS;Server=h;Encryption={written}"
    assert given(text, MICROSOFT)["Encrypt"] == encrypt
    assert given(text, MICROSOFT)["TrustServerCertificate"] == "yes"
    assert given(text, FREETDS)["Encryption"] == written


def test_our_connections_are_alike_whatever_the_application_does() -> None:
    text = "Driver=x;Server=h;MARS_Connection=yes;ConnectRetryCount=3;APP=shop;ApplicationIntent=ReadOnly;MultiSubnetFailover=yes"
    first, second = given(text, MICROSOFT), given(text, FREETDS)
    assert (first["ConnectRetryCount"], first["MultiSubnetFailover"]) == ("0", "yes")
    for keywords in (first, second):
        assert (keywords["APP"], keywords["ApplicationIntent"]) == ("dbdoctor", "ReadOnly")
        assert "MARS_Connection" not in keywords
    assert second["TDS_Version"] == "7.4"


def test_who_logs_in() -> None:
    keywords = given("Driver=x;Server=h;Trusted_Connection=yes", MICROSOFT)
    assert keywords["Trusted_Connection"] == "yes"
    assert "UID" not in keywords
    assert given("Driver=x;Server=h;Trusted_Connection=yes", FREETDS)["Trusted_Connection"] == "Yes"
    text = "Driver=x;Server=h;UID=u;PWD=p;Authentication=ActiveDirectoryPassword"
    assert given(text, MICROSOFT)["Authentication"] == "ActiveDirectoryPassword"
    with pytest.raises(DriverMissingError, match="Authentication"):
        connection_string(read(text), FREETDS)


# --- which driver -------------------------------------------------------------------------------------------------


@pytest.fixture
def libraries(tmp_path: Path) -> dict[str, Path]:
    """Files with the names of drivers."""
    names = {
        "17": "libmsodbcsql-17.10.so.6.1",
        "18.3": "libmsodbcsql-18.3.so.2.1",
        "18.6": "libmsodbcsql-18.6.so.2.1",
        "freetds": "libtdsodbc.so",
        "postgresql": "psqlodbcw.so",
    }
    for name in names.values():
        (tmp_path / name).write_bytes(b"")
    return {key: tmp_path / name for key, name in names.items()}


def register(monkeypatch: pytest.MonkeyPatch, drivers: dict[str, Path]) -> None:
    monkeypatch.setenv("ODBCSYSINI", str(odbc.registry(drivers)))
    monkeypatch.setenv("HOME", "/nonexistent")


def test_the_order(monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Path]) -> None:
    drivers = {name: libraries[name] for name in ("freetds", "postgresql", "17", "18.3", "18.6")}
    register(monkeypatch, drivers)
    names = [driver.name for driver in find_all()]
    assert [name for name in names if name in drivers] == ["18.6", "18.3", "17", "freetds"]
    assert names.index("ODBC Driver 18 for SQL Server") == 3  # the package's, after the registered and before FreeTDS
    assert choose().name == "18.6"


@pytest.mark.parametrize("named", ["17", "freetds", "FreeTDS"])
def test_what_the_target_names_comes_first(
    monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Path], named: str
) -> None:
    register(monkeypatch, {name: libraries[name] for name in ("17", "18.6", "freetds")})
    assert choose(read(f"Driver={named};Server=h")).path == str(libraries[named.lower()])
    path = libraries["17"]
    assert choose(read(f"Driver={path};Server=h")).path == str(path)


def test_what_is_named_and_not_here_gives_way(monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Path]) -> None:
    register(monkeypatch, {"mine": libraries["18.6"], "gone": Path("/nowhere/libmsodbcsql-18.1.so.1.1")})
    assert choose(read("Driver={ODBC Driver 13 for SQL Server};Server=h")).name == "mine"
    assert choose(read("Driver=gone;Server=h")).name == "mine"
    assert [driver.name for driver in broken()] == ["gone"]


def test_ones_own_register_is_read_too(
    monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Path], tmp_path: Path
) -> None:
    register(monkeypatch, {"theirs": libraries["17"]})
    (tmp_path / ".odbcinst.ini").write_text(f"[own]\n  Driver64 = {libraries['18.6']}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {"own", "theirs"} <= {driver.name for driver in find_all()}
    monkeypatch.setenv("ODBCINSTINI", str(tmp_path / "other.ini"))
    (tmp_path / "other.ini").write_text(f"[third]\nDriver={libraries['freetds']}\n")
    assert "theirs" not in {driver.name for driver in find_all()}
    assert "third" in {driver.name for driver in find_all()}


def test_a_driver_registered_by_its_files_name_alone_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, {"FreeTDS": Path("libtdsodbc.so")})
    (found,) = [driver for driver in find_all() if driver.name == "FreeTDS"]
    assert found.path.endswith("libtdsodbc.so")
    assert not broken()


@pytest.mark.parametrize(
    ("path", "kind", "version"),
    [
        ("/opt/microsoft/msodbcsql18/lib64/libmsodbcsql-18.6.so.2.1", "microsoft", "18.6.2.1"),
        ("/opt/microsoft/msodbcsql17/lib64/libmsodbcsql-17.10.so.6.1", "microsoft", "17.10.6.1"),
        ("/opt/homebrew/lib/libmsodbcsql.18.dylib", "microsoft", "18"),
        ("/usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so", "freetds", ""),
        ("libtdsodbc.so", "freetds", ""),
        ("/usr/lib/psqlodbcw.so", "", ""),
    ],
)
def test_what_a_files_name_tells(path: str, kind: str, version: str) -> None:
    assert (kind_of(path), version_of(path)) == (kind, version)


# --- what to install ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "family", "line"),
    [
        ('ID=debian\nVERSION_ID="12"', "debian", "apt-get install unixodbc"),
        ("ID=ubuntu\nID_LIKE=debian", "debian", "apt-get install unixodbc"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "rhel", "dnf install unixODBC"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "suse", "zypper install unixODBC"),
        ("ID=alpine", "alpine", "apk add unixodbc"),
        ("ID=nixos", "", "install unixODBC (libodbc.so.2)"),
    ],
)
def test_the_install_line_is_the_platforms(release: str, family: str, line: str) -> None:
    assert platform_family(release) == family
    assert manager_line(family) == line
    assert "FreeTDS" in freetds_line("") if not family else freetds_line(family)


def test_pyodbc_itself_may_be_missing() -> None:
    assert "pip install pyodbc" in str(manager_missing("No module named 'pyodbc'").help)
    assert "libodbc.so.2" in manager_missing("libodbc.so.2: cannot open shared object file").what
