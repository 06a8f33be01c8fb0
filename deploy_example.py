"""Template for a wrapped chute: copy it to deploy_yourservice.py and change the constants in capitals.

Unchanged, it wraps the sample in examples/morse, which encodes and decodes Morse code and needs no model and no GPU:

    docker build -t morse-sample:latest examples/morse
    ./deploy.sh --discover deploy_example
    ./deploy.sh --build deploy_example --local
    ./deploy.sh --run-docker deploy_example

Keep the module small, and without `from __future__ import annotations`: the platform runs only this one file.
"""

from chutes.chute import Chute, NodeSelector

from tools.chute_wrappers import (
    build_wrapper_image,
    chutes_username,
    load_route_manifest,
    probe_services,
    register_passthrough_routes,
    # register_tunnel,
    wait_for_services,
)

# The owner of the chute: CHUTES_USERNAME, otherwise the account of ./setup.sh --account.
USERNAME = chutes_username()

# The chute's name and the version of its image. Each name and tag can be built only once: raise the tag with every change.
CHUTE_NAME = "morse-example"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "Text to Morse code and back"

# The image to wrap. For a build on the platform it must be in a registry that the platform can pull from.
CHUTE_BASE_IMAGE = "morse-sample:latest"

# The ports that the service listens on. Routes without a port use the first. Ports 8000, 8001 and 8002 belong to the platform.
SERVICE_PORTS = [8020, 8080]  # speaker: text to WAV; listener: WAV to text

# Environment variables of the service. Not for secrets: use `./deploy.sh --secret` for those.
CHUTE_ENV = {
    "MORSE_WPM": "18",
    "MORSE_FREQUENCY": "650",
}

# Headers that the services get with every request, for example their own key. ${SERVICE_KEY} is a variable of the instance, which
# `./deploy.sh --secret` sets; on your machine it is one of your environment.
# CHUTE_HEADERS = {"Authorization": "Bearer ${SERVICE_KEY}"}

# Routes that discovery cannot find: the listener publishes no OpenAPI document. A second public path of a route is one more entry.
# "request" sets the encoding of the body: json (the default), multipart, form, binary or text.
UPLOAD = {"encoding": "multipart", "files": ["file"]}
CHUTE_STATIC_ROUTES = [
    {"path": "/inference", "method": "POST", "port": 8080, "target_path": "/inference", "request": UPLOAD},
    {"path": "/load", "method": "GET", "port": 8080, "target_path": "/load"},
    {"path": "/v1/audio/transcriptions", "port": 8080, "target_path": "/inference", "request": UPLOAD},
]

# Discovery skips path parameters, files, the root and paths that look internal. This publishes these categories, also for static routes.
# CHUTE_EXPOSE = ["parameters", "files"]

# The platform does not run the image's own ENTRYPOINT and CMD: wait_for_services runs them instead. Set this only to start another
# command: a list runs unchanged, a string runs with /bin/sh -c, and the image's CMD is not appended.
# ENTRYPOINT = ["python3", "-m", "morse"]

# The command that `./deploy.sh --emulate` starts without Docker, in this file's folder.
HOST_ENTRYPOINT = "cd examples/morse && exec python3 -m morse"

# The calls that `--emulate` makes, by public method and path; other routes get one from their schema. A response can be the upload
# of another call: here a message becomes sound, and text again.
CHUTE_EXAMPLES = {
    "POST /speak": {"text": "SOS"},
    "GET /alphabet": {"letters": "SO"},
    "POST /inference": {"file": {"answer_of": "POST /speak"}},
    "POST /v1/audio/transcriptions": {"file": {"answer_of": "POST /speak"}},
}

image = build_wrapper_image(USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE)

chute = Chute(
    username=USERNAME,
    name=CHUTE_NAME,
    tagline=CHUTE_TAGLINE,
    image=image,
    # Chutes accepts only confidential (TEE) chutes, and only on this GPU; it rejects every other form.
    tee=True,
    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    # An instance costs $1.80 an hour (price of August 2026; `./deploy.sh --cost` shows the present one).
    # Seconds from the last call to the end of the instance, which cost up to $0.15 each time: 60 to 604800.
    shutdown_after_seconds=300,
    # At most so many instances at a time, which cost at most $1.80 an hour: 1 to 100.
    max_instances=1,
    # Concurrent calls; the platform rejects one more with 429.
    concurrency=8,
)


# The services also have a /health. If a cord of the module has the same path, it responds, and the route is skipped.
@chute.cord(public_api_path="/health", public_api_method="GET", method="GET")
async def health_check(self) -> dict:
    """Return whether both services respond."""
    errors = await probe_services(SERVICE_PORTS, timeout=5)
    return {"status": "unhealthy", "errors": errors} if errors else {"status": "healthy"}


register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])

# One more cord that carries any HTTP request to these ports, for `./deploy.sh --forward`. Everyone who can call the chute can then
# reach everything that the services serve, not only the routes above.
# register_tunnel(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    """Start the wrapped services and wait until both respond."""
    await wait_for_services(SERVICE_PORTS, timeout=120)
