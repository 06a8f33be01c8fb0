"""A wrapped Gradio app: each of its named endpoints becomes a route of the chute.

It wraps the sample in examples/gradio; for your own app change the constants in capitals. From the project's root:

    docker build -t gradio-app:latest examples/gradio
    ./deploy.sh --discover examples/deploy_gradio_app
    ./deploy.sh --build examples/deploy_gradio_app --local
    ./deploy.sh --run-docker examples/deploy_gradio_app
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

CHUTE_NAME = "gradio-app"
CHUTE_TAG = "v1.0.0"
CHUTE_TAGLINE = "A Gradio app as an API"
CHUTE_BASE_IMAGE = "gradio-app:latest"
SERVICE_PORTS = [7860]

# Make the app listen on the port above, whatever the image's default is. Both are Gradio's own variables.
CHUTE_ENV = {
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_SERVER_PORT": "7860",
}

# The bodies of the calls of `./deploy.sh --emulate`; one endpoint receives the sound that another endpoint made.
CHUTE_EXAMPLES = {
    "POST /shout": {"text": "hello"},
    "POST /tone": {"seconds": 0.2},
    "POST /reverse_sound": {"sound": {"answer_of": "POST /tone"}},
    "POST /countdown": {"start": 2},
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
    # The app queues calls itself; with 1, a second caller would be rejected.
    concurrency=8,
)

# Discovery writes one route for each named endpoint to deploy_gradio_app.routes.json.
register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    """Start the app and wait until it responds."""
    await wait_for_services(SERVICE_PORTS, timeout=600)
