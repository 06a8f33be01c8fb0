"""A service that publishes no specification: the module lists its routes.

It wraps the sample in examples/search. From the project's root:

    docker build -t search:latest examples/search
    ./deploy.sh --emulate examples/deploy_search
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

CHUTE_NAME = "search"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "Full-text search in memory"
CHUTE_BASE_IMAGE = "search:latest"
SERVICE_PORTS = [8070]
HOST_ENTRYPOINT = "exec python3 search/app.py"

CHUTE_STATIC_ROUTES = [
    {"path": "/documents", "method": "POST"},
    {"path": "/export", "method": "GET"},
    # "parameters" are removed from the call's JSON or query string, and sent where the service expects them.
    {"path": "/search", "method": "GET", "parameters": [{"name": "q", "required": True}, {"name": "limit"}]},
    # Public paths have no parameters and no DELETE: callers POST {"id": …} to the public path.
    {"path": "/documents/remove", "method": "DELETE", "target_path": "/documents/{id}"},
]

CHUTE_EXAMPLES = {
    "POST /documents": {"id": "greeting", "text": "hello from a container"},
    "GET /search": {"q": "container", "limit": 3},
    "POST /documents/remove": {"id": "nothing"},
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
    # The index is in the instance's memory: with a second instance, callers would find different documents.
    max_instances=1,
    concurrency=16,
)

register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    """Start the service and wait until it responds."""
    await wait_for_services(SERVICE_PORTS, timeout=60)
