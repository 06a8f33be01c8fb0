"""A small Gradio app to wrap: text, choices, a file as input and output, and a generator. No model, no GPU.

Named endpoints: /shout, /tone, /reverse_sound, /countdown. Runs with Gradio 4, 5 and 6.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import wave
from array import array
from collections.abc import Iterator

import gradio as gr

RATE_HZ = 16_000
MAX_TONE_S = 30


def shout(text: str, mark: str, times: int) -> str:
    """Repeat a text, loudly."""
    if not text.strip():
        raise gr.Error("there is nothing to shout")
    return " ".join([text.upper() + mark] * int(times))


def tone(frequency: float, seconds: float) -> str:
    """A sine tone as a WAV file."""
    if not 0 < seconds <= MAX_TONE_S:
        raise gr.Error(f"a tone lasts more than 0 and at most {MAX_TONE_S} seconds")
    step = 2 * math.pi * frequency / RATE_HZ
    return _write_wav(array("h", (int(20_000 * math.sin(step * n)) for n in range(int(RATE_HZ * seconds)))), RATE_HZ)


def reverse_sound(sound: str) -> tuple[str, float]:
    """A WAV file backwards, and how long it is."""
    try:
        with wave.open(sound, "rb") as file:
            rate, frames, width = file.getframerate(), file.readframes(file.getnframes()), file.getsampwidth()
            channels = file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise gr.Error(f"the sound is not a valid WAV file: {error}") from error
    if (width, channels) != (2, 1):
        raise gr.Error("the sound must be mono with 16 bits")
    samples = array("h", frames)
    samples.reverse()
    return _write_wav(samples, rate), len(samples) / rate


def countdown(start: float) -> Iterator[str]:
    """Count down, five numbers a second."""
    for number in range(int(start), 0, -1):
        yield f"{number} …"
        time.sleep(0.2)
    yield "lift-off"


def _write_wav(samples: array[int], rate: int) -> str:
    with tempfile.NamedTemporaryFile(suffix=".wav", delete=False) as file, wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())
    return file.name


def build() -> gr.Blocks:
    """Build the page and its endpoints."""
    with gr.Blocks(title="gradio-app") as app:
        with gr.Tab("Shout"):
            text, shout_output = gr.Textbox(label="Text"), gr.Textbox(label="Said")
            mark = gr.Dropdown(["!", "?", "…"], value="!", label="Mark")
            times = gr.Slider(1, 5, value=1, step=1, label="Times")
            gr.Button("Shout").click(shout, [text, mark, times], shout_output, api_name="shout")
        with gr.Tab("Tone"):
            frequency, seconds = gr.Number(440, label="Frequency in Hz"), gr.Number(1, label="Seconds")
            tone_output = gr.Audio(label="Tone", type="filepath")
            gr.Button("Make").click(tone, [frequency, seconds], tone_output, api_name="tone")
        with gr.Tab("Reverse"):
            sound = gr.Audio(label="Sound", type="filepath")
            backwards, length = gr.Audio(label="Backwards", type="filepath"), gr.Number(label="Seconds")
            gr.Button("Reverse").click(reverse_sound, sound, [backwards, length], api_name="reverse_sound")
        with gr.Tab("Countdown"):
            start, count = gr.Number(3, label="Start"), gr.Textbox(label="Count")
            gr.Button("Start").click(countdown, start, count, api_name="countdown")
    return app


if __name__ == "__main__":
    build().launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        server_port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        show_error=True,
    )
