"""Strategies for upstream paths: legal ones, and those that real services have all the same."""

from __future__ import annotations

from hypothesis import strategies as st

SEGMENT = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
LEGAL_PATH = st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
# Few characters, so that paths meet: capitals, dots, parameters, dashes, empty segments, no ASCII at all.
ODD_PATH = st.text(alphabet="aA1_-./{}ü#", max_size=6).map(lambda text: "/" + text)
LONG_PATH = st.integers(190, 215).map(lambda length: "/" + "a" * length) | st.integers(190, 500).map(
    lambda length: "/" + "A" * length
)
NAMED_PATH = st.sampled_from(
    [
        "/",
        "/root",
        "/a/slash",
        "/a/",
        "/a",
        "/users/",
        "/users",
        "/service/users",
        "/ping",
        "/a_d_b",
        "/a-b",
        "/put",
        "/a/put",
    ]
)
PATH = LEGAL_PATH | ODD_PATH | LONG_PATH | NAMED_PATH
