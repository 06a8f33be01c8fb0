"""A Gradio app with one component of each kind, to test discovery and calls with Gradio 4, 5 and 6.

Run by the Python of that Gradio: ``python gradio_app.py PORT``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

MAJOR = int(gr.__version__.split(".")[0])
HIDDEN: dict[str, Any] = {"api_name": False} if MAJOR < 6 else {"api_visibility": "private"}


def greet(name: str, punctuation: str, times: float) -> str:
    """Say hello."""
    return f"hello {name}{punctuation}" * int(times)


def invert(image: Any) -> Any:
    return 255 - image


def louder(audio: tuple[int, Any], factor: float) -> tuple[int, Any]:
    rate, samples = audio
    return rate, (samples * factor).astype(samples.dtype)


def measure(file: str, label: str) -> tuple[int, dict[str, str]]:
    return os.path.getsize(file), {"label": label, "name": os.path.basename(file)}


def copy(file: str) -> str:
    return file


def copies(files: list[str]) -> tuple[list[str], int]:
    return list(files), len(files)


def words(text: str) -> Iterator[tuple[str, int]]:
    output = ""
    for word in text.split():
        output += word + " "
        yield output, len(output)
        time.sleep(0.1)


def frames(image: Any) -> Iterator[Any]:
    yield image
    yield 255 - image


def count(limit: float) -> Iterator[int]:
    for number in range(int(limit)):
        yield number
        time.sleep(0.1)


def refuse(text: str) -> str:
    raise gr.Error(f"no {text}")


def crash(text: str) -> str:
    raise ValueError(f"not to be told: {text}")


def stumble(text: str) -> Iterator[str]:
    yield text
    raise gr.Error("it's over")


def remember(text: str, seen: list[str]) -> tuple[str, list[str]]:
    seen = [*seen, text]
    return ",".join(seen), seen


def slow(seconds: float, progress: Any = gr.Progress()) -> str:  # noqa: B008  # Gradio finds it by its default
    for step in range(10):
        progress(step / 10, desc="working")
        time.sleep(seconds / 10)
    return "done"


def talk(message: str, history: list[Any]) -> str:
    return f"you said {message}"


def build() -> gr.Blocks:
    with gr.Blocks() as app:
        text, out, number, count_out = gr.Textbox(), gr.Textbox(), gr.Number(value=2), gr.Number()
        mark = gr.Dropdown(["!", "?"], value="!")
        times = gr.Slider(1, 5, value=1, step=1)
        picture, picture_out = gr.Image(), gr.Image(format="png")
        sound, sound_out = gr.Audio(), gr.Audio()
        file, file_out, facts = gr.File(), gr.File(), gr.JSON()
        files, files_out = gr.File(file_count="multiple"), gr.File(file_count="multiple")
        video, video_out, state = gr.Video(), gr.Video(), gr.State(["first"])
        label = gr.Textbox(value="x")

        def endpoint(function: Any, inputs: Any, outputs: Any, **options: Any) -> None:
            gr.Button().click(function, inputs, outputs, **{"api_name": function.__name__, **options})

        endpoint(greet, [text, mark, times], out)
        endpoint(greet, [text, mark, times], out, api_name="Greet.Again/{x}")
        endpoint(greet, [text, mark, times], out, api_name="docs", queue=False)
        endpoint(greet, [text, mark, times], out, **{"api_name": "secret", **HIDDEN})
        endpoint(invert, picture, picture_out)
        endpoint(louder, [sound, number], sound_out)
        endpoint(measure, [file, label], [count_out, facts])
        endpoint(copy, file, file_out)
        endpoint(copy, video, video_out, api_name="copy_video")
        endpoint(copies, files, [files_out, count_out])
        endpoint(words, text, [out, count_out])
        endpoint(frames, picture, picture_out)
        endpoint(count, number, count_out)
        endpoint(refuse, text, out)
        endpoint(crash, text, out)
        endpoint(stumble, text, out)
        endpoint(remember, [text, state], [out, state])
        endpoint(slow, number, out)
        endpoint(lambda value: gr.update(value=value), text, out, api_name="update")
        endpoint(lambda value: None, text, out, api_name="nothing")
        endpoint(lambda: ("pong", 3.5), None, [out, count_out], api_name="ping")
        endpoint(lambda values: [[value + "!" for value in values]], text, out, api_name="batch", batch=True)
        gr.ChatInterface(talk)
    return app


if __name__ == "__main__":
    build().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]))
