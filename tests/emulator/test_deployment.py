from __future__ import annotations

from typing import Any

from chutes_wrappers.emulator.deployment import chute_record

CORD = {
    "function": "hear",
    "path": "/cw_post/hear",
    "public_api_path": "/hear",
    "public_api_method": "POST",
    "method": "POST",
    "stream": False,
    "passthrough": True,
    "passthrough_path": "/hear",
    "passthrough_port": 8020,
    "input_schema": None,
    "output_schema": None,
    "output_content_type": "application/json",
}
DESCRIBED: dict[str, Any] = {
    "image": {"name": "case", "tag": "v1"},
    "concurrency": 3,
    "max_instances": 2,
    "scaling_threshold": 0.5,
    "shutdown_after_seconds": 60,
    "allow_external_egress": True,
    "cords": [CORD],
}


def record(code: str = "code", **different: Any) -> Any:
    usual = {"name": "My Chute/2", "username": "Tester", "module": "deploy_x", "code": code, "image": "case:v1"}
    return chute_record(DESCRIBED, **{**usual, **different})


def test_a_deployment_is_what_the_module_defines() -> None:
    made = record()
    assert (made.reference, made.filename, made.image) == ("deploy_x:chute", "deploy_x.py", "case:v1")
    assert (made.concurrency, made.max_instances, made.scaling_threshold) == (3, 2, 0.5)
    assert (made.shutdown_after_s, made.allow_external_egress) == (60, True)
    assert [(cord.path, cord.public_api_path, cord.passthrough) for cord in made.cords] == [
        ("/cw_post/hear", "/hear", True)
    ]


def test_its_host_is_made_from_user_and_name_and_fits_a_label() -> None:
    assert record().slug == "tester-my-chute-2"
    assert len(record(name="n" * 127).slug) == 58


def test_another_source_is_another_version_of_the_same_chute() -> None:
    one, two = record("a = 1"), record("a = 2")
    assert one.chute_id == two.chute_id
    assert one.version != two.version
    assert record("a = 1").version == one.version
