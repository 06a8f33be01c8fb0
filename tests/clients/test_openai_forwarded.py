"""The ``openai`` client as it is, through the forwarder: of a chute with a tunnel, and of one with its routes alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from chutes_wrappers.cli.commands import discover
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import TransportFactory, forwarder_thread
from tests.upstreams import openai_service
from tests.upstreams.serving import serve_application

if TYPE_CHECKING:  # its import takes longer than these tests, and each process of pytest-xdist would pay it
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam

TEXT = "wie schön, 你好"
SAY: list[ChatCompletionMessageParam] = [{"role": "user", "content": TEXT}]
TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"


@pytest.fixture(scope="module", params=["tunnel", "routes"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    import openai

    settings = discover.Settings(expose=frozenset(["parameters"]))
    with serve_application(openai_service.application()) as port:
        routes = discover.discover_url(f"http://127.0.0.1:{port}", port, settings, None).routes
        table = RouteTable(plan_cords(routes, port).cords)
        create_transport: TransportFactory = (
            TunnelTransport if request.param == "tunnel" else lambda chute: RouteTransport(chute, table)
        )
        folder, entries = tmp_path_factory.mktemp("openai"), [route.to_entry() for route in routes]
        with (
            dev_chute(folder, entries, port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, create_transport) as local,
            openai.OpenAI(base_url=f"http://127.0.0.1:{local}/v1", api_key="none", max_retries=0) as made,
        ):
            yield made


def test_chats_streamed_and_whole(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model="parrot", messages=SAY, stream=True)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["wie", "schön,", "你好"]
    assert client.chat.completions.create(model="parrot", messages=SAY).choices[0].message.content == TEXT


def test_a_transcription_is_the_clients_own_upload(client: OpenAI) -> None:
    said = client.audio.transcriptions.create(model="parrot", file=("ä.wav", openai_service.SOUND))
    assert said.text == f"ä.wav {hashlib.sha256(openai_service.SOUND).hexdigest()} parrot"


def test_speech_and_pictures_come_back(client: OpenAI) -> None:
    assert client.audio.speech.create(model="parrot", voice="alloy", input="hello").read() == openai_service.SOUND
    picture = client.images.generate(model="parrot", prompt="a parrot").data
    assert picture is not None
    assert base64.b64decode(picture[0].b64_json or "") == openai_service.PICTURE


def test_path_parameters_and_statuses_are_the_services(client: OpenAI) -> None:
    import openai

    assert client.models.retrieve("parrot").id == "parrot"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    with pytest.raises(openai.UnprocessableEntityError, match="messages is empty"):
        client.chat.completions.create(model="parrot", messages=[], stream=True)
