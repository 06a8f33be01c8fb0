"""A BentoML service with text, numbers, a file, a stream and a task."""

import typing
from pathlib import Path

import bentoml
import numpy as np
from pydantic import BaseModel


class Options(BaseModel):
    upper: bool = False
    repeat: int = 1


DEFAULTS = Options()


@bentoml.service
class Words:
    @bentoml.api
    def change(self, text: str = "hello", options: Options = DEFAULTS) -> str:
        said = text.upper() if options.upper else text
        return said * options.repeat

    @bentoml.api(batchable=True)
    def lengths(self, texts: list[str]) -> list[int]:
        return [len(text) for text in texts]

    @bentoml.api
    def total(self, numbers: np.ndarray) -> np.ndarray:
        return numbers.sum(axis=-1)

    @bentoml.api
    def size(self, file: Path) -> int:
        return file.stat().st_size

    @bentoml.api
    def copy(self, file: Path) -> Path:
        return file

    @bentoml.api
    async def stream(self, text: str = "a b c") -> typing.AsyncGenerator[str, None]:
        for word in text.split():
            yield word + " "

    @bentoml.task
    def slow(self, text: str = "later") -> str:
        return text[::-1]
