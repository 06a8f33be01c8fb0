"""Bytes in, bytes out: a service whose request and response bodies are pictures.

It wraps the sample in examples/thumbnail. From the project's root:

    docker build -t thumbnail:latest examples/thumbnail
    ./deploy.sh --emulate examples/deploy_thumbnail

Callers send {"data": "<base64>", "content_type": "image/png"}, and get the picture's bytes. --call makes this body from a file:

    ./deploy.sh --call thumbnail '/thumbnail?size=64' -F data=@picture.png --output small.png
"""

from chutes.chute import Chute, NodeSelector

from tools.chute_wrappers import (
    build_wrapper_image,
    chutes_username,
    load_route_manifest,
    register_passthrough_routes,
    wait_for_services,
)

USERNAME = chutes_username()

CHUTE_NAME = "thumbnail"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "Small pictures of large ones"
CHUTE_BASE_IMAGE = "thumbnail:latest"
SERVICE_PORTS = [8060]

# `--emulate` sends this file next to the module, and then the picture that the service made from it.
PICTURE = {"data": {"content_of": "thumbnail/sample.png"}}
CHUTE_EXAMPLES = {
    "POST /thumbnail": {**PICTURE, "size": 32},
    "POST /grey": {"data": {"answer_of": "POST /thumbnail"}},
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
    concurrency=8,
)

register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    """Start the service and wait until it responds."""
    await wait_for_services(SERVICE_PORTS, timeout=60)
