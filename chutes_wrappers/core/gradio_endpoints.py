"""Gradio endpoints: the facts that a call needs, as discovery found them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

# Where a parameter's value contains files: it is one, it is a list of them, or they are nested in it.
FileShape = Literal["one", "many", "inside"]
# The queue's protocol, from the app's /config. The last releases of Gradio 4, and Gradio 5 and 6, use sse_v3.
Protocol = Literal["sse_v1", "sse_v2", "sse_v2.1", "sse_v3"]

_STRICT = ConfigDict(frozen=True, extra="forbid")


class GradioParameter(BaseModel):
    """One argument, in the endpoint's order. ``default`` is used if it is not ``required``.

    ``file_key``: the app expects the file as ``{file_key: file}``.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    required: StrictBool = False
    default: Any = None
    file: FileShape | None = None
    file_key: str = ""


class GradioEndpoint(BaseModel):
    """One named endpoint of a Gradio app. JSON shape: ``gradio`` of a route.

    ``prefix`` is the path of the app's API (``/gradio_api``, or empty for Gradio 4). ``fn_index`` is the number of its
    function. ``hidden_inputs`` and ``hidden_outputs`` are the positions of session state, which callers neither send nor
    receive.
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
        """Whether each output of a generator is sent as the difference to the previous one."""
        return self.protocol != "sse_v1"

    def insert_hidden_inputs(self, arguments: Iterable[Any]) -> list[Any]:
        """Return ``arguments`` with None at the positions of session state, which the app fills in."""
        values = list(arguments)
        for position in sorted(self.hidden_inputs):
            values.insert(position, None)
        return values

    def remove_hidden_outputs(self, values: Sequence[Any]) -> list[Any]:
        """Return ``values`` without session state."""
        return [value for position, value in enumerate(values) if position not in self.hidden_outputs]
