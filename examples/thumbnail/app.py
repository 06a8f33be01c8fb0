"""Pictures in, pictures out: the body of a request is a picture, and so is the answer's."""

import io
import os
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_BYTES = 32 * 1024 * 1024
PICTURE = {"schema": {"type": "string", "format": "binary"}}
TAKES_A_PICTURE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"image/png": PICTURE, "image/jpeg": PICTURE}}
}
GIVES_A_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": PICTURE}, "description": "the picture as PNG"}
}

app = FastAPI(title="Thumbnails", version="1")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/thumbnail", openapi_extra=TAKES_A_PICTURE, responses=GIVES_A_PICTURE, response_class=Response)
async def thumbnail(request: Request, size: int = Query(128, ge=8, le=2048, description="pixels")) -> Response:
    """The picture in a square of this size."""
    picture = await opened(request)
    picture.thumbnail((size, size))
    return as_png(picture)


@app.post("/grey", openapi_extra=TAKES_A_PICTURE, responses=GIVES_A_PICTURE, response_class=Response)
async def grey(request: Request) -> Response:
    """The picture without its colours."""
    return as_png(ImageOps.grayscale(await opened(request)))


async def opened(request: Request) -> Image.Image:
    body = await request.body()
    if len(body) > LARGEST_BYTES:
        raise HTTPException(413, f"a picture has at most {LARGEST_BYTES} bytes")
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise HTTPException(415, "the body is no picture that can be read") from error


def as_png(picture: Image.Image) -> Response:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8060")))
