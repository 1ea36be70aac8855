"""Creates .venv from requirements.lock (`make setup`), or fills a folder with its packages (`make wheels`).

Any Python from 3.9 on runs this file, without a package. docs/install.md describes what it does.

Environment:
    PYTHON: the Python for .venv; else the first of PYTHONS that fits.
    WHEELS: a folder of packages. Setup installs from it without a network; `make wheels` fills it.
"""

from __future__ import annotations

import ast
import fcntl
import functools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
INSTALLED = VENV / ".installed"  # written last; holds the path of .venv, which its scripts hold too
FITS = ("3.11", "3.12", "3.13")  # as in pyproject.toml
PYTHONS = (*(f"python{version}" for version in reversed(FITS)), "python3")
NEEDED = f"Python {', '.join(FITS[:-1])} or {FITS[-1]}"
PATIENCE = 30  # seconds for a command to say its version
HELP = "docs/install.md describes mirrors, proxies and folders of wheels"

# pip's settings, and the names of uv's: the first is set if none of them is. uv reads none of pip's.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "client-cert": ("SSL_CLIENT_CERT",),
}
# What a proxy that pip knows takes the place of: uv has no setting of its own, and these are every program's.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
# What leads uv to another place than .venv, or from another folder than the project's.
UV_ELSEWHERE = (
    *("UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_TARGET", "UV_PREFIX"),
    *("UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"),
)
# What leads pip elsewhere, hides what it knows, or lets it install nothing.
PIP_ELSEWHERE = ("target", "prefix", "root", "user", "python", "dry-run", "isolated", "quiet")
# Imports the first word; the others are packages with their versions.
CHECK = """
import importlib, importlib.metadata, sys
importlib.import_module(sys.argv[1])
for word in sys.argv[2:]:
    name, _, wanted = word.partition("==")
    if importlib.metadata.version(name) != wanted:
        sys.exit(f"{name} is {importlib.metadata.version(name)}, not {wanted}")
"""


def main() -> None:
    """Set up, or with the argument `wheels` download."""
    # make puts .venv's programs first; they shall not be taken for Pythons of the machine.
    folders = os.environ["PATH"].split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(folder for folder in folders if Path(folder) != VENV / "bin")
    wheels = os.environ.get("WHEELS", "")
    if sys.argv[1:] == ["wheels"]:
        with alone():
            make_venv([])
            download(Path(wheels or "wheels").absolute())
        return
    if wheels and not Path(wheels).is_dir():
        fail(f"WHEELS={wheels} is not a folder; `make wheels WHEELS={wheels}` fills one where there is a network")
    source = ["--no-index", "--find-links", str(Path(wheels).absolute())] if wheels else []
    with alone():
        if is_current():
            return
        make_venv(source)
        install(source)
        check()
        INSTALLED.write_text(f"{VENV}\n", encoding="utf-8")


@contextmanager
def alone() -> Iterator[None]:
    """Let one setup at a time run in this folder. A file system without locks has none."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another setup runs in this folder; waiting for it", flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(folder)


def is_current() -> bool:
    """Whether .venv is complete, newer than what it was made from, and has the Python that is wanted."""
    try:
        made = INSTALLED.stat().st_mtime
    except OSError:
        return False
    newer = all(made >= file.stat().st_mtime for file in (LOCK, ROOT / "pyproject.toml"))
    return newer and is_usable(os.environ.get("PYTHON", ""))


def is_usable(wanted: str) -> bool:
    """Whether .venv has a Python that fits and is the wanted one, and lies where it was made."""
    present = minor(version(str(VENV / "bin/python")))
    if present not in FITS or (wanted and present != minor(version(wanted))):
        return False
    place = INSTALLED.read_text(encoding="utf-8").strip() if INSTALLED.exists() else ""
    return place in ("", str(VENV))


def check() -> None:
    """End with a sentence unless .venv's Python imports the project and has what the lock lists for every machine."""
    entries = re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)(.*)$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    names = [f"{name}=={number}" for name, number, rest in entries if ";" not in rest]
    project = re.search(r'^name = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    command = [str(VENV / "bin/python"), "-I", "-c", CHECK, project[1] if project else "", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        fail(
            f"{VENV} is not complete after the installation ({reason}); a setting of pip or uv may lead elsewhere: "
            "`pip config list` and uv.toml show them"
        )


def make_venv(source: list[str]) -> None:
    """Create .venv with a Python that fits and with pip. One that fits already and was not moved stays.

    source: options by which pip and uv find packages; [] for what pip knows.
    """
    wanted = os.environ.get("PYTHON", "")
    if wanted and not fits(wanted):
        fail(f"PYTHON={wanted} {describe(wanted)}; {NEEDED} is needed: make setup PYTHON=python3.12")
    if not is_usable(wanted):
        python = wanted or next(filter(fits, PYTHONS), None)
        if python:
            create(python, VENV)
        else:
            fetch_python(source)
    if not succeeds(VENV / "bin/python", "-c", "import pip") and not succeeds(VENV / "bin/python", "-m", "ensurepip"):
        fail(f"{VENV} has no pip and no ensurepip; on Debian and Ubuntu `apt install python3-venv` brings it")


def version(python: str) -> str | None:
    """The version of a command, such as 3.12.1; None if it is missing or does not run, as a shim of pyenv may."""
    try:
        probe = [python, "-c", "import sys; print('Python %d.%d.%d' % sys.version_info[:3])"]
        done = subprocess.run(
            probe, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError):
        return None
    last = re.search(r"^Python (\d+\.\d+\.\d+)$", done.stdout, re.MULTILINE)  # a company's Python may greet before
    return last[1] if last else None


def minor(full: str | None) -> str | None:
    """3.12 of 3.12.1."""
    return full and full.rpartition(".")[0]


def fits(python: str) -> bool:
    """Whether the command is a Python that the project runs on."""
    return minor(version(python)) in FITS


def describe(python: str) -> str:
    """What a command is, for an error."""
    full = version(python)
    return f"is Python {full}" if full else "does not run"


def create(python: str, folder: Path) -> None:
    """A virtual environment with pip, in place of what is there."""
    command = [python, "-m", "venv", "--clear", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(done.stdout.strip(), file=sys.stderr)
        if "ensurepip" in done.stdout:
            fail(f"{python} -m venv failed; on Debian and Ubuntu `apt install python3-venv` may help")
        fail(f"{python} -m venv could not make {folder}; what it says stands above")


def fetch_python(source: list[str]) -> None:
    """Create .venv with a Python that uv fetches; the Python that runs this file fetches uv."""
    here = f"{sys.executable} is Python {version(sys.executable)}"
    print(f"{NEEDED} is not here ({here}); uv fetches Python {FITS[-1]}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        create(sys.executable, Path(folder))
        settings = uv_settings(pip_settings(install_uv(Path(folder), source), "install"))
        command = [str(Path(folder, "bin/uv")), "venv", "--quiet", "--clear", "--python", FITS[-1], str(VENV)]
        done = subprocess.run(command, env=settings, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        reason = " ".join((done.stderr.strip().splitlines() or ["no reason given"])[-1].split())
        fail(
            f"{NEEDED} is needed, {here}, and uv could not fetch one ({reason}): install one from your distribution, "
            "or name one (make setup PYTHON=/path/to/python3.12), or let UV_PYTHON_INSTALL_MIRROR name a mirror of uv's"
        )


def install_uv(folder: Path, source: list[str]) -> Path:
    """Install the uv of the lock, by its hashes. Gives the environment's Python."""
    python, lock = folder / "bin/python", folder / "uv.lock"
    entry = re.search(r"^uv==.*(?:\n[ \t].*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    lock.write_text(entry[0] + "\n" if entry else "", encoding="utf-8")
    if not pip(python, "install", *source, "--require-hashes", "--requirement", str(lock)):
        fail(f"pip could not install uv; what it says stands above, and {HELP}")
    return python


def install(source: list[str]) -> None:
    """Install what the lock lists, by its hashes, and the project itself.

    uv does in seconds what takes pip minutes. It also compiles the bytecode, on all cores; without it, TensorFlow's
    first import takes three times as long.
    """
    python = install_uv(VENV, source)
    hashes = ("--require-hashes", "--requirement", str(LOCK))
    project = ("--no-deps", "--no-build-isolation", "--editable", ".")  # relative: uv takes a # in a path for its end
    known = pip_settings(python, "install")
    environment, options = uv_settings(known), source or no_index(known)
    if not uv(environment, "sync", *options, "--require-hashes", "--compile-bytecode", str(LOCK)):
        print("uv failed; pip installs the same packages by the same hashes, which takes minutes", flush=True)
        if not pip(python, "install", *source, *hashes):
            fail(f"neither uv nor pip could install requirements.lock; what they say stands above, and {HELP}")
    if not uv(environment, "install", *options, *project) and not pip(python, "install", *source, *project):
        fail("the project itself could not be installed; what uv and pip say stands above")


def download(folder: Path) -> None:
    """Fill a folder with the packages of the lock, for machines of this kind with this version of Python."""
    print(
        f"the packages for Python {version(str(VENV / 'bin/python'))} on a machine like this go to {folder}", flush=True
    )
    command = ("download", "--no-deps", "--dest", str(folder), "--require-hashes", "--requirement", str(LOCK))
    if not pip(VENV / "bin/python", *command):
        fail(f"pip could not download the packages; what it says stands above, and {HELP}")


@functools.cache
def pip_settings(python: Path, verb: str) -> dict[str, str]:
    """What pip knows from its files and its environment for a command, by the setting's name, but for places."""
    command = [str(python), "-m", "pip", "config", "list"]
    hidden = ("PIP_PYTHON", "PIP_ISOLATED", "PIP_QUIET")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment.update(PIP_ISOLATED="0", PIP_QUIET="0")  # or nothing is listed, where a file sets them
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    settings = {}
    for section in ("global", verb, ":env:"):  # the later ones count more
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", done.stdout, re.MULTILINE):
            settings[name] = str(ast.literal_eval(value))
    return {name: value for name, value in settings.items() if name not in PIP_ELSEWHERE}


def uv_settings(known: dict[str, str]) -> dict[str, str]:
    """The environment for uv: .venv, and pip's settings as uv's where uv has none of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in UV_ELSEWHERE}
    environment["VIRTUAL_ENV"] = str(VENV)
    for name, ours in SETTINGS.items():
        if known.get(name) and not any(os.environ.get(other) for other in ours):
            environment[ours[0]] = places(known[name]) if name == "find-links" else " ".join(known[name].split())
    bundle = known.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        environment["SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE"] = bundle
    if known.get("proxy"):
        environment.update(dict.fromkeys(PROXIES, known["proxy"]))
    if "UV_INDEX" in environment:  # pip takes a version from any index, uv from the first that has the package
        environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return environment


def places(words: str) -> str:
    """pip's folders and pages of links as uv takes them: separated by commas, and without folders that are missing."""
    written = [word if "://" in word else str(Path(word).expanduser()) for word in words.split()]
    return ",".join(word for word in written if "://" in word or Path(ROOT, word).exists())


def no_index(known: dict[str, str]) -> list[str]:
    """uv's option where pip uses no index; uv has no variable for it."""
    off = ("", "0", "false", "no", "off", "n", "f")
    return [] if known.get("no-index", "").lower() in off else ["--no-index"]


def uv(environment: dict[str, str], verb: str, *words: str) -> bool:
    """Run `uv pip VERB` for .venv; whether it succeeded."""
    try:
        command = [str(VENV / "bin/uv"), "pip", verb, "--quiet", "--python", str(VENV / "bin/python"), *words]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0
    except OSError:  # a system on which uv does not run
        return False


def pip(python: Path, verb: str, *words: str) -> bool:
    """Run `pip VERB` for this Python, whatever pip knows of other places; whether it succeeded."""
    settings = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in pip_settings(python, verb).items()}
    others = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment = {**others, **settings, "PIP_CONFIG_FILE": os.devnull}  # with which pip reads no file at all
    options = ["--disable-pip-version-check", *([] if verb == "download" else ["--quiet"])]
    command = [str(python), "-m", "pip", verb, *options, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def succeeds(python: Path, *words: str) -> bool:
    """Whether Python does it; what it prints is dropped."""
    command = [str(python), *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def fail(sentence: str) -> NoReturn:
    """End with one sentence."""
    sys.exit(f"error: {sentence}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
