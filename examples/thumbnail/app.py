"""A service whose request and response bodies are pictures."""

import io
import os
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from PIL import Image, ImageOps, UnidentifiedImageError

PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
MAX_BODY_BYTES = 32 * 1024 * 1024
PICTURE = {"schema": {"type": "string", "format": "binary"}}
PICTURE_REQUEST: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"image/png": PICTURE, "image/jpeg": PICTURE}}
}
PICTURE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": PICTURE}, "description": "the picture as PNG"}
}

app = FastAPI(title="Thumbnails", version="1")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


async def read_body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise HTTPException(413, f"a picture has at most {MAX_BODY_BYTES} bytes")
    return body


Body = Annotated[bytes, Depends(read_body)]


# Plain functions: they run in threads, so that one large picture does not block other requests.
@app.post("/thumbnail", openapi_extra=PICTURE_REQUEST, responses=PICTURE_RESPONSE, response_class=Response)
def thumbnail(body: Body, size: int = Query(128, ge=8, le=2048, description="pixels")) -> Response:
    """The picture in a square of this size."""
    picture = open_picture(body)
    picture.thumbnail((size, size))
    return make_png_response(picture)


@app.post("/grey", openapi_extra=PICTURE_REQUEST, responses=PICTURE_RESPONSE, response_class=Response)
def grey(body: Body) -> Response:
    """The picture without its colours."""
    return make_png_response(ImageOps.grayscale(open_picture(body)))


def open_picture(body: bytes) -> Image.Image:
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise HTTPException(415, "the body is not a readable picture") from error


def make_png_response(picture: Image.Image) -> Response:
    out = io.BytesIO()
    if picture.mode not in PNG_MODES:  # for example CMYK, which JPEG supports
        picture = picture.convert("RGB")
    picture.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8060")))
