"""Gradio endpoints: what a call needs to know of one, as discovery learnt it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

# Where a parameter's value holds files: it is one, it is a list of them, or they lie somewhere in it.
FileShape = Literal["one", "many", "inside"]
# Of the queue; the app's /config names it. Gradio 4 (its last releases), 5 and 6 all speak sse_v3.
Protocol = Literal["sse_v1", "sse_v2", "sse_v2.1", "sse_v3"]

_STRICT = ConfigDict(frozen=True, extra="forbid")


class GradioParameter(BaseModel):
    """One argument, in the endpoint's order. ``default`` counts where it is not ``required``.

    ``file_key``: the app wants the file as ``{file_key: file}``.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    required: StrictBool = False
    default: Any = None
    file: FileShape | None = None
    file_key: str = ""


class GradioEndpoint(BaseModel):
    """One named endpoint of a Gradio app. JSON shape: ``gradio`` of a route.

    ``prefix`` is where the app's API lies (``/gradio_api``, or empty for Gradio 4), ``fn_index`` the number of its function.
    ``hidden_inputs`` and ``hidden_outputs`` are the positions of session state, which no caller gives or gets.
    """

    model_config = _STRICT

    prefix: str = ""
    api_name: str = Field(min_length=1)
    fn_index: StrictInt = Field(ge=0)
    protocol: Protocol = "sse_v3"
    parameters: tuple[GradioParameter, ...] = ()
    hidden_inputs: tuple[StrictInt, ...] = ()
    hidden_outputs: tuple[StrictInt, ...] = ()

    @property
    def is_diff_protocol(self) -> bool:
        """Whether what a generator yields comes as the difference to what it yielded before."""
        return self.protocol != "sse_v1"

    def insert_hidden_inputs(self, arguments: Iterable[Any]) -> list[Any]:
        """``arguments`` with nothing where session state goes; the app puts it there."""
        values = list(arguments)
        for position in sorted(self.hidden_inputs):
            values.insert(position, None)
        return values

    def remove_hidden_outputs(self, values: Sequence[Any]) -> list[Any]:
        """``values`` without session state."""
        return [value for position, value in enumerate(values) if position not in self.hidden_outputs]
