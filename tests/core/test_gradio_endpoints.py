from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import Route

POSITIONS = st.lists(st.integers(0, 6), unique=True, max_size=4).map(tuple)


@given(values=st.lists(st.integers(), min_size=7, max_size=9), hidden=POSITIONS)
def test_session_state_is_inserted_at_its_positions(values: list[int], hidden: tuple[int, ...]) -> None:
    endpoint = GradioEndpoint(api_name="x", fn_index=0, hidden_inputs=hidden, hidden_outputs=hidden)
    everything = endpoint.insert_hidden_inputs(values)
    assert [everything[position] for position in hidden] == [None] * len(hidden)
    assert endpoint.remove_hidden_outputs(everything) == values


def test_an_endpoint_survives_the_manifest() -> None:
    parameter = {"name": "image", "required": True, "file": "one", "file_key": "video"}
    entry = {"prefix": "/gradio_api", "api_name": "a/b", "fn_index": 3, "parameters": [parameter], "hidden_inputs": [1]}
    route = Route.model_validate({"path": "/a/b", "port": 7860, "gradio": entry})
    text = Manifest(routes=(route,)).to_json()
    assert parse_manifest(text, where="here").routes == (route,)
    assert route.to_entry()["gradio"] == entry
