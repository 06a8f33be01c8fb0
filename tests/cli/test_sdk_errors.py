"""The last error in the SDK's output, with all its lines, and the next step by the platform's reason."""

from __future__ import annotations

import json

import pytest

from chutes_wrappers.cli.sdk_errors import SdkErrors, select_step

STAMP = "2026-11-28 04:31:36.301 | {}    | chutes.entrypoint.deploy:_deploy:96 - "
ERROR, INFO = STAMP.format("ERROR"), STAMP.format("INFO ")


def read(*lines: str) -> str:
    errors = SdkErrors()
    for line in lines:
        errors.add_line(line)
    return errors.last


def test_the_lines_of_a_notice_stay_together() -> None:
    question = "You are about to upload, confirm? (y/n) "
    output = (
        f"{question}{ERROR}DEPLOYMENT FEE NOTICE:",
        "===",
        "the fee is: $0.6",
        " To acknowledge",
        f"{INFO}done",
        "more",
    )
    assert read(*output) == "DEPLOYMENT FEE NOTICE:\n===\nthe fee is: $0.6\nTo acknowledge"


def test_the_last_error_counts() -> None:
    assert read(f"{ERROR}first", f"{ERROR}second", "with more") == "second\nwith more"
    assert (
        read(f"{ERROR}first", "Traceback (most recent call last):", "  File …", "aiohttp.ClientError: gone")
        == "ClientError: gone"
    )
    assert read(f"{ERROR}first", "ValueError: of the same text") == "first\nValueError: of the same text"
    assert read(f"{INFO}fine", "anything") == ""


def test_an_error_is_bounded_and_controls_no_terminal() -> None:
    text = read(f"{ERROR}a\x1b]0;x\x07b", *(f"line {number}" for number in range(500)))
    assert len(text.splitlines()) == 60
    assert "\x1b" not in text


BAN = json.dumps({"detail": json.dumps({"ban_reasons": ["base64 and exec"]})})


@pytest.mark.parametrize(
    ("sdk_error", "step"),
    [
        (
            "The deployment fee, based on your node selector, is $0.6, but you have a balance of 0.0.\nPlease top up",
            "pay in with TAO to 5Pay",
        ),
        ("Your balance is $-1", "pay in with TAO to 5Pay"),
        (
            'Unexpected error uploading image data: {"detail":"You must have a balance of >= $50 to create images."}',
            "pay in",
        ),
        ('Unexpected error deploying chute: {"detail":"Not allowed to deploy only to 5090s"}', 'include=["pro_6000"]'),
        (
            'Unexpected error deploying chute: {"detail":"No supported GPUs based on node selector!"}',
            'include=["pro_6000"]',
        ),
        (f"Unexpected error deploying chute: {BAN}", "change what the reasons name"),
        ("ClientResponseError: 400, message='Bad Request', url='http://a/logos/'", "PNG"),
        ("ClientResponseError: 502, message='Bad Gateway', url='http://a/logos/'", "--doctor"),
        ("ContentTypeError: 502, message='…', url='http://a/chutes/?accept_fee=true'", "what came of it"),
        ("Unexpected error uploading image data: <html><title>502 Bad Gateway</title></html>", "what came of it"),
        ("Unexpected error uploading image data: Internal Server Error", "what came of it"),
        ("Image with name=a and tag=v1 already exists!", "CHUTE_TAG"),
        ("", "what came of it"),
        ("Image '60b5' is not available to be used (yet)!", "--list-images"),
        ('Unexpected error deploying chute: {"detail":"You may only create 24 chutes per day"}', "24 builds"),
        (
            'Unexpected error deploying chute: {"detail":"Cannot change node selector placement constraints"}',
            "--delete",
        ),
        ("Authorization error, please check your credentials.", "--account"),
        (f"Not found {'x' * 300} node_selector", "correct what the platform reports"),
        ("Too many requests", "24 builds"),
        ("something new", "correct what the platform reports"),
        ("port 4f5090aa-4090-5090-a10a-b200b200b200 is odd", "correct what the platform reports"),
    ],
)
def test_the_next_step_follows_the_reason(sdk_error: str, step: str) -> None:
    assert step in select_step(sdk_error, "5Pay")
