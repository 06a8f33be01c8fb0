"""A server with the API of OpenAI, including streams: existing clients keep working.

It wraps the sample in examples/completions, which has no model; servers like vLLM are wrapped in the same way. From the project's
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

# For use without Docker: the toolkit's own environment has FastAPI.
HOST_ENTRYPOINT = "exec ../.venv/bin/python completions/app.py"

# Callers request a stream with "stream": true. Discovery reads that from the specification, and makes two cords for the route.
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
    # Chutes accepts only confidential (TEE) chutes, and only on this GPU; it rejects every other form.
    tee=True,
    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    # An instance costs $1.80 an hour (price of August 2026; `./deploy.sh --cost` shows the present one).
    # Seconds from the last call to the end of the instance, which cost up to $0.15 each time: 60 to 604800.
    shutdown_after_seconds=300,
    # At most so many instances at a time, which cost at most $1.80 an hour: 1 to 100.
    max_instances=1,
    # The server's batch size.
    concurrency=32,
)

register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])

# OpenAI's clients choose paths, headers and streams themselves: `./deploy.sh --forward` serves them the original API on
# 127.0.0.1 through this cord. Everyone who can call the chute can then reach everything on these ports.
register_tunnel(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    """Start the server and wait until it responds."""
    await wait_for_services(SERVICE_PORTS, timeout=600)
