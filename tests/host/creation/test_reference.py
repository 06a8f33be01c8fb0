from __future__ import annotations

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.creation.reference import parse_reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "host", "name", "version"),
    [
        ("registry.example.com/vendor/ocr", "registry.example.com", "vendor/ocr", "latest"),
        ("127.0.0.1:5000/ocr:1.2", "127.0.0.1:5000", "ocr", "1.2"),
        ("localhost/ocr:1", "localhost", "ocr", "1"),
        ("[::1]:5000/ocr", "[::1]:5000", "ocr", "latest"),
        (f"127.0.0.1:5000/ocr@{DIGEST}", "127.0.0.1:5000", "ocr", DIGEST),
        (f"127.0.0.1:5000/ocr:1@{DIGEST}", "127.0.0.1:5000", "ocr", DIGEST),
    ],
)
def test_a_reference_has_registry_repository_and_tag_or_digest(text: str, host: str, name: str, version: str) -> None:
    reference = parse_reference(text)
    assert (reference.host, reference.name, reference.version, reference.text) == (host, name, version, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "https://example.org/x",
        "-x/y",
        "/x",
        "ocr:",
        "ocr@",
        "ocr@sha256:ab",
        f"ocr:@{DIGEST}",
        "Vendor/ocr",
        'a.b"""+print(1)+"""/ocr',
        "a.b\n/ocr",
        "a.b:port/ocr",
        "[::1/ocr:1",
    ],
)
def test_an_invalid_reference_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid image reference"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["0123456789ab", "ab" * 32, DIGEST, "sha256:0123456789ab"])
def test_an_image_id_is_rejected_with_a_tag_command(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"docker tag {text}"):
        parse_reference(text)
