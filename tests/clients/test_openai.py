"""The ``openai`` client against a chute that wraps a service in OpenAI's shape."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from chutes_wrappers.cli.commands import discover
from tests.dev_chute import DevChute, dev_chute
from tests.upstreams import openai_service
from tests.upstreams.serving import serve_application

if TYPE_CHECKING:  # its import takes longer than these tests, and each process of pytest-xdist would pay it
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam

TEXT = "wie schön, 你好"
SAY: list[ChatCompletionMessageParam] = [{"role": "user", "content": TEXT}]


@pytest.fixture(scope="module")
def chute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChute]:
    """What discovery finds of the service, published."""
    folder = tmp_path_factory.mktemp("openai")
    with serve_application(openai_service.application()) as port:
        manifest = discover.discover_url(
            f"http://127.0.0.1:{port}", port, discover.Settings(expose=frozenset(["parameters"])), None
        )
        with dev_chute(folder, [route.to_entry() for route in manifest.routes], port) as running:
            yield running


@pytest.fixture(scope="module")
def client(chute: DevChute) -> Iterator[OpenAI]:
    import openai

    with openai.OpenAI(base_url=f"{chute.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_streamed_chat_arrives_word_by_word(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model="parrot", messages=SAY, stream=True)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["wie", "schön,", "你好"]


def test_speech_comes_back_as_bytes(client: OpenAI) -> None:
    answer = client.audio.speech.create(model="parrot", voice="alloy", input="hello")
    assert answer.read() == openai_service.SOUND


def test_pictures_and_embeddings_come_back(client: OpenAI) -> None:
    picture = client.images.generate(model="parrot", prompt="a parrot").data
    assert picture is not None
    assert base64.b64decode(picture[0].b64_json or "") == openai_service.PICTURE
    numbers = client.embeddings.create(model="parrot", input=["a", "bb"], encoding_format="float")
    assert [item.embedding[1] for item in numbers.data] == [1e-7, 1e-7]


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["parrot"]


def test_an_error_of_the_service_is_quoted(client: OpenAI) -> None:
    import openai

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="parrot", messages=[], stream=True)
    assert caught.value.status_code == 400
    assert "messages is empty" in str(caught.value)


def test_a_transcription_takes_a_file_as_json(chute: DevChute) -> None:
    file = {"filename": "ä.wav", "data": base64.b64encode(openai_service.SOUND).decode()}
    answer = chute.post("/v1/audio/transcriptions", {"file": file, "model": "parrot"}).json()
    assert answer["text"] == f"ä.wav {hashlib.sha256(openai_service.SOUND).hexdigest()} parrot"


def test_a_chat_that_is_not_streamed_is_json_on_the_same_path(chute: DevChute) -> None:
    answer = chute.post("/v1/chat/completions", {"model": "parrot", "messages": SAY}).json()
    assert answer["choices"][0]["message"]["content"] == TEXT


def test_a_path_parameter_is_a_query_parameter(chute: DevChute) -> None:
    assert chute.get("/v1/models/model", model="parrot").json()["id"] == "parrot"
    assert chute.get("/v1/models/model", model="other").json()["detail"]["status"] == 404
