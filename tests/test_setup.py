"""`make setup`, `make wheels` and the check of platforms, run in a small project whose packages this file builds.

Its uv is a package whose command calls the real uv, which downloads a Python that this file packs. Its index, its
mirror and its proxy are servers on loopback.
"""

import base64
import hashlib
import io
import json
import os
import platform
import queue
import re
import runpy
import shutil
import ssl
import stat
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import support
from tests.support import ROOT, Response, Site

REAL_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
REAL_UV = Path(sys.executable).with_name("uv")
SETUP: dict[str, Any] = runpy.run_path(str(ROOT / "tools/setup.py"))
BACKEND = """
import shutil

def build_editable(folder, *_):
    return shutil.copy("tiny-1.0-py3-none-any.whl", folder) and "tiny-1.0-py3-none-any.whl"
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1.0"
"""


def wheel(name: str, version: str, content: Mapping[str, str], tag: str = "any") -> tuple[str, bytes]:
    """The file name and the bytes of a package that holds these files. tag: of its platforms."""
    info = f"{name}-{version}.dist-info"
    content = {
        **content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{info}/RECORD,,"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for path, text in content.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(text.encode())}")
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            file.writestr(entry, text)
        file.writestr(f"{info}/RECORD", "\n".join(record) + "\n")
    return f"{name}-{version}-py3-none-{tag}.whl", stream.getvalue()


FAILING_UV = "#!/bin/sh\necho uv is out of order >&2\nexit 1\n"
CALLING_UV = f'#!/bin/sh\nexec "{REAL_UV}" "$@"\n'
# Copies an environment where uv would fetch a Python for it; the environment's folder is the last word.
COPYING_UV = f"""#!/bin/sh
[ "$1" = venv ] || exec "{REAL_UV}" "$@"
for folder; do :; done
exec {shutil.which("cp")} -a "$HOME/environment/." "$folder"
"""
# What an archive of a Python need not have.
LEFT_OUT = {"test", "site-packages", "__pycache__", "idlelib", "tkinter", "turtledemo"}
# What a Python that does not run a script or a module of ours does: it reports a version, or copies an environment.
STAND_IN = """#!/bin/sh
echo "{name} $*" >> "$HOME/log"
[ "$1" != -c ] || exec "{python}" -c "import sys; sys.version_info = (*{version}, 'final', 0); $2"
[ "$1 $2" != "-m venv" ] || {{ {mkdir} -p "$4" && exec {cp} -a "{environment}/." "$4"; }}
exec "{python}" "$@"
"""


class Project:
    """A small project with the Makefile and the script of this one, in a path with a space.

    environment: what its Pythons copy in place of creating one.
    uv: the script of its uv.
    tag: of the platforms of one of its packages.
    packages: the files that its lock lists, by name.
    bin: the only programs that it has.
    home: of who calls make; what the stand-ins for Python are called with is in its file `log`.
    """

    def __init__(self, folder: Path, environment: Path, uv: str = CALLING_UV, tag: str = "any"):
        self.environment = environment
        self.folder, self.bin, self.home = folder / "a project", folder / "bin", folder / "home"
        for path in (self.folder / "tools", self.bin, self.home):
            path.mkdir(parents=True)
        (self.home / "environment").symlink_to(environment)
        self.packages = dict(
            [
                wheel("alpha", "1.0", {"alpha.py": "NUMBER = 1\n"}),
                wheel("beta", "2.0", {"beta.py": "import alpha\n"}, tag),
                wheel("uv", "0.1", {"uv-0.1.data/scripts/uv": uv}),
            ]
        )
        lock = [
            f"{'=='.join(name.split('-')[:2])} \\\n    --hash=sha256:{hashlib.sha256(data).hexdigest()}"
            for name, data in self.packages.items()
        ]
        (self.folder / "requirements.lock").write_text("\n".join(lock) + "\n")
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        script = {"tiny.py": "", "tiny-1.0.data/scripts/tiny": "#!/bin/sh\necho tiny\n"}
        (self.folder / "tiny-1.0-py3-none-any.whl").write_bytes(wheel("tiny", "1.0", script)[1])
        for name in ("Makefile", "tools/setup.py", "tools/platforms.py"):
            shutil.copy(ROOT / name, self.folder / name)
        for program in ("make", "sh", "touch"):
            (self.bin / program).symlink_to(shutil.which(program) or "")

    def python(self, name: str, version: str | None) -> None:
        """Put a Python on PATH that reports this version; with None a command that fails, as a shim of pyenv may."""
        text = f'#!/bin/sh\necho "{name} $*" >> "$HOME/log"\nexit 127\n'
        if version:
            numbers = tuple(map(int, version.split(".")))
            programs = {program: shutil.which(program) for program in ("cp", "mkdir")}
            text = STAND_IN.format(
                name=name, python=REAL_PYTHON, version=numbers, environment=self.environment, **programs
            )
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make with these words and, of this machine, only what is in `bin`."""
        clean = {
            **{"PATH": str(self.bin), "HOME": str(self.home), "XDG_CONFIG_DIRS": str(self.home), "LANG": "C.UTF-8"},
            **{"UV_NO_CONFIG": "1", "UV_PYTHON_PREFERENCE": "only-managed", "PIP_CONFIG_FILE": os.devnull},
            "PIP_NO_COMPILE": "1",
        }
        command = ["make", *words]
        return subprocess.run(
            command, cwd=self.folder, env=clean | environment, capture_output=True, text=True, timeout=300, check=False
        )

    def installed(self) -> bool:
        """Whether .venv has the packages and the project."""
        done = subprocess.run([self.folder / ".venv/bin/python", "-c", "import alpha, beta, tiny"], capture_output=True)
        return done.returncode == 0 and (self.folder / ".venv/bin/tiny").exists()

    def log(self) -> str:
        """What the stand-ins for Python were called with."""
        return (self.home / "log").read_text()

    def save(self, folder: Path) -> Path:
        """The packages as files in a folder."""
        folder.mkdir()
        for name, data in self.packages.items():
            (folder / name).write_bytes(data)
        return folder

    def publish(self, site: Site, url: str = "") -> None:
        """Let a server be an index with these packages. url: of the index as a proxy is asked for it."""
        for name, data in self.packages.items():
            link = f'<a href="{url}/files/{name}">{name}</a>'
            site.responses[f"{url}/simple/{name.split('-')[0]}/"] = Response(link.encode(), kind="text/html")
            site.responses[f"{url}/files/{name}"] = Response(data, kind="application/octet-stream")


def secure(site: Site, folder: Path) -> Path:
    """Let a server speak TLS. The file of the authority that signed its certificate."""
    now, names = datetime.now(UTC), [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("CA", "site")]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    extensions: list[x509.ExtensionType] = [x509.BasicConstraints(ca=True, path_length=None), address]
    for file, name, key, extension in zip(("ca.pem", "site.pem"), names, keys, extensions, strict=True):
        builder = x509.CertificateBuilder(names[0], name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        signed = builder.add_extension(extension, critical=True).sign(keys[0], hashes.SHA256())
        (folder / file).write_bytes(signed.public_bytes(Encoding.PEM))
    pem = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "site.key").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.pem", folder / "site.key")
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    return folder / "ca.pem"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip and nothing else, to copy: creating one takes seconds."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([REAL_PYTHON, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def project(tmp_path: Path, environment: Path) -> Project:
    """A project with one Python that fits."""
    made = Project(tmp_path, environment)
    made.python("python3", "3.12.5")
    return made


@pytest.fixture
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def fetched_by_uv(site: Site) -> set[str]:
    """The names of the files that uv itself fetched."""
    by = [headers.get("User-Agent", "").split("/")[0] for headers in site.headers]
    return {
        path.split("/")[-1]
        for path, agent in zip(site.requests, by, strict=True)
        if agent == "uv" and "/files/" in path
    }


WHEELS = {"alpha-1.0-py3-none-any.whl", "beta-2.0-py3-none-any.whl"}


def test_the_first_python_that_runs_and_fits_is_taken_once(project: Project, tmp_path: Path) -> None:
    project.python("python3.13", None)
    project.python("python3.12", "3.12.5")
    project.python("python3.11", "3.11.9")
    project.python("python3", "3.14.8")
    wheels = str(project.save(tmp_path / "wheels"))
    for _ in range(2):
        done = project.make("setup", WHEELS=wheels)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        os.utime(project.folder / ".venv/.installed", (0, 0))  # older than the lock
    assert [line for line in project.log().splitlines() if " -m venv " in line] == [
        f"python3.12 -m venv --clear {project.folder}/.venv"
    ]
    assert project.installed()
    os.utime(project.folder / ".venv/.installed")
    refused = project.make("setup", "PYTHON=/none/python")
    assert refused.stderr.startswith("error: PYTHON=/none/python does not run; ")
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    done = project.make("setup", WHEELS=wheels)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert project.log().splitlines()[-1] == f"python3.12 -m venv --clear {project.folder}/.venv"
    assert project.make("setup").stdout == "make: Nothing to be done for 'setup'.\n"
    (project.folder / ".venv/bin/python").unlink()
    assert "tools/setup.py" in project.make("--dry-run", "setup").stdout


def test_an_environment_without_the_project_or_without_a_package_is_not_complete(project: Project) -> None:
    script = project.folder / "tools/setup.py"
    (project.folder / ".venv").symlink_to(project.environment)
    with pytest.raises(SystemExit, match=r"\.venv is not complete after the .* \(ModuleNotFoundError: .*'tiny'\); "):
        runpy.run_path(str(script))["check"]()
    (project.folder / "pyproject.toml").write_text('name = "json"\n')
    with pytest.raises(SystemExit, match=r"No package metadata was found for alpha\); "):
        runpy.run_path(str(script))["check"]()
    (project.folder / "requirements.lock").write_text("pip==0.1 \\\nalpha==1.0 ; sys_platform == 'none'\n")
    with pytest.raises(SystemExit, match=r"\(pip is .*, not 0\.1\)"):
        runpy.run_path(str(script))["check"]()


def test_one_setup_waits_for_another(project: Project) -> None:
    alone, sentences = runpy.run_path(str(project.folder / "tools/setup.py"))["alone"], queue.Queue[str]()
    alone.__wrapped__.__globals__["print"] = lambda sentence, **_: sentences.put(sentence)

    def wait() -> None:
        with alone():
            pass

    with ThreadPoolExecutor() as pool:
        with alone():
            second = pool.submit(wait)
            assert sentences.get(timeout=60) == "another setup runs in this folder; waiting for it"
            assert not second.done()
        second.result(timeout=60)


@pytest.mark.parametrize(
    ("python", "reason"),
    [("python3.14", "is Python 3.14.8"), ("shim", "does not run"), ("/none/python", "does not run")],
)
def test_a_python_that_is_given_and_does_not_fit_is_refused(project: Project, python: str, reason: str) -> None:
    project.python("python3.14", "3.14.8")
    project.python("shim", None)
    done = project.make("setup", f"PYTHON={python}")
    assert done.returncode
    assert done.stderr.splitlines()[0] == (
        f"error: PYTHON={python} {reason}; Python 3.11, 3.12 or 3.13 is needed: make setup PYTHON=python3.12"
    )
    assert not (project.folder / ".venv").exists()


def archive_python(folder: Path) -> Path:
    """Pack the Python that runs this as uv downloads one; return the list of downloads that names it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    def needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = entry.name.split("/")
        leads_out = entry.issym() and entry.linkname.startswith("/")  # as Debian's sitecustomize.py does
        drop = leads_out or LEFT_OUT & {*parts} or any(part.startswith("config-") for part in parts)
        return None if drop else entry

    file = folder / "python.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        archive.add(REAL_PYTHON.resolve(), f"python/bin/python{version}")
        archive.add(os.__file__.removesuffix("/os.py"), f"python/lib/python{version}", filter=needed)
    entry = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        **{"os": "linux", "libc": "gnu", "variant": None, "prerelease": "", "build": "20260101"},
        **dict(zip(("major", "minor", "patch"), sys.version_info[:3], strict=True)),
        "url": file.as_uri(),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    downloads = folder / "downloads.json"
    downloads.write_text(json.dumps({f"cpython-{platform.python_version()}-linux-{platform.machine()}-gnu": entry}))
    return downloads


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the archive that it makes is of Linux with glibc")
def test_uv_fetches_a_python_where_none_fits(tmp_path: Path, environment: Path) -> None:
    project = Project(tmp_path, environment)
    project.python("python3", "3.14.8")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    script = project.folder / "tools/setup.py"  # of a project that needs the Python that is there to fetch
    script.write_text(re.sub(r"^FITS = .*", f'FITS = ("{version}",)', script.read_text(), flags=re.MULTILINE))
    done = project.make(
        "setup",
        WHEELS=str(project.save(tmp_path / "wheels")),
        UV_PYTHON_DOWNLOADS_JSON_URL=str(archive_python(tmp_path)),
        UV_PYTHON_INSTALL_DIR=str(tmp_path / "pythons"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"; uv fetches Python {version}\n")
    assert (project.folder / ".venv/bin/python").resolve().is_relative_to(tmp_path / "pythons")
    assert project.installed()


@pytest.mark.long
def test_a_folder_is_filled_where_uv_has_to_fetch_a_python(tmp_path: Path, environment: Path, site: Site) -> None:
    project = Project(tmp_path, environment, COPYING_UV)
    project.python("python3", "3.14.8")
    project.publish(site)
    done = project.make("wheels", "WHEELS=new", PIP_INDEX_URL=f"{site.url}/simple")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {file.name for file in (project.folder / "new").iterdir()} == set(project.packages)


def test_a_python_that_cannot_be_fetched_leaves_three_ways_out(tmp_path: Path, environment: Path, site: Site) -> None:
    project = Project(tmp_path, environment)
    project.python("python3", "3.14.8")
    done = project.make(
        "setup", WHEELS=str(project.save(tmp_path / "wheels")), UV_PYTHON_INSTALL_MIRROR=f"{site.url}/pythons"
    )
    assert done.returncode
    assert any("/pythons/" in path and "/cpython-3.13." in path for path in site.requests)
    sentence, *rest = done.stderr.splitlines()
    assert sentence.startswith("error: Python 3.11, 3.12 or 3.13 is needed, ")
    assert "uv could not fetch one (" in sentence
    assert sentence.endswith(
        "): install one from your distribution, or name one (make setup PYTHON=/path/to/python3.12), "
        "or let UV_PYTHON_INSTALL_MIRROR name a mirror of uv's"
    )
    assert len(rest) == 1  # make's own line


def test_versions_of_python_are_the_same_everywhere() -> None:
    fits = SETUP["FITS"]
    first, end = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    assert list(fits) == [f"3.{minor}" for minor in range(int(first), int(end))]
    assert SETUP["NEEDED"] == "Python 3.11, 3.12 or 3.13"
    makefile = (ROOT / "Makefile").read_text()
    assert f'for python in "$$PYTHON" {" ".join(SETUP["PYTHONS"])} python;' in makefile
    assert f"install {SETUP['NEEDED']}, or name one" in makefile
    for page in ("README.md", "docs/install.md"):
        assert SETUP["NEEDED"] in (ROOT / page).read_text()


def test_no_python_at_all_is_refused_in_a_sentence(tmp_path: Path, environment: Path) -> None:
    project = Project(tmp_path, environment)
    project.python("python3", "3.8.18")
    done = project.make("setup")
    assert done.returncode
    assert done.stderr.startswith(
        "error: no Python from 3.9 on is here (python3 is older); install Python 3.11, 3.12 or 3.13, or name one: make "
    )


def test_what_answers_to_a_pythons_name_and_is_none_is_passed_over(project: Project) -> None:
    """As `python3.13` a program that ends well and did nothing, and as `python3.12` a Python that greets."""
    project.python("python3.12", "3.12.5")
    greeting = (
        (project.bin / "python3.12").read_text().replace("#!/bin/sh\n", "#!/bin/sh\necho Welcome to our Python\n")
    )
    for name, text in {"python3.13": "#!/bin/sh\nexit 0\n", "python3.12": greeting}.items():
        (project.bin / name).write_text(text)
        (project.bin / name).chmod(0o755)
    versions = [SETUP["version"](str(project.bin / name)) for name in ("python3.13", "python3.12")]
    assert versions == [None, "3.12.5"]
    done = project.make("setup", WHEELS="/none/wheels")  # the script has started, with the second of them
    assert "error: WHEELS=/none/wheels is not a folder" in done.stderr


@pytest.mark.parametrize(
    ("known", "given", "expected"),
    [
        ({"index-url": "http://m"}, {}, {"UV_DEFAULT_INDEX": "http://m"}),
        ({"index-url": "http://m"}, {"UV_INDEX_URL": "http://u"}, {"UV_INDEX_URL": "http://u"}),
        (
            {"extra-index-url": "\nhttp://a\nhttp://b"},
            {},
            {"UV_INDEX": "http://a http://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        # A folder that is missing does not disturb pip, and would stop uv.
        ({"find-links": "https://a/b tests /none/b docs"}, {}, {"UV_FIND_LINKS": "https://a/b,tests,docs"}),
        ({"trusted-host": "m.example"}, {}, {"UV_INSECURE_HOST": "m.example"}),
        ({"cert": "/company.pem"}, {"REQUESTS_CA_BUNDLE": "/other.pem"}, {"SSL_CERT_FILE": "/company.pem"}),
        ({"cert": "/"}, {}, {"SSL_CERT_DIR": "/"}),
        ({}, {"REQUESTS_CA_BUNDLE": "/other.pem"}, {"SSL_CERT_FILE": "/other.pem"}),
        ({}, {"CURL_CA_BUNDLE": "/"}, {"SSL_CERT_DIR": "/"}),
        ({"cert": "/company.pem"}, {"SSL_CERT_DIR": "/u"}, {"SSL_CERT_DIR": "/u"}),
        ({"cert": "/"}, {"SSL_CERT_FILE": "/u.pem"}, {"SSL_CERT_FILE": "/u.pem"}),
        ({"client-cert": "/me.pem"}, {}, {"SSL_CLIENT_CERT": "/me.pem"}),
        (
            {"proxy": "http://p"},
            {"HTTP_PROXY": "http://h", "https_proxy": "http://h"},
            dict.fromkeys(SETUP["PROXIES"], "http://p"),
        ),
        ({}, {"HTTP_PROXY": "http://h"}, {"HTTP_PROXY": "http://h"}),
        ({}, {"UV_SYSTEM_PYTHON": "1", "UV_PYTHON": "3.12", "UV_TARGET": "/t", "UV_PREFIX": "/p"}, {}),
    ],
)
def test_what_pip_knows_is_passed_to_uv(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, str], given: dict[str, str], expected: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", given)
    settings = SETUP["uv_settings"](known)
    assert {
        name: value
        for name, value in settings.items()
        if name not in ("VIRTUAL_ENV", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    } == expected


@pytest.mark.long
def test_the_index_that_pip_s_environment_names_serves_uv_too(project: Project, site: Site) -> None:
    project.publish(site)
    done = project.make("setup", PIP_INDEX_URL=f"{site.url}/simple")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fetched_by_uv(site) == WHEELS
    assert project.installed()


def test_a_company_s_certificate_that_pip_knows_serves_uv_too(project: Project, site: Site) -> None:
    authority = secure(site, project.home)
    project.publish(site)
    index = f"{site.url.replace('http', 'https')}/simple"
    done = project.make("setup", PIP_INDEX_URL=index, PIP_CERT=str(authority))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fetched_by_uv(site) == WHEELS


@pytest.mark.long
def test_uv_s_own_settings_come_first(project: Project, site: Site) -> None:
    project.publish(site)
    with support.site() as second:
        project.publish(second)
        done = project.make("setup", PIP_INDEX_URL=f"{second.url}/simple", UV_DEFAULT_INDEX=f"{site.url}/simple")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert fetched_by_uv(site) == WHEELS
        assert not fetched_by_uv(second)


@pytest.mark.long
def test_a_version_may_be_on_any_of_pip_s_indexes(project: Project, site: Site) -> None:
    project.publish(site)
    with support.site() as second:
        name, data = wheel("alpha", "0.9", {"alpha.py": ""})
        second.responses["/simple/alpha/"] = Response(f'<a href="/files/{name}">{name}</a>'.encode(), kind="text/html")
        second.responses[f"/files/{name}"] = Response(data)
        done = project.make("setup", PIP_INDEX_URL=f"{site.url}/simple", PIP_EXTRA_INDEX_URL=f"{second.url}/simple")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert "/simple/alpha/" in second.requests
    assert fetched_by_uv(site) == WHEELS


def test_a_pip_conf_s_mirror_behind_a_proxy_that_refuses_all_else(project: Project, site: Site) -> None:
    mirror = "http://mirror.invalid"
    project.publish(site, mirror)
    conf = project.home / "pip.conf"
    conf.write_text(f"[global]\nindex-url = {mirror}/simple\ntrusted-host = mirror.invalid\nproxy = {site.url}\n")
    done = project.make("setup", PIP_CONFIG_FILE=str(conf))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fetched_by_uv(site) == WHEELS
    assert all(path.startswith(mirror) for path in site.requests)


@pytest.mark.long
def test_folders_that_pip_knows_serve_uv_too(project: Project, tmp_path: Path) -> None:
    wheels = project.save(tmp_path / "wheels")
    done = project.make("setup", PIP_FIND_LINKS=str(wheels), PIP_NO_INDEX="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert project.installed()


@pytest.mark.long
def test_a_package_with_another_hash_is_refused_by_both(project: Project, site: Site) -> None:
    project.packages |= dict([wheel("alpha", "1.0", {"alpha.py": "NUMBER = 2\n"})])
    project.publish(site)
    done = project.make("setup", PIP_INDEX_URL=f"{site.url}/simple")
    assert done.returncode
    assert "error: neither uv nor pip could install requirements.lock; " in done.stderr
    assert not project.installed()
    assert not (project.folder / ".venv/.installed").exists()


def test_make_wheels_fills_a_folder_from_which_setup_needs_no_network(project: Project, site: Site) -> None:
    project.publish(site)
    done = project.make("wheels", PIP_INDEX_URL=f"{site.url}/simple")
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (project.folder / "wheels").iterdir()} == set(project.packages)
    site.requests.clear()
    done = project.make("setup", "WHEELS=wheels", PIP_INDEX_URL=f"{site.url}/simple")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not site.requests
    assert project.installed()


def test_pip_installs_the_lock_where_uv_fails_and_in_no_other_place(
    tmp_path: Path, environment: Path, site: Site
) -> None:
    project = Project(tmp_path, environment, FAILING_UV)
    project.python("python3", "3.12.5")
    project.publish(site)
    other, conf = tmp_path / "other", project.home / "pip.conf"
    conf.write_text(f"[global]\nindex-url = {site.url}/simple\nquiet = 3\n[install]\ntarget = {other}\nuser = yes\n")
    done = project.make("setup", PIP_CONFIG_FILE=str(conf), PIP_PREFIX=str(other), PIP_DRY_RUN="1", PIP_ISOLATED="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "uv failed; pip installs the same packages by the same hashes, which takes minutes\n"
    assert project.installed()
    assert not other.exists()


def test_a_folder_of_wheels_that_is_not_there_is_refused(project: Project) -> None:
    done = project.make("setup", "WHEELS=none")
    assert done.returncode
    assert done.stderr.startswith("error: WHEELS=none is not a folder; `make wheels WHEELS=none` fills one where ")


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        ("not all", "wheels for other machines: as docs/install.md says, for 2 platforms\n"),
        ("all", "error: docs/install.md is wrong: x86_64-pc-windows-msvc, Python 3.11: "),
    ],
)
def test_the_table_of_platforms_is_compared_with_the_index(
    tmp_path: Path, environment: Path, site: Site, windows: str, sentence: str
) -> None:
    project = Project(tmp_path, environment, tag="manylinux_2_17_x86_64.manylinux_2_17_aarch64.macosx_11_0_arm64")
    project.publish(site)
    done = check_platforms(project, windows, f"{site.url}/simple")
    assert (done.stdout + done.stderr).startswith(sentence)
    assert done.returncode == (windows == "all")


def test_a_failure_of_uv_is_not_a_lack_of_wheels(tmp_path: Path, environment: Path, site: Site) -> None:
    project = Project(tmp_path, environment, tag="manylinux_2_17_x86_64.manylinux_2_17_aarch64.macosx_11_0_arm64")
    project.publish(site)
    done = check_platforms(project, "not all", f"{site.url}/simple", platform="i386-no-such-system")
    assert done.returncode == 1
    assert done.stderr.startswith("error: wheels for other machines: uv failed for i386-no-such-system, Python 3.11 (")


@pytest.mark.parametrize("ci", ["", "true"])
def test_the_table_of_platforms_is_not_compared_without_an_index(tmp_path: Path, environment: Path, ci: str) -> None:
    index = f"http://127.0.0.1:{support.find_free_port()}/simple"
    done = check_platforms(Project(tmp_path, environment), "all", index, ci=ci)
    start = "wheels for other machines: not checked, for no index here has the lock ("
    assert (done.stderr if ci else done.stdout).startswith(f"error: {start}" if ci else start)
    assert (done.stdout + done.stderr).count("\n") == 1
    assert done.returncode == bool(ci)


def check_platforms(
    project: Project, windows: str, index: str, platform: str = "x86_64-pc-windows-msvc", ci: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run tools/platforms.py with a table of two platforms. windows: what the table says of wheels for the second."""
    (project.folder / "docs").mkdir()
    rows = f"| a | `aarch64-unknown-linux-gnu` | all |\n| b | `{platform}` | {windows} |\n"
    (project.folder / "docs/install.md").write_text(rows)
    (project.folder / ".venv/bin").mkdir(parents=True)
    (project.folder / ".venv/bin/uv").symlink_to(REAL_UV)
    environment = {
        "UV_DEFAULT_INDEX": index,
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(project.home),
        "PIP_FIND_LINKS": "",
        "CI": ci,
    }
    return support.run(sys.executable, "tools/platforms.py", cwd=project.folder, env=environment)
