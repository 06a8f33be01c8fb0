"""The sample with pictures as bodies, called directly."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.examples.serving import serve

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "thumbnail"


def picture(mode: str, kind: str) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (64, 32)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("CMYK", "JPEG"), ("1", "PNG"), ("F", "TIFF"), ("LA", "PNG")]
)
def test_pictures_of_every_mode_come_back_as_png(mode: str, kind: str) -> None:
    with serve([sys.executable, str(FOLDER / "app.py")]) as url:
        for path in ("/thumbnail?size=16", "/grey"):
            response = requests.post(f"{url}{path}", data=picture(mode, kind), timeout=60)
            assert response.status_code == 200, response.text
            assert Image.open(io.BytesIO(response.content)).format == "PNG"


def test_an_invalid_picture_is_rejected() -> None:
    with serve([sys.executable, str(FOLDER / "app.py")]) as url:
        assert requests.post(f"{url}/grey", data=b"no picture", timeout=60).status_code == 415
