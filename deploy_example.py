"""Template for a wrapped chute: copy it to deploy_yourservice.py and change the capitals.

As it stands it wraps the sample in examples/morse, which speaks and understands Morse code and needs no model and no GPU:

    docker build -t morse-sample:latest examples/morse
    ./deploy.sh --discover deploy_example
    ./deploy.sh --build deploy_example --local
    ./deploy.sh --run-docker deploy_example

Keep the module thin, and without `from __future__ import annotations`: the platform runs exactly this one file.
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

# Whose chute it is: CHUTES_USERNAME, else the account that ./setup.sh --account set up.
USERNAME = chutes_username()

# The chute's name and the version of its image. A name and tag can be built only once: raise the tag with every change.
CHUTE_NAME = "morse-example"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "Text to Morse code and back"

# The image to wrap. For a remote build it must be in a registry that the platform can pull from.
CHUTE_BASE_IMAGE = "morse-sample:latest"

# The ports that the service listens on. The first is where a route without a port goes. Not 8000, 8001 and 8002: the platform's.
SERVICE_PORTS = [8020, 8080]  # speaker: text to WAV; listener: WAV to text

# Given to the service when it starts. Not for secrets: those belong into `chutes secrets create`.
CHUTE_ENV = {
    "MORSE_WPM": "18",
    "MORSE_FREQUENCY": "650",
}

# What discovery cannot find: the listener publishes no OpenAPI document. A second public name for a route is one more entry.
# "request" says how the body travels to the service: json (the default), multipart, form, binary or text.
UPLOAD = {"encoding": "multipart", "files": ["file"]}
CHUTE_STATIC_ROUTES = [
    {"path": "/inference", "method": "POST", "port": 8080, "target_path": "/inference", "request": UPLOAD},
    {"path": "/load", "method": "GET", "port": 8080, "target_path": "/load"},
    {"path": "/v1/audio/transcriptions", "port": 8080, "target_path": "/inference", "request": UPLOAD},
]

# Discovery leaves out path parameters, files, the root and what looks internal; this publishes them as well, here and there.
# CHUTE_EXPOSE = ["parameters", "files"]

# The platform does not run the image's own ENTRYPOINT and CMD: wait_for_services does, as the image says. Set this only to
# start something else: a list is run as it is, a string by /bin/sh -c, and the image's CMD is then not appended.
# ENTRYPOINT = ["python3", "-m", "morse"]

# What `./deploy.sh --emulate` starts where there is no Docker, in this file's folder.
HOST_ENTRYPOINT = "cd examples/morse && exec python3 -m morse"

# The calls that `--emulate` makes, by public method and path; other routes get one from their schema. An answer can be another
# call's upload: here a message goes from text to sound and back.
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
    # Chutes takes only confidential (TEE) chutes, and only on this one GPU; it refuses every other form.
    tee=True,
    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    # Calls at a time; one more is refused with 429.
    concurrency=8,
)


# The services have a /health of their own: on a path that both have, the module's cord answers, and the route is left out.
@chute.cord(public_api_path="/health", public_api_method="GET", method="GET")
async def health_check(self) -> dict:
    """Whether both services answer."""
    errors = await probe_services(SERVICE_PORTS, timeout=5)
    return {"status": "unhealthy", "errors": errors} if errors else {"status": "healthy"}


register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])

# One more cord that carries any HTTP request to these ports, for `./deploy.sh --forward`: with it whoever may call the chute
# reaches everything that the services serve, not only the routes above.
# register_tunnel(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    """Start the wrapped services and wait until both answer."""
    await wait_for_services(SERVICE_PORTS, timeout=120)
