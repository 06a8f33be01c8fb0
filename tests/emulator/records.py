"""Records of chutes, cords and calls, with ``overrides``."""

from __future__ import annotations

from typing import Any

from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, CordRecord


def make_cord_record(**overrides: Any) -> CordRecord:
    defaults: dict[str, Any] = {
        "method": "POST",
        "path": "/cw_post/a",
        "public_api_path": "/a",
        "public_api_method": "POST",
        "stream": False,
        "passthrough": True,
        "function": "cw_post_a",
    }
    return CordRecord(**{**defaults, **overrides})


def make_chute_record(*cords: CordRecord, **overrides: Any) -> ChuteRecord:
    defaults: dict[str, Any] = {
        "chute_id": "c1",
        "version": "v1",
        "name": "case",
        "slug": "tester-case",
        "username": "tester",
        "filename": "m.py",
        "reference": "m:chute",
        "code": "",
        "image": None,
        "concurrency": 4,
        "max_instances": 1,
        "scaling_threshold": 0.75,
        "shutdown_after_s": 300,
        "allow_external_egress": False,
    }
    return ChuteRecord(cords=cords, **{**defaults, **overrides})


def make_call_record(**overrides: Any) -> CallRecord:
    defaults: dict[str, Any] = {
        "chute_id": "c1",
        "invocation_id": "6f1c2d3e",
        "instance_id": "0123456789",
        "method": "POST",
        "path": "/a",
        "status": 200,
        "instance_status": 200,
        "started_at": 1795000000.0,
        "duration_s": 0.01,
    }
    return CallRecord(**{**defaults, **overrides})
