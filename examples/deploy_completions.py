"""A server in the shape of OpenAI's API, with streams: the clients that people have go on working.

It wraps the sample in examples/completions, which has no model; vLLM and its kind are wrapped the same way. From the project's
root:

    docker build -t completions:latest examples/completions
    ./deploy.sh --emulate examples/deploy_completions
"""

from chutes.chute import Chute, NodeSelector

from tools.chute_wrappers import (
    build_wrapper_image,
    chutes_username,
    load_route_manifest,
    register_passthrough_routes,
    register_tunnel,
    wait_for_services,
)

USERNAME = chutes_username()

CHUTE_NAME = "completions"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "Chats and embeddings in the shape of OpenAI's API"
CHUTE_BASE_IMAGE = "completions:latest"
SERVICE_PORTS = [8090]

# Where there is no Docker: the toolkit's own environment has FastAPI.
HOST_ENTRYPOINT = "exec ../.venv/bin/python completions/app.py"

# Callers choose by "stream": true. Discovery reads that from the specification, and makes two cords of the route.
CHUTE_EXAMPLES = {
    "POST /v1/chat/completions": {"messages": [{"role": "user", "content": "a careful person"}], "max_tokens": 8},
    "POST /v1/embeddings": {"input": ["a container", "a platform"]},
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
    # As many as the server batches.
    concurrency=32,
)

register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])

# OpenAI's own clients set paths, headers and streams as they like: `./deploy.sh --forward` gives them the original API on
# 127.0.0.1 through this cord. Whoever may call the chute then reaches everything on these ports.
register_tunnel(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    """Start the server and wait until it answers."""
    await wait_for_services(SERVICE_PORTS, timeout=600)
