"""Base images for tests, made from Debian's archive: nothing is pulled.

An image is named after the hash of what it is made from, and reused when the engine still has it. Those that are there to test the
recipe begin with a bare Debian. All others begin with ``python-venv``: a vendor's image that has what the recipe would install, and
the SDK's wheels in a folder that pip looks into.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core.platform_rules import PLATFORM_SDK_VERSION

from .turns import locked

ROOT = Path(__file__).resolve().parents[2]
ECHO = (ROOT / "tests" / "upstreams" / "echo_service.py").read_text()
HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")
# Not where Debian's ca-certificates writes: installing that package must not undo it.
IMAGE_CA = "/usr/local/share/host-ca.pem"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT = "RUN apt-get update -q && apt-get install -q -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"
# As in Debian's official images: what is written goes into a layer, and survives no crash anyway.
DPKG_SETTINGS = ("force-unsafe-io",)
PYTHON = APT.format("python3")
SERVE = 'CMD ["python3", "/srv/echo/service.py"]'
ECHOING = f"COPY service.py /srv/echo/service.py\nEXPOSE 9090\n{SERVE}"
# What sdk/recipe installs. That it does so is tested on bases without it.
RECIPE_PACKAGES = (
    "curl ca-certificates clinfo ocl-icd-libopencl1 libclblast1 libopenmpi3 libssl3 cmake git opencl-headers openmpi-bin "
    "python3 python3-venv gcc libc6-dev libpython3-dev"
)
WHEELS = (
    "RUN python3 -m venv /tmp/wheels && /tmp/wheels/bin/pip install -q --no-cache-dir wheel && /tmp/wheels/bin/pip wheel -q "
    f"--no-cache-dir -w /opt/wheels chutes=={PLATFORM_SDK_VERSION} pip uv && rm -rf /tmp/wheels\nENV PIP_FIND_LINKS=/opt/wheels"
)

CHROMADB = (
    "RUN python3 -m venv /opt/chroma && /opt/chroma/bin/pip install -q --no-cache-dir 'chromadb>=1,<2'"
    '\nWORKDIR /data\nEXPOSE 8010\nCMD ["/opt/chroma/bin/chroma", "run", "--host", "0.0.0.0", "--port", "8010", '
    '"--path", "/data"]'
)
RAPIDOCR = (
    APT.format("libgl1 libglib2.0-0")
    + "\nRUN python3 -m venv /opt/ocr && /opt/ocr/bin/pip install -q --no-cache-dir rapidocr_api rapidocr onnxruntime"
    + '\nWORKDIR /srv/ocr\nEXPOSE 9003\nCMD ["/opt/ocr/bin/rapidocr_api", "-ip", "0.0.0.0", "-p", "9003"]'
)


@dataclass(frozen=True)
class Recipe:
    """A Dockerfile and the files beside it. ``parent`` names another recipe or a Debian suite."""

    parent: str
    dockerfile: str
    files: dict[str, str] = field(default_factory=dict)


RECIPES = {
    "python": Recipe("bookworm", PYTHON),
    "python3-no-pip": Recipe("python", ECHOING, {"service.py": ECHO}),
    "python-venv": Recipe("bookworm", f"{APT.format(RECIPE_PACKAGES)}\n{WHEELS}"),
    "echo": Recipe("python-venv", ECHOING, {"service.py": ECHO}),
    "no-python": Recipe(
        "bookworm",
        "COPY serve.pl /srv/serve.pl\nEXPOSE 9090\nCMD perl /srv/serve.pl",
        {
            "serve.pl": r"""
use IO::Socket::INET; $| = 1;
my $server = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => 9090, Listen => 16, ReuseAddr => 1) or die;
my $spec = '{"openapi":"3.0.3","info":{"title":"perl","version":"1"},"paths":{"/health":{"get":{"responses":{}}},'
    . '"/echo":{"get":{"responses":{}}}}}';
while (my $client = $server->accept()) {
    my $request = <$client>; while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    my ($path, $query) = ($request // "") =~ m{^\w+ ([^ ?]*)\??(\S*)};
    my %answers = ("/health" => '{"status":"ok"}', "/openapi.json" => $spec, "/echo" => qq({"query":"$query"}));
    my $body = $answers{$path // ""} // '{"detail":"not found"}';
    my $status = exists $answers{$path // ""} ? "200 OK" : "404 Not Found";
    print $client "HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: " . length($body)
        . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
"""
        },
    ),
    "vendor-venv-path": Recipe(
        "python-venv",
        "RUN python3 -m venv /opt/venv\nCOPY service.py /srv/echo/service.py"
        + "\nENV PATH=/opt/venv/bin:/usr/bin:/bin VIRTUAL_ENV=/opt/venv PYTHONPATH=/srv/echo PIP_USER=1\nEXPOSE 9090"
        + '\nCMD ["python", "-m", "service"]',
        {"service.py": ECHO},
    ),
    "uid-1000-taken": Recipe(
        "echo",
        "RUN groupadd -g 1000 ubuntu && useradd -m -u 1000 -g 1000 -s /bin/bash ubuntu\nUSER ubuntu\n" + SERVE,
    ),
    "other-user": Recipe(
        "echo",
        "RUN useradd -m -u 1001 -s /bin/bash app && chmod 700 /home/app && mkdir /home/app/state && chown app /home/app/state"
        f"\nUSER app\nWORKDIR /home/app\nENV WRITE_TO=/home/app/state/log.txt\n{SERVE}",
    ),
    "root-workdir": Recipe("echo", f"WORKDIR /srv/data\nENV WRITE_TO=runs.txt\n{SERVE}"),
    "writes-root-home": Recipe("echo", f"ENV WRITE_TO=~/.cache/echo/log.txt\n{SERVE}"),
    "entrypoint-script": Recipe(
        "echo",
        "COPY start.sh helper settings.txt /opt/vendor/\nRUN chmod 755 /opt/vendor/start.sh /opt/vendor/helper"
        f"\nENV PATH=/opt/vendor:{PATH} VENDOR_MODE=fast REQUIRE=FROM_HELPER\nWORKDIR /opt/vendor"
        '\nENTRYPOINT ["start.sh"]\nCMD ["python3", "/srv/echo/service.py"]',
        {
            "start.sh": '#!/bin/sh\nset -eu\n[ "$VENDOR_MODE" = fast ]\n. ./settings.txt\nFROM_HELPER=$(helper)\n'
            'export FROM_HELPER SETTING\nexec "$@"\n',
            "helper": "#!/bin/sh\necho helped\n",
            "settings.txt": "SETTING=read\n",
        },
    ),
    "vendor-app-tools": Recipe(
        "python3-no-pip",
        "COPY app /app\nWORKDIR /app\nENV WRITE_TO=/app/data/log.txt\n" + 'CMD ["python3", "main.py"]',
        {
            "app/main.py": "from tools import greeting\nimport sys\nsys.path.insert(0, '/srv/echo')\nimport service\n"
            "print(greeting.WORDS, flush=True)\nservice.main()\n",
            "app/tools/__init__.py": "",
            "app/tools/greeting.py": "WORDS = 'vendor tools'\n",
        },
    ),
    # A link that leads nowhere yet, a package source that is gone, and settings of pip that would stop any installation.
    "left-alone": Recipe(
        "vendor-app-tools",
        "RUN ln -s /mnt/later/models /models && mkdir -p /home/chutes && touch /home/chutes/old && "
        "echo 'chutes:x:1005:1005::/home/chutes:/bin/sh' >>/etc/passwd && chown -R 1005:1005 /home/chutes && "
        "echo 'deb file:/gone ./' >/etc/apt/sources.list.d/gone.list\n"
        "ENV PIP_NO_INDEX=1 PIP_REQUIRE_HASHES=1 PIP_NO_BINARY=:all: PIP_PLATFORM=any PIP_REQUIREMENT=/gone",
        {},
    ),
    "trixie": Recipe("trixie-suite", f"{PYTHON}\n{ECHOING}", {"service.py": ECHO}),
    "privileged-port": Recipe("echo", f"ENV PORT=80\nEXPOSE 80\n{SERVE}"),
    # A vendor's image of Debian 13, whose Python the SDK cannot use.
    "trixie-venv": Recipe("trixie-suite", APT.format("python3 python3-venv curl")),
    **{
        f"{name}{suffix}": Recipe(parent, dockerfile)
        for suffix, parent in (("", "python-venv"), ("-trixie", "trixie-venv"))
        for name, dockerfile in (("chromadb", CHROMADB), ("rapidocr", RAPIDOCR))
    },
}
EXAMPLES = {
    "completions": "completions:latest",
    "gradio": "gradio-app:latest",
    "morse": "morse-sample:latest",
    "search": "search:latest",
    "thumbnail": "thumbnail:latest",
}
SUITES = {"bookworm": "bookworm", "trixie-suite": "trixie", "bullseye": "bullseye"}


def image(name: str) -> str:
    """The tag of a base image by its name here, made first when the engine lacks it."""
    if name in SUITES:
        return _suite(SUITES[name])
    recipe = RECIPES[name]
    parent = image(recipe.parent)
    return _built(name, f"FROM {parent}\n{recipe.dockerfile}\n", recipe.files)


def built_from_scratch(name: str, dockerfile: str, files: dict[str, str]) -> str:
    """An image from a Dockerfile of the test's own."""
    return _built(name, dockerfile, files)


def example(folder: str, base: str = "python-venv") -> str:
    """The image of an example, as its deploy module names it; another ``base`` has another name."""
    tag = EXAMPLES[folder] if base == "python-venv" else f"cw-test/{folder}:{base}"
    with locked(f"example-{folder}"):
        _docker("build", "-q", "--build-arg", f"BASE={image(base)}", "-t", tag, str(ROOT / "examples" / folder))
    return tag


def _built(name: str, dockerfile: str, files: dict[str, str]) -> str:
    tag = f"cw-test/{name}:{_hash(dockerfile, *(f'{key}={files[key]}' for key in sorted(files)))}"
    with locked(f"base-{name}"):
        if not _exists(tag):
            _build(tag, {**files, "Dockerfile": dockerfile})
    return tag


def _build(tag: str, files: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(content)
        _docker("build", "-q", "-t", tag, folder)


def _suite(suite: str) -> str:
    changes = [
        f"ENV PATH={PATH}",
        *(f"ENV {name}={IMAGE_CA}" for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")),
    ]
    tag = f"cw-test/{suite}:{_hash(suite, *changes, *DPKG_SETTINGS, HOST_CA.read_text())}"
    with locked(f"base-{suite}"):
        if not _exists(tag):
            _bootstrap(suite, changes, tag)
    return tag


def _bootstrap(suite: str, changes: list[str], tag: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["debootstrap", "--variant=minbase", suite, str(tree)], check=True, capture_output=True)
        shutil.copy(HOST_CA, f"{tree}{IMAGE_CA}")
        (tree / "etc/dpkg/dpkg.cfg.d/image").write_text("".join(f"{line}\n" for line in DPKG_SETTINGS))
        shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)
        archive = Path(folder) / "tree.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True, capture_output=True)
        _docker("import", *(part for change in changes for part in ("-c", change)), str(archive), tag)


def _exists(tag: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"docker {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
