"""Pictures in, pictures out: the body of a request is a picture, and so is the answer's."""

import io
import os
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from PIL import Image, ImageOps, UnidentifiedImageError

KEPT_BY_PNG = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
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


async def body_of(request: Request) -> bytes:
    body = await request.body()
    if len(body) > LARGEST_BYTES:
        raise HTTPException(413, f"a picture has at most {LARGEST_BYTES} bytes")
    return body


Body = Annotated[bytes, Depends(body_of)]


# Plain functions: they run in threads, so that one large picture keeps nobody else waiting.
@app.post("/thumbnail", openapi_extra=TAKES_A_PICTURE, responses=GIVES_A_PICTURE, response_class=Response)
def thumbnail(body: Body, size: int = Query(128, ge=8, le=2048, description="pixels")) -> Response:
    """The picture in a square of this size."""
    picture = opened(body)
    picture.thumbnail((size, size))
    return as_png(picture)


@app.post("/grey", openapi_extra=TAKES_A_PICTURE, responses=GIVES_A_PICTURE, response_class=Response)
def grey(body: Body) -> Response:
    """The picture without its colours."""
    return as_png(ImageOps.grayscale(opened(body)))


def opened(body: bytes) -> Image.Image:
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise HTTPException(415, "the body is no picture that can be read") from error


def as_png(picture: Image.Image) -> Response:
    out = io.BytesIO()
    if picture.mode not in KEPT_BY_PNG:  # CMYK, for instance, which JPEG has
        picture = picture.convert("RGB")
    picture.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8060")))
