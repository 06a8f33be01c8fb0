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
    "/bounties", "/invocations", "/registry", "/api_keys", "/miner", "/guess", "/misc", "/servers", "/idp", "/e2e",
    "/encrypted_logs", "/logs", "/model_aliases", "/_metrics",
)  # fmt: skip
# (newest commit only) Only these stay the platform's, and the others are refused as public paths.
NEWEST_PLATFORM_PATHS = frozenset({"/ping", "/docs", "/redoc", "/openapi.json"})
NEWEST_RESERVED_PATHS = frozenset({"/evidence", "/hf_info"})

# Section 1: what an instance is.
IMAGE_PLATFORM = "linux/amd64"
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
# Section 3: the API of 2026 looks so rarely whether the client of a stream is still there.
LINES_PER_DISCONNECT_CHECK = 5
# (api) section 5: how long an API process remembers that it did not find a chute.
MISSING_CHUTE_S = 30.0
TRACE_HEADER = "X-Chutes-Trace"
INVOCATION_HEADER = "X-Chutes-InvocationID"
UPGRADE_REQUIRED = 426
BAD_REQUEST = 400
RATE_LIMITED = 429

# (api) section 1, August 2026: what the forge installs into every image, and what it adds. The status is without "error: ".
PLATFORM_SDK_VERSION = "0.6.9"
SDK_NOT_INSTALLED_STATUS = "Failed to install chutes library into image!"
GUARD_LIBRARY = "/usr/local/lib/chutes-aegis.so"
BYTECODE_MANIFEST = "/etc/bytecode.manifest"
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
# The API takes a "/" too, which the SDK (image/__init__.py) refuses; in a name only.
API_IMAGE_NAME = re.compile(r"^[a-z0-9][a-z0-9-_./]*\Z", re.IGNORECASE)
IMAGE_NAME_LENGTH = (3, 65)
IMAGE_TAG_LENGTH = (2, 33)
MAX_SLUG_LENGTH = 58
MAX_SOURCE_LENGTH = 150_000
MAX_TAGLINE_LENGTH = 1_024
MAX_README_LENGTH = 16_384
MAX_TEXT_LENGTHS = {"tagline": MAX_TAGLINE_LENGTH, "readme": MAX_README_LENGTH}
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
# (api) section 5: what `PUT /chutes/ID` changes without a new version, besides `disabled`; the server of 2025 knows the first
# four. The ignored field is validated.
CHANGEABLE_FIELDS = (
    "tagline", "readme", "tool_description", "logo_id", "max_instances", "scaling_threshold", "shutdown_after_seconds",
)  # fmt: skip
IGNORED_CHANGES = ("shutdown_after_seconds",)
# (api, August 2026) section 4: what an account without a special role may deploy, since 2026-05-12.
TEE_GPU = "pro_6000"
TEE_GPU_COUNT = 1
TEE_GPU_MEMORY_GB = 96
TEE_REQUIRED_MESSAGE = "Only TEE chutes are supported as of 2026-05-12, please set tee=True"
TEE_LIMITED_MESSAGE = "TEE private deployments are limited at this time due to infrastructure capacity limitations."
PUBLIC_CHUTE_MESSAGE = "Chutes no longer supports public chutes. You can instead deploy the chute as a private chute and share it with other users."
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
    ("text-length", "source-length", "number-range", "argument-type", "gpu-name"),
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
REGISTRATION_TOKEN_S = 300
# (api) section 4: names of secrets that get 403. Some that begin with EXCEPTED_SECRET_PREFIXES are accepted; which is unknown.
BANNED_SECRET_PARTS = ("python", "sglang")
BANNED_SECRET_PREFIXES = ("sgl_", "ld_")
BANNED_SECRETS = frozenset({"http_proxy", "https_proxy", "hf_hub_disable_ssl_verify"})
EXCEPTED_SECRET_PREFIXES = ("python", "uv_")

# (api) how the files begin that are accepted as a logo, and their media types. The API refuses an SVG.
LOGO_SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL)
LOGO_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
LOGO_MESSAGE = "Uploaded logo is not an image!"

# (api) section 5: authentication and permissions of a user, and the states of an image.
NONCE_WINDOW_S = 600
# Section 5; SDK entrypoint/startup_logs.py: the log of an instance that never became active is kept for so long.
STARTUP_LOG_KEPT_S = 4 * 3600
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

_API, _LIMITS = "API, section 2", "API, section 4"

# Everything that this package believes about the platform, and since when.
# fmt: off
FACTS: tuple[Fact, ...] = (
    # What an account may deploy.
    Fact(name="tee-required", text="Every chute must be confidential: tee=True.",
         values=("TEE_REQUIRED_MESSAGE",), refusal="400", source=_LIMITS, date="2026-05-12"),
    Fact(name="tee-placement", text="A confidential chute gets exactly one GPU of one kind, and include names only that.",
         values=("TEE_GPU", "TEE_GPU_COUNT", "TEE_ARGUMENTS", "TEE_LIMITED_MESSAGE"), refusal="400", source=_LIMITS),
    Fact(name="no-gpu", text="Settings that leave no GPU end in a bare 500: memory, a maximum price, an exclusion, or its name in upper case.",
         values=("TEE_GPU_MEMORY_GB",), refusal="500", source=_LIMITS),
    Fact(name="tee-change", text="A deployed confidential chute keeps its gpu_count and its set of GPUs.",
         values=("TEE_CHANGE_MESSAGE",), refusal="400", source=_LIMITS),
    Fact(name="tee-name", text='A name that contains "TEE", or ends in "tee", needs tee=True.', refusal="400", source=_LIMITS),
    Fact(name="subnet-name", text="Names with the word of a subnet belong to that subnet.",
         values=("SUBNET_WORDS",), refusal="403", source=_LIMITS),
    Fact(name="public-chute", text="Public chutes are not supported any more; chutes can be shared.",
         values=("PUBLIC_CHUTE_MESSAGE", "PUBLIC_CHUTES_BIT", "PUBLIC_CHUTES_PERMISSION"), refusal="400",
         source="API, section 4; SDK entrypoint/deploy.py"),
    Fact(name="private-image", text="A public chute needs a public image.", refusal="409", source=_LIMITS),
    Fact(name="image-unknown", text="The image of a chute must be built, and be visible for the account.", refusal="400", source=_LIMITS),
    Fact(name="version-exists", text="The same version of a chute cannot be deployed twice.", refusal="409", source=_LIMITS),
    Fact(name="exclude-count", text="exclude has a limited number of entries.",
         values=("MAX_EXCLUDED_GPUS",), refusal="400", source=_LIMITS),
    Fact(name="fee-notice", text="A first deployment costs some hours of its GPUs, and the client must accept that.",
         values=("FIRST_DEPLOYMENT_HOURS",), refusal="402", source=_LIMITS),
    Fact(name="balance", text="The balance must be more than the fee of a first deployment, and more than 0 for an update.",
         refusal="402", source=_LIMITS),
    Fact(name="image-sdk", text="The SDK in the image must not be too old.", refusal="400", source=_LIMITS),
    Fact(name="immutable-chute", text="An immutable chute cannot be updated.", refusal="403", source=_LIMITS),
    Fact(name="chute-changes", text="These fields of a deployed chute can change without a new version; texts cannot be cleared.",
         values=("CHANGEABLE_FIELDS", "IGNORED_CHANGES"), source="API, section 5"),
    Fact(name="daily-limit", text="Creations, updates and deletions of chutes are limited per user and day.",
         values=("MAX_VERSIONS_PER_DAY",), refusal="429", source=_LIMITS),
    Fact(name="check-order", text="The API checks in this order, and reports the first violated rule.",
         values=("CHECK_ORDER",), source=_LIMITS),
    # Names, texts and numbers.
    Fact(name="chute-name", text="Letters, digits, '-', '_', '.' and '/'.",
         values=("CHUTE_NAME", "CHUTE_NAME_LENGTH"), refusal="400", source=_LIMITS),
    Fact(name="chute-replacement", text="A deployment updates the own chute whose name matches without case, '_' as any character.",
         refusal="another chute is updated", source="API, section 5"),
    Fact(name="module-file", text="A file name of a module is a lower case identifier.",
         values=("MODULE_FILE",), refusal="400", source=_LIMITS),
    Fact(name="module-reference", text="A reference is module:variable, both in lower case.",
         values=("CHUTE_REFERENCE",), refusal="400", source="API, section 4; SDK entrypoint/_shared.py"),
    Fact(name="module-syntax", text="The module must be valid Python.", refusal="400", source=_LIMITS),
    Fact(name="source-length", text="The source of a module has a limited number of characters.",
         values=("MAX_SOURCE_LENGTH",), refusal="422", source=_LIMITS),
    Fact(name="text-length", text="Name, tagline and readme have a limited number of characters.",
         values=("MAX_TAGLINE_LENGTH", "MAX_README_LENGTH", "MAX_TEXT_LENGTHS"), refusal="422", source=_LIMITS),
    Fact(name="number-range", text="Numbers of a Chute and of its NodeSelector have limits.",
         values=("CHUTE_RANGES", "FRACTIONS", "NODE_RANGES", "MAX_HOURLY_PRICE"), refusal="422", source="API, section 4; SDK chute/node_selector.py"),
    Fact(name="argument-type", text="An argument of another type is not read. '8' is 8, and 1 is true.", refusal="422", source=_LIMITS),
    Fact(name="gpu-name", text="include and exclude take the GPUs of this list, which have these prices an hour.",
         values=("GPU_HOURLY_PRICES",), refusal="422", source=_LIMITS),
    Fact(name="image-name", text="Letters, digits, '-', '_' and '.'; two names must differ by more than case. The API gives no reason.",
         values=("IMAGE_NAME", "API_IMAGE_NAME", "IMAGE_NAME_LENGTH"), refusal="500", source=_LIMITS),
    Fact(name="image-tag", text="The rules of image names, with other lengths.",
         values=("IMAGE_TAG_LENGTH",), refusal="500", source=_LIMITS),
    Fact(name="username", text="Letters, digits, '_' and '-'; the SDK's registration refuses the dash.",
         values=("USERNAME",), refusal="400", source="API, section 4; SDK util/user.py", date="2026-07"),
    Fact(name="chute-host", text="The host of a chute begins with a slug of user and chute name.",
         values=("SLUG", "MAX_SLUG_LENGTH"), source=_LIMITS, date="2026-07"),
    Fact(name="secret-name", text="Some names of secrets are not accepted.",
         values=("BANNED_SECRET_PARTS", "BANNED_SECRET_PREFIXES", "BANNED_SECRETS", "EXCEPTED_SECRET_PREFIXES"), refusal="403",
         source=_LIMITS, date="2026-07"),
    Fact(name="secret-chute", text="A secret is stored for a chute that is deployed already.", refusal="404",
         source="API of October 2025, and section 5", date="2026-07", sureness="likely"),
    Fact(name="secret-variables", text="Secrets become variables of an instance; names like these are taken for secrets here.",
         values=("SECRET_NAME",), source="section 5"),
    Fact(name="logo-file", text="A logo is a PNG, JPEG, GIF or WebP file, not an SVG.",
         values=("LOGO_SIGNATURE", "LOGO_TYPES", "LOGO_MESSAGE"), refusal="400", source="API of October 2025", sureness="likely"),
    # Builds.
    Fact(name="build-balance", text="A build on the platform needs this balance in dollars.",
         values=("MIN_BUILD_BALANCE",), refusal="402", source=_LIMITS),
    Fact(name="build-limit", text="Builds are limited per user and day.",
         values=("MAX_BUILDS_PER_DAY",), refusal="429", source=_LIMITS),
    Fact(name="sdk-version", text="A client that builds must have at least this SDK.",
         values=("MIN_SDK_VERSION",), refusal="400", source=_LIMITS),
    Fact(name="image-exists", text="A name and tag can be built once, also when the build failed; the SDK itself refuses it before "
         "an upload.", source="API, section 4; SDK entrypoint/build.py"),
    Fact(name="image-status", text="An image has one of these states.",
         values=("IMAGE_PENDING", "IMAGE_BUILDING", "IMAGE_BUILT", "IMAGE_FAILED"), source="API, section 5"),
    Fact(name="forge-base", text="The newer of two forges builds only on the platform's own images.",
         values=("FORGE_BASE_PREFIX", "FORGE_BASE_EXAMPLE", "FORGE_BASE_MESSAGE"), refusal="the build fails", source="API, section 1",
         date="2026-07", sureness="likely"),
    Fact(name="forge-stages", text="The forge installs this SDK and the guard library on top of an image, and removes all *.pyc files.",
         values=("PLATFORM_SDK_VERSION", "SDK_NOT_INSTALLED_STATUS", "GUARD_LIBRARY", "BYTECODE_MANIFEST"), source="API, section 1",
         date="2026-07"),
    Fact(name="stale-image", text="Routes come from the manifest in the image, so image and deployment need the same.",
         refusal="other routes are served", source="section 1"),
    Fact(name="image-libraries", text="The SDK needs this glibc, OpenSSL 3 and one of these Pythons in the image.",
         values=("MIN_GLIBC", "OPENSSL_LIBRARY", "MIN_PYTHON", "MAX_PYTHON"), refusal="the build fails",
         source="section 1; measured with SDK 0.6.9"),
    Fact(name="image-platform", text="Images are built and run on this platform.", values=("IMAGE_PLATFORM",), refusal="the build fails", source="SDK entrypoint/build.py"),
    Fact(name="image-cuda", text="The GPU that is given out needs at least this CUDA; the SDK's own words are older.",
         values=("MIN_CUDA",), source="section 1"),
    # Cords.
    Fact(name="cord-path", text="Each part of an internal path is a lower case letter, then letters, digits or '_'.",
         values=("API_INTERNAL_PATH",), refusal="400", source=_API),
    Fact(name="sdk-path", text="The SDK raises InvalidPath for other paths of a cord.",
         values=("SDK_PATH",), source="SDK chute/cord.py"),
    Fact(name="public-path", text="Each part of a public path is a lower case letter, then letters, digits, '_' or '-'.",
         values=("API_PUBLIC_PATH",), refusal="400", source=_API),
    Fact(name="public-method", text="Public methods are GET and POST; the newest commit also routes the others.",
         values=("API_PUBLIC_METHODS", "NEWEST_PUBLIC_METHODS", "BODILESS_METHODS"), refusal="400", source=_API),
    Fact(name="upstream-methods", text="A cord calls its service with any of these methods.",
         values=("UPSTREAM_METHODS",), source="SDK chute/cord.py"),
    Fact(name="duplicate-path", text="The SDK raises DuplicatePath for a second cord with an internal path, whatever its method.",
         source="SDK chute/base.py"),
    Fact(name="no-cord", text="A chute needs a cord.", refusal="400", source=_LIMITS),
    Fact(name="hidden-cord", text="Of several cords with one public call the first gets it.", source="API, section 3"),
    Fact(name="shadowed-path", text="These paths of a chute's host are the platform's own; the newest commit keeps only four.",
         values=("PLATFORM_PATHS", "PLATFORM_PREFIXES", "NEWEST_PLATFORM_PATHS"), refusal="404", source=_API),
    Fact(name="reserved-path", text="These paths are refused as public paths.",
         values=("NEWEST_RESERVED_PATHS",), source=_API, sureness="newest commit only"),
    # Instances.
    Fact(name="instance-user", text="The chute and its services run as this user, without root.",
         values=("INSTANCE_UID", "INSTANCE_GID", "INSTANCE_USER"), source="section 1; hosts' source", date="2026"),
    Fact(name="instance-folder", text="The chute runs in this folder, which must be writable.",
         values=("INSTANCE_WORKDIR",), source="section 1; SDK entrypoint/_shared.py"),
    Fact(name="instance-volumes", text="Volumes hide these folders of the image.",
         values=("INSTANCE_VOLUMES",), source="section 1; hosts' source", date="2026"),
    Fact(name="cache-folder", text="This folder of the node belongs to the chute, and outlives its instances.",
         values=("CACHE_FOLDER",), source="section 1; hosts' source", date="2026"),
    Fact(name="instance-disk", text="What an instance writes outside its cache shares this size; more ends the instance.",
         values=("INSTANCE_DISK_BYTES",), source="section 1; hosts' source", date="2026"),
    Fact(name="readiness-probe", text="The host probes the logging port: first after one interval, then at each.",
         values=("PROBE_PATH", "PROBE_INTERVAL_S", "PROBE_TIMEOUT_S", "PROBE_FAILURES_TO_UNREADY"), source="section 1; miners' source", date="2026"),
    Fact(name="host-variables", text="The host sets these variables, and its values override the image's; few values are known.",
         values=("HOST_VARIABLES", "HOST_VARIABLE_PREFIXES"), source="section 1; hosts' source", date="2026", sureness="likely"),
    Fact(name="system-calls", text="The confidential guest refuses these system calls, by the longer of two lists.",
         values=("REFUSED_SYSTEM_CALLS", "INSTANCE_CAPABILITIES"), source="section 1; hosts' source", date="2026", sureness="likely"),
    Fact(name="instance-memory", text="/dev/shm has this size.", values=("INSTANCE_SHM_BYTES",), source="section 1; hosts' source", date="2026"),
    Fact(name="service-port", text="These ports are the platform's own, and uid 1000 cannot listen below 1024.",
         values=("CHUTE_PORT", "LOGGING_PORT", "EVIDENCE_PORT", "RESERVED_PORTS", "MIN_UNPRIVILEGED_PORT"), refusal="the instance fails",
         source="section 1; SDK entrypoint/verify.py"),
    Fact(name="execution-context", text="This variable marks an instance.",
         values=("EXECUTION_CONTEXT_VARIABLE", "REMOTE_CONTEXT"), source="SDK util/context.py"),
    Fact(name="toolkit-import", text="Only the module's own file is uploaded: what it imports must be in the image.",
         refusal="the instance fails", source="section 1; SDK entrypoint/deploy.py"),
    Fact(name="future-annotations", text="from __future__ import annotations is reported to break the start of a module.",
         source="section 6", sureness="likely"),
    Fact(name="guard-library", text="chutes-aegis.so is preloaded: with these variables Python ends at once.",
         values=("FAULTHANDLER_VARIABLES",), refusal="the instance fails", source="section 1; measured with SDK 0.6.9"),
    Fact(name="code-review", text="The watchtower judges modules afterwards: obfuscated code and constant responses are banned.",
         source=_LIMITS, date="2026-02"),
    # Calls.
    Fact(name="object-body", text="The body of a call is a JSON object.", refusal="400", source="API, section 3"),
    Fact(name="get-body", text="A call with GET has no body of its own.", refusal="the body is lost", source="API, section 3"),
    Fact(name="stream-request", text="A request for a stream fails on a cord that does not stream.", refusal="500", source="API, section 3"),
    Fact(name="body-size", text="A body may have this size; base64 of a file needs a third more.",
         values=("MAX_REQUEST_BYTES",), refusal="413", source="API, section 3", sureness="newest commit only"),
    Fact(name="call-limit", text="A call ends after so many seconds without a byte (600 until 2025).",
         values=("API_CALL_LIMIT_S",), source="API, section 3"),
    Fact(name="call-attempts", text="A call is tried on several instances.", values=("MAX_INSTANCES_PER_CALL",), source="API, section 3"),
    Fact(name="ingress-retries", text="The ingress repeats calls whose response is 5xx.",
         values=("INGRESS_ATTEMPTS", "INGRESS_RETRIED_METHODS"), source="chart, section 3", sureness="likely"),
    Fact(name="disabling", text="Failures in a row disable an instance; several disables within the time delete it.",
         values=("FAILURES_TO_DISABLE", "DISABLE_S", "DISABLES_TO_DELETION", "DISABLE_WINDOW_S"), source="API, section 3"),
    Fact(name="instance-statuses", text="400 and 429 reach the client; 426 deletes the instance; others count as failures.",
         values=("BAD_REQUEST", "RATE_LIMITED", "UPGRADE_REQUIRED"), source="API, section 3"),
    Fact(name="stream-clients", text="The API looks only at every few lines of a stream whether its client is still there.",
         values=("LINES_PER_DISCONNECT_CHECK",), source="API, section 3"),
    Fact(name="call-headers", text="A request header turns the trace on; a response header has the id of the call.",
         values=("TRACE_HEADER", "INVOCATION_HEADER"), source="API, section 3"),
    # Accounts.
    Fact(name="registration-deposit", text="A registration by wallet needs this on the coldkey; registrations of an IP are limited.",
         values=("REGISTRATION_DEPOSIT_TAO", "MAX_REGISTRATIONS_PER_DAY"), refusal="402", source=_LIMITS, date="2026-07"),
    Fact(name="registration-token", text="A registration needs a token of the website; a wrong or old one gets 403.",
         values=("REGISTRATION_TOKEN_S",), refusal="400", source=_LIMITS, date="2026-07"),
    Fact(name="share-recipient", text="A share goes to the user whose name matches, with '_' as any character.",
         refusal="another user is meant", source="API, section 5"),
    Fact(name="delete-by-id", text="Chutes are deleted by their UUID only.", values=("OBJECT_ID",), refusal="400", source="API, section 5"),
    Fact(name="missing-chutes", text="A chute that was not found stays so for so many seconds; each route looks names up differently.",
         values=("MISSING_CHUTE_S",), source="API, section 5"),
    Fact(name="signatures", text="A signature's time may differ by so many seconds.", values=("NONCE_WINDOW_S",), source="API, section 5", date="2026-07"),
    Fact(name="startup-logs", text="The log of an instance that never became active is kept, encrypted for the owner's hotkey.",
         values=("STARTUP_LOG_KEPT_S",), source="section 5; SDK entrypoint/startup_logs.py"),
    Fact(name="api-keys", text="A key has a name, and scopes of these types.",
         values=("API_KEY_NAME", "API_KEY_OBJECT_TYPES"), source="API, section 5", date="2026-07"),
)
# fmt: on
OVERRULABLE_RULES = tuple(fact.name for fact in FACTS if fact.refusal)


def find_fact(name: str) -> Fact:
    """Return the fact of this name; there must be one."""
    return next(fact for fact in FACTS if fact.name == name)
