"""Every fact about the platform that code needs, with its source.

"SDK" is the ``chutes`` package 0.6.9; "(api)" marks a rule read from the platform's API, which may change without a new
SDK. Sections are those of PLATFORM.md.
"""

from __future__ import annotations

import re

# SDK chute/cord.py PATH_RE: path, public_api_path and passthrough_path. Without its ambiguity, which takes quadratic time.
SDK_PATH = re.compile(r"^(/[a-z0-9_][a-z0-9_-]*)+\Z")
# (api) section 2: what the API accepts at deployment.
API_INTERNAL_PATH = re.compile(r"^(/[a-z][a-z0-9_]*)+\Z")
API_PUBLIC_PATH = re.compile(r"^(/[a-z][a-z0-9_-]*)+\Z")
API_PUBLIC_METHODS = ("GET", "POST")
# Section 2: upstream methods are free; these are the ones a cord can name (aiohttp session methods).
UPSTREAM_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# (api) section 2: the platform's own routes on a chute's host win over the chute's.
PLATFORM_PATHS = frozenset({"/ping", "/docs", "/redoc", "/openapi.json", "/pricing"})
PLATFORM_PREFIXES = (
    "/users", "/images", "/chutes", "/jobs", "/nodes", "/logos", "/audit", "/secrets", "/instances", "/payments",
)  # fmt: skip

# Section 1: what an instance is.
INSTANCE_UID = 1000
INSTANCE_GID = 1000
INSTANCE_USER = "chutes"
INSTANCE_WORKDIR = "/app"
INSTANCE_VOLUMES = ("/tmp", "/cache")
INSTANCE_SHM_BYTES = 16 * 1024**3
CHUTE_PORT = 8000
LOGGING_PORT = 8001
LOWEST_UNPRIVILEGED_PORT = 1024
EXECUTION_CONTEXT_VARIABLE = "CHUTES_EXECUTION_CONTEXT"
REMOTE_CONTEXT = "REMOTE"

# (api) section 3: when the platform gives up on a call, and on an instance.
API_CALL_LIMIT_S = 600.0
FAILURES_TO_DELETION = 7
UPGRADE_REQUIRED = 426
BAD_REQUEST = 400
RATE_LIMITED = 429
# Section 3, SDK chute/cord.py: a client of the SDK repeats a call that is answered 503 for so long (provision_timeout).
PROVISION_TIMEOUT_S = 180.0

# Section 1, measured: a Python that has faulthandler on, by either of these, ends with SIGSEGV under chutes-aegis.so.
FAULTHANDLER_VARIABLES = ("PYTHONFAULTHANDLER", "PYTHONDEVMODE")
# Section 1, measured: chutes-aegis.so needs this glibc, graval's libraries need libcrypto.so.3.
LOWEST_GLIBC = (2, 34)
# Section 1: what the SDK asks of a base image, the lowest and the highest.
CUDA_VERSIONS = ((12, 2), (12, 6))
OPENSSL_LIBRARY = "libcrypto.so.3"
# The SDK asks for 3.10; its chutes-inspecto.so crashes under CPython 3.13 (measured with 0.6.9 on glibc 2.36 and 2.41).
LOWEST_PYTHON = (3, 10)
HIGHEST_PYTHON = (3, 12)

# (api) section 4.
MODULE_FILE = re.compile(r"^[a-z][a-z0-9_]*\.py\Z")
CHUTE_NAME = re.compile(r"^(?:[a-z0-9_.-]+/)*[a-z0-9][a-z0-9_./-]*\Z", re.IGNORECASE)
CHUTE_NAME_LENGTH = (3, 127)
IMAGE_NAME = re.compile(r"^[a-z0-9][a-z0-9-_.]*\Z", re.IGNORECASE)
IMAGE_NAME_LENGTH = (3, 65)
IMAGE_TAG_LENGTH = (2, 33)
LONGEST_SLUG = 58
LONGEST_SOURCE = 150_000
LONGEST_TAGLINE = 1_024
LONGEST_README = 16_384
# Settings of a Chute by the names of its arguments; seconds for the third.
CHUTE_RANGES: dict[str, tuple[float, float]] = {
    "concurrency": (0, 256),
    "max_instances": (1, 100),
    "shutdown_after_seconds": (60, 604_800),
    "scaling_threshold": (0, 1),
}
# Settings of a NodeSelector (SDK chute/node_selector.py has the same); GB for the second.
NODE_RANGES: dict[str, tuple[int, int]] = {"gpu_count": (1, 8), "min_vram_gb_per_gpu": (16, 140)}
USERNAME = re.compile(r"^[A-Za-z0-9_]{3,15}\Z")
# SDK entrypoint/_shared.py CHUTE_REF_RE; (api) lower case.
CHUTE_REFERENCE = re.compile(r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]+\Z")
# (api) section 4: dollars, and hours of a chute's GPUs.
LOWEST_BUILD_BALANCE = 50.0
FIRST_DEPLOYMENT_HOURS = 3
# (api) section 4: per user and day.
BUILDS_A_DAY = 24
VERSIONS_A_DAY = 24

# (api) section 5: who asks, and what an image's status says.
NONCE_WINDOW_S = 600
PUBLIC_CHUTES_BIT = 11  # SDK entrypoint/deploy.py reads it too
PUBLIC_CHUTES_PERMISSION = "Allow deploying models publicly."
IMAGE_PENDING = "pending build"
IMAGE_BUILDING = "building"
IMAGE_BUILT = "built and pushed"
IMAGE_FAILED = "error: "

# Names of variables that hold secrets (section 5: those belong into `chutes secrets create`, not into an image layer).
SECRET_NAME = re.compile(
    r"(?:^|_)(?:[A-Z0-9]*TOKEN|KEY|PASS|PWD|SEED)\Z|SECRET|PASSW|CREDENTIAL|PRIVATE|(?:API|ACCESS)_?KEY", re.IGNORECASE
)


def chute_name_rule(name: str) -> str | None:
    """The rule that ``name`` breaks as a chute's, or None (api, section 4)."""
    shortest, longest = CHUTE_NAME_LENGTH
    if CHUTE_NAME.match(name) and shortest <= len(name) <= longest:
        return None
    return f"{shortest} to {longest} letters, digits, '-', '_', '.' or '/', the first a letter or digit"


def image_name_rule(name: str, length: tuple[int, int] = IMAGE_NAME_LENGTH) -> str | None:
    """The rule that ``name`` breaks as an image's, or, with IMAGE_TAG_LENGTH, as a tag; or None (api, section 4)."""
    shortest, longest = length
    if IMAGE_NAME.match(name) and shortest <= len(name) <= longest:
        return None
    return f"{shortest} to {longest} letters, digits, '-', '_' or '.', the first a letter or digit"


def username_rule(username: str) -> str | None:
    """The rule that ``username`` breaks, or None (api, section 4)."""
    return None if USERNAME.match(username) else "3 to 15 letters, digits or '_'"


def slug(username: str, chute_name: str) -> str:
    """The first label of a chute's host, unless it is taken (api, section 4)."""
    return re.sub("[^a-z0-9]+", "-", f"{username}-{chute_name}".lower()).strip("-")[:LONGEST_SLUG]


def is_shadowed(public_path: str) -> bool:
    """Whether a call to ``public_path`` on the chute's host is answered by the platform itself (api, section 2)."""
    return public_path in PLATFORM_PATHS or any(
        public_path == prefix or public_path.startswith(prefix + "/") for prefix in PLATFORM_PREFIXES
    )


def reserved_port_problem(port: int) -> str | None:
    """Why ``port`` of an instance is never a wrapped service's, or None (section 1)."""
    if port not in (CHUTE_PORT, LOGGING_PORT):
        return None
    owner = "the chute itself" if port == CHUTE_PORT else "the chute's logging server"
    return f"port {port} belongs to {owner} on an instance"


def is_success(status: int) -> bool:
    """Whether the API takes an instance's answer with ``status`` for one: 2xx with a body (api, section 3)."""
    return 200 <= status < 300 and status != 204


def counts_as_failure(status: int) -> bool:
    """Whether an instance's answer with ``status`` counts against it (api, section 3)."""
    return not is_success(status) and status not in (BAD_REQUEST, RATE_LIMITED)


def service_port_problem(port: int) -> str | None:
    """Why a wrapped service cannot listen on ``port`` of an instance, or None (section 1)."""
    if not 1 <= port <= 65535:
        return f"port {port} is not between 1 and 65535"
    if reserved := reserved_port_problem(port):
        return reserved
    if port < LOWEST_UNPRIVILEGED_PORT:
        return f"port {port} is below {LOWEST_UNPRIVILEGED_PORT}, and an instance runs as uid {INSTANCE_UID}"
    return None
