"""Every fact about the platform that code needs, with its source.

"SDK" is the ``chutes`` package 0.6.9; "(api)" marks a rule read from the platform's API, which may change without a new
SDK. Sections are those of PLATFORM.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Sureness = Literal["sure", "likely", "newest commit only"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What is believed about the platform.

    ``text`` is one sentence: what the platform does. ``values`` are the names of the constants of this module that it
    sets. ``refusal`` is the status that the platform refuses with, or what fails there; ``--allow`` takes the ``name``
    of such a fact. It is empty for a fact that nothing here refuses anything because of. ``date`` is the day, or the
    month, of the newest source that says so.
    """

    name: str
    text: str
    values: tuple[str, ...] = ()
    refusal: str = ""
    source: str
    date: str = "2026-08"
    sureness: Sureness = "sure"


# SDK chute/cord.py PATH_RE: path, public_api_path and passthrough_path. Without its ambiguity, which takes quadratic time.
SDK_PATH = re.compile(r"^(/[a-z0-9_][a-z0-9_-]*)+\Z")
# (api) section 2: what the API accepts at deployment.
API_INTERNAL_PATH = re.compile(r"^(/[a-z][a-z0-9_]*)+\Z")
API_PUBLIC_PATH = re.compile(r"^(/[a-z][a-z0-9_-]*)+\Z")
API_PUBLIC_METHODS = ("GET", "POST")
# (newest commit only) These too; an older API rejects the whole chute because of one cord.
NEWEST_PUBLIC_METHODS = ("PUT", "PATCH", "DELETE", "HEAD")
# Section 2: upstream methods are free; these are the ones a cord can name (aiohttp session methods).
UPSTREAM_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

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
# SDK entrypoint/verify.py, TeeEvidenceService: bound on every TEE instance before the module is loaded, not in `--dev`.
EVIDENCE_PORT = 8002
RESERVED_PORTS = {
    CHUTE_PORT: "the chute itself",
    LOGGING_PORT: "the chute's logging server",
    EVIDENCE_PORT: "the chute's attestation server",
}
MIN_UNPRIVILEGED_PORT = 1024
EXECUTION_CONTEXT_VARIABLE = "CHUTES_EXECUTION_CONTEXT"
REMOTE_CONTEXT = "REMOTE"
# Section 1: /cache is the node's folder for a chute, and outlives its instances. /tmp and all other writes share the disk limit.
CACHE_FOLDER = "/cache"
INSTANCE_DISK_BYTES = 10 * 1024**3
# Section 1: the readiness probe of a pod, `curl -f http://127.0.0.1:LOGGING_PORT/_alive`.
PROBE_PATH = "/_alive"
PROBE_INTERVAL_S = 15.0
PROBE_TIMEOUT_S = 1.0
PROBE_FAILURES_TO_UNREADY = 60
# Section 1: the variables that the host sets; its values win over the image's. HF_HOME, CIVITAI_HOME and the context are
# known. The other values are likely ones.
HOST_VARIABLES = {
    "HF_HOME": CACHE_FOLDER,
    "CIVITAI_HOME": f"{CACHE_FOLDER}/civitai",
    EXECUTION_CONTEXT_VARIABLE: REMOTE_CONTEXT,
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",
    "NCCL_IB_DISABLE": "1",
    "NCCL_P2P_DISABLE": "1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "TOKIO_WORKER_THREADS": "4",
    "VLLM_DISABLE_TELEMETRY": "1",
}
# The host may set any variable that begins with one of these.
HOST_VARIABLE_PREFIXES = ("CHUTES_", "HF_HUB_", "HF_XET_", "NCCL_")
# Section 1: what a pod's sandbox refuses with EPERM, by the longer of two readings (the second line is the newer profile).
REFUSED_SYSTEM_CALLS = (
    "mount", "umount", "umount2", "pivot_root", "chroot", "keyctl", "bpf", "init_module", "finit_module", "delete_module",
    "ptrace", "process_vm_readv", "process_vm_writev", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd",
    "perf_event_open",
)  # fmt: skip
INSTANCE_CAPABILITIES = ("IPC_LOCK",)

# (api) section 3: when the platform gives up on a call, and on an instance.
# Without a byte from the instance for so long.
API_CALL_LIMIT_S = 1800.0
# An instance is disabled by this many failures in a row, and again by each further one: for 90 s, then 180 s, …
FAILURES_TO_DISABLE = 7
DISABLE_S = 90.0
# It is deleted when it is disabled this often within the time.
DISABLES_TO_DELETION = 6
DISABLE_WINDOW_S = 3600.0
# On how many instances a call is tried.
MAX_INSTANCES_PER_CALL = 3
# By the chart (likely): how often the ingress sends a call whose response is a 5xx, and with which methods.
INGRESS_ATTEMPTS = 3
INGRESS_RETRIED_METHODS = ("GET", "PUT", "DELETE")
# (newest commit only) Of a request's body; a larger one gets 413.
MAX_REQUEST_BYTES = 128 * 1024**2
# Public methods whose calls reach the instance with the body {} (DELETE, HEAD: newest commit only).
BODILESS_METHODS = ("GET", "DELETE", "HEAD")
TRACE_HEADER = "X-Chutes-Trace"
INVOCATION_HEADER = "X-Chutes-InvocationID"
UPGRADE_REQUIRED = 426
BAD_REQUEST = 400
RATE_LIMITED = 429
# Section 3, SDK chute/cord.py (provision_timeout): how long a client of the SDK retries a call that returns 503.
PROVISION_TIMEOUT_S = 180.0

# Section 1, measured: with either of these, which enable faulthandler, Python ends with SIGSEGV under chutes-aegis.so.
FAULTHANDLER_VARIABLES = ("PYTHONFAULTHANDLER", "PYTHONDEVMODE")
# Section 1, measured: chutes-aegis.so needs this glibc, graval's libraries need libcrypto.so.3.
MIN_GLIBC = (2, 34)
# Section 1: TEE_GPU is of the Blackwell generation (sm_120). The SDK's values, 12.2 to 12.6, are older.
MIN_CUDA = (12, 8)
OPENSSL_LIBRARY = "libcrypto.so.3"
# (api) section 1: the newer of the two forges builds only on the platform's own images. It is likely in use, not proven.
FORGE_BASE_PREFIX = "parachutes/"
FORGE_BASE_EXAMPLE = "parachutes/python:3.12"
FORGE_BASE_MESSAGE = "Dockerfile FROM targets must use parachutes/* base images, got: "
# The SDK requires 3.10; its chutes-inspecto.so crashes under CPython 3.13 (measured with 0.6.9 on glibc 2.36 and 2.41).
MIN_PYTHON = (3, 10)
MAX_PYTHON = (3, 12)

# (api) section 4.
MODULE_FILE = re.compile(r"^[a-z][a-z0-9_]*\.py\Z")
CHUTE_NAME = re.compile(r"^(?:[a-z0-9_.-]+/)*[a-z0-9][a-z0-9_./-]*\Z", re.IGNORECASE)
CHUTE_NAME_LENGTH = (3, 127)
IMAGE_NAME = re.compile(r"^[a-z0-9][a-z0-9-_.]*\Z", re.IGNORECASE)
IMAGE_NAME_LENGTH = (3, 65)
IMAGE_TAG_LENGTH = (2, 33)
MAX_SLUG_LENGTH = 58
MAX_SOURCE_LENGTH = 150_000
MAX_TAGLINE_LENGTH = 1_024
MAX_README_LENGTH = 16_384
# Settings of a Chute by the names of its arguments; seconds for the third.
CHUTE_RANGES: dict[str, tuple[float, float]] = {
    "concurrency": (0, 256),
    "max_instances": (1, 100),
    "shutdown_after_seconds": (60, 604_800),
    "scaling_threshold": (0, 1),
}
FRACTIONS = ("scaling_threshold",)  # whole numbers are required for the others
# Settings of a NodeSelector (SDK chute/node_selector.py has the same); GB for the second.
NODE_RANGES: dict[str, tuple[int, int]] = {"gpu_count": (1, 8), "min_vram_gb_per_gpu": (16, 140)}
# (api, August 2026) section 4: what an account without a special role may deploy, since 2026-05-12.
TEE_GPU = "pro_6000"
TEE_GPU_COUNT = 1
TEE_GPU_MEMORY_GB = 96
TEE_MIN_VRAM_GB = (NODE_RANGES["min_vram_gb_per_gpu"][0], TEE_GPU_MEMORY_GB)
TEE_REQUIRED_MESSAGE = "Only TEE chutes are supported as of 2026-05-12, please set tee=True"
TEE_LIMITED_MESSAGE = "TEE private deployments are limited at this time due to infrastructure capacity limitations."
PUBLIC_CHUTE_MESSAGE = (
    "Chutes no longer supports public chutes. You can instead deploy the chute as a private chute and share it with other users."
)
TEE_CHANGE_MESSAGE = "Cannot change node selector placement constraints on a TEE chute"
TEE_ARGUMENTS = ("tee=True,", f'node_selector=NodeSelector(gpu_count={TEE_GPU_COUNT}, include=["{TEE_GPU}"]),')
MAX_EXCLUDED_GPUS = 5
MAX_HOURLY_PRICE = 10.0
SUBNET_WORDS = ("affine", "babelbit", "chronoseek", "glyph", "leoma", "prometheon", "turbovision", "vocence")
# (api) section 4, mid 2026: the GPUs that the API knows → dollars an hour for one.
GPU_HOURLY_PRICES = {
    "pro_6000": 1.8, "3090": 0.25, "4090": 0.4, "5090": 0.7, "a4000": 0.2, "a4000_ada": 0.21, "a5000": 0.25, "a6000": 0.5,
    "a6000_ada": 0.75, "l4": 0.25, "a10": 0.25, "a40": 0.5, "l40": 0.55, "l40s": 0.85, "a100": 1.2, "a100_sxm": 1.25,
    "h100": 1.79, "h100_nvl": 2.25, "h100_sxm": 2.35, "h800": 1.5, "h20": 1.2, "h200": 2.75, "mi300x": 3.0, "b200": 4.5,
    "b300": 4.5,
}  # fmt: skip
# The SDK's own registration (SDK util/user.py) rejects the dash.
USERNAME = re.compile(r"^[A-Za-z0-9_-]{3,15}\Z")
# Section 4: the first label of a chute's host.
SLUG = re.compile(r"^[a-z0-9-]+\Z")
OBJECT_ID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
# (api) section 5. The API's message says up to 32 characters, and its server of October 2025 refused a name of 30 letters.
API_KEY_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,28}\Z")
API_KEY_OBJECT_TYPES = ("images", "chutes", "invocations")
# SDK entrypoint/_shared.py CHUTE_REF_RE; (api) lower case.
CHUTE_REFERENCE = re.compile(r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]+\Z")
# (api) sections 4 and 5: the rules in the order in which the API checks them, first of an upload, then of a deployment.
# It reports those of one group together, or finds them in the order of the cords.
CHECK_ORDER = (
    *(("username",), ("build-limit",), ("sdk-version",), ("build-balance",), ("image-exists",)),
    ("image-name", "image-tag", "forge-base"),
    ("text-length", "source-length", "number-range", "flag-value", "gpu-name"),
    *(("subnet-name",), ("tee-placement",), ("daily-limit",), ("tee-name",), ("public-chute",), ("image-unknown",)),
    *(("private-image",), ("version-exists",), ("tee-required",), ("exclude-count",), ("no-gpu",), ("fee-notice",)),
    *(("balance",), ("image-sdk",), ("immutable-chute",), ("tee-change",)),
    *(("chute-name",), ("module-file",), ("module-reference",), ("module-syntax",)),
    ("cord-path", "public-path", "public-method"),
    *(("duplicate-path",), ("no-cord",)),
)
# (api) section 4: dollars, and hours of a chute's GPUs.
MIN_BUILD_BALANCE = 50.0
FIRST_DEPLOYMENT_HOURS = 3
# (api) section 4: per user and day.
MAX_BUILDS_PER_DAY = 24
MAX_VERSIONS_PER_DAY = 24
# (api) section 4: what the client's X-Chutes-Version must be at least, with a build.
MIN_SDK_VERSION = (0, 3, 61)
# (api) section 4: what is free on the coldkey of a registration.
REGISTRATION_DEPOSIT_TAO = 0.25
MAX_REGISTRATIONS_PER_DAY = 3  # of an IP
# (api) section 4: names of secrets that get 403. Some that begin with EXCEPTED_SECRET_PREFIXES are accepted; which is unknown.
BANNED_SECRET_PARTS = ("python", "sglang")
BANNED_SECRET_PREFIXES = ("sgl_", "ld_")
BANNED_SECRETS = frozenset({"http_proxy", "https_proxy", "hf_hub_disable_ssl_verify"})
EXCEPTED_SECRET_PREFIXES = ("python", "uv_")

# (api) section 5: authentication and permissions of a user, and the states of an image.
NONCE_WINDOW_S = 600
PUBLIC_CHUTES_BIT = 11  # SDK entrypoint/deploy.py reads it too
PUBLIC_CHUTES_PERMISSION = "Allow deploying models publicly."
IMAGE_PENDING = "pending build"
IMAGE_BUILDING = "building"
IMAGE_BUILT = "built and pushed"
IMAGE_FAILED = "error: "

# Names of variables that contain secrets (section 5: set those with `chutes secrets create`, not in an image layer).
SECRET_NAME = re.compile(
    r"(?:^|_)(?:[A-Z0-9]*TOKEN|KEY|PASS|PWD|SEED)\Z|SECRET|PASSW|CREDENTIAL|PRIVATE|(?:API|ACCESS)_?KEY", re.IGNORECASE
)

FACTS: tuple[Fact, ...] = (
    Fact(
        name="tee-required",
        text="Every chute must be confidential: tee=True.",
        values=("TEE_REQUIRED_MESSAGE",),
        source="API, section 4",
        date="2026-05-12",
    ),
)
