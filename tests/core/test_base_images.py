"""The base images of a Dockerfile, and what the platform's two forges do with them."""

from __future__ import annotations

import pytest

from chutes_wrappers.core.base_images import (
    build_refusal_step,
    describe_forges,
    format_refusal,
    is_refusal,
    list_pulled_images,
    list_refused_bases,
    list_refused_targets,
    parse_base_images,
)


@pytest.mark.parametrize(
    ("dockerfile", "targets"),
    [
        ("FROM vendor/app:1\nRUN true", ["vendor/app:1"]),
        ("# FROM no\n  from --platform=linux/amd64 app\n", ["app"]),
        ("ARG BASE=app\nFROM ${BASE}:1 AS build", ["${BASE}:1"]),
        ("FROM host:5000/app@sha256:abc as x", ["host:5000/app@sha256:abc"]),
        ("FROM \\\n# a comment\n\n  app:1 \\\n AS x\nRUN true", ["app:1"]),
        ("FROM \\  \r\n app\r\nRUN true\r\n", ["app"]),
        ("# escape=`\nFROM `\n app\nRUN dir C:\\\nFROM other", ["app", "other"]),
        ("RUN echo \\\n FROM no\nFROM app", ["app"]),
        ("RUN <<EOF\nFROM no\nEOF\nFROM app", ["app"]),
        ("RUN <<-'EOF' sh\n\tFROM no\n\tEOF\nFROM app", ["app"]),
        ('COPY <<a <<"b" /x/\nFROM no\na\nFROM no\nb\nFROM app', ["app"]),
        ("RUN cat <<<EOF\nFROM app\nEOF", ["app"]),
        ("RUN echo 'x <<EOF'\nFROM app\nEOF", ["app"]),
        ("RUN cat <<EOF\nFROM app", ["app"]),
        ("ENV A=<<EOF\nFROM app\nEOF", ["app"]),
        ('RUN echo "\u2028FROM no"', []),
        ("\ufeffFROM app", ["app"]),
        ("FROMAGE app\nRUN FROM no", []),
        ("FROM", []),
        ("", []),
    ],
)
def test_targets_are_read_as_docker_reads_them(dockerfile: str, targets: list[str]) -> None:
    assert [base.target for base in parse_base_images(dockerfile)] == targets


@pytest.mark.parametrize(
    ("dockerfile", "images"),
    [
        ("FROM one AS Build\nFROM two\nCOPY --from=build /a /a\nFROM build", ("one", "two")),
        ("FROM scratch\nADD a /a", ()),
        ("FROM app AS app", ("app",)),
    ],
)
def test_earlier_stages_and_scratch_are_not_pulled(dockerfile: str, images: tuple[str, ...]) -> None:
    assert list_pulled_images(dockerfile) == images


@pytest.mark.parametrize(
    ("dockerfile", "refused"),
    [
        ("FROM parachutes/python:3.12", ()),
        ("FROM --platform=linux/amd64 parachutes/python@sha256:abc AS a\nFROM scratch", ()),
        ("FROM python:3.12-slim\nFROM python:3.12-slim", ("python:3.12-slim",)),
        ("FROM docker.io/parachutes/python:3.12", ("docker.io/parachutes/python:3.12",)),
        ("ARG BASE=parachutes/python\nFROM $BASE", ("$BASE",)),
        ("FROM parachutes/python AS first\nFROM first", ("first",)),
        ("FROM Parachutes/python", ("Parachutes/python",)),
        ("FROM parachutes/", ("parachutes/",)),
        ("FROM notparachutes/python\nFROM parachutes.example/a", ("notparachutes/python", "parachutes.example/a")),
    ],
)
def test_the_newer_forge_takes_only_the_platforms_images(dockerfile: str, refused: tuple[str, ...]) -> None:
    assert list_refused_bases(dockerfile) == refused
    assert list_refused_targets(base.target for base in parse_base_images(dockerfile)) == refused


def test_each_forge_is_described_in_one_line() -> None:
    assert describe_forges(()) == "both builders of the platform take this base"
    assert describe_forges(["app", "$BASE"]).endswith(
        "refuse: error: Dockerfile FROM targets must use parachutes/* base images, got: app, $BASE"
    )


@pytest.mark.parametrize(
    ("status", "is_one"),
    [
        (f"error: {format_refusal(['app:1'])}", True),
        ("error: Only `FROM parachutes/python` is accepted, not: app", True),
        ("error: every FROM has to be one of parachutes/*\n(got app)", True),
        ("error: Failed to install chutes library into image!", False),
        ("error: parachutes/python:9 not found", False),
        ("error: STEP 1/9: FROM parachutes/python:9: manifest unknown", False),
        ("built and pushed", False),
        ("building FROM parachutes/python", False),
    ],
)
def test_a_refusal_is_recognised_by_its_class(status: str, is_one: bool) -> None:
    assert is_refusal(status) is is_one


def test_a_long_status_is_read_in_linear_time() -> None:
    assert not is_refusal("error: " + "FROM " * 100_000)


def test_the_way_on_deletes_the_image_and_names_the_platforms_own() -> None:
    step = build_refusal_step("ocr:v1")
    assert "--delete-image ocr:v1" in step
    assert "parachutes/python:3.12" in step
    assert "--rebase" not in step
