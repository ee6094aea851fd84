"""Decodes one frame per second of a video file, as Q-Align does, with PyAV and within limits.

* Frame int(rate * i) represents second i, for each whole second of the clip; of a clip shorter than a second, the first frame is used.
* MAX_FRAMES: of a longer clip only the first 60 seconds are decoded. Each frame takes 65 of LLaMA-2's 4096 positions. Upstream has no
  limit, and exceeds them.
* MAX_FRAME_PIXELS and MAX_DECODED: a frame may have the size of 8K. If the first seconds have more than MAX_DECODED pixels in total, as
  with 4K at 60 frames per second, fewer seconds are used, since all frames in between must be decoded, too.
* The decoder's memory counts against the same budget as images (model/images/budget.py).
* Only the containers in CONTAINERS are opened: playlists name other files or URLs, which FFmpeg would read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from model.common.errors import ImageError
from model.images.budget import PIXELS
from model.images.decoding import check_size

MAX_FRAMES = 60
MAX_FRAME_PIXELS = 7680 * 4320
MAX_DECODED = 8_000_000_000  # pixels; 60 seconds of 1080p at 60 frames per second have 7.5 billion
MAX_DECODED_FRAMES = 30_000
MAX_THREADS = 4  # each holds its own frames
HELD_FRAMES = 24  # in FFmpeg: 16 reference frames, those being decoded, and the one being converted
FRAME_BYTES = 4  # per pixel, at most: 4:4:4 in 8 bits, or 4:2:0 in 10 bits
SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts"})
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_UPRIGHT = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def video_frames(path: str | Path, most: int = MAX_FRAMES) -> Iterator[Image.Image]:
    """One frame per second of a video file, in order, as upright RGB images; at least one, at most `most`.

    Lazy, so that few frames are in memory at once. Blocks while other threads' decoding uses up the memory budget. Raises ImageError,
    without the file name, for a file that is not a video, has no frames or too many pixels, or is truncated.
    """
    if not Path(path).is_file():
        raise ImageError("not a video: no such file")
    try:
        with av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}) as container:
            stream, rate = video_stream(container)
            pixels = stream.width * stream.height
            picked = _picked(container.decode(stream), rate, most, min(MAX_DECODED_FRAMES, MAX_DECODED // pixels))
            while True:
                # Released before the caller gets the frame, so that it may decode something else.
                with PIXELS.share(pixels * FRAME_BYTES * HELD_FRAMES):
                    frame = next(picked, None)
                if frame is None:
                    return
                yield frame
    except av.FFmpegError as error:
        raise ImageError(f"damaged video: it cannot be opened ({_reason(error)})") from error


def _picked(frames: Iterator[av.VideoFrame], rate: float, most: int, decoded: int) -> Iterator[Image.Image]:
    """The first frame of each whole second, at most `most`, among the first `decoded` frames."""
    seen = given = 0
    waiting: list[Image.Image] = []
    try:
        for frame in frames:
            while given + len(waiting) < most and int(rate * (given + len(waiting))) == seen:
                waiting.append(upright(frame))
            seen += 1
            while waiting and int(seen / rate) > given:
                yield waiting.pop(0)
                given += 1
                if given == most:
                    return
            if seen == decoded:
                break
    except av.FFmpegError as error:
        where = f"is truncated after {seen} frames" if seen else "cannot be opened"
        raise ImageError(f"damaged video: it {where} ({_reason(error)})") from error
    if not given and not waiting:
        raise ImageError("the video has no frames")
    if not given:
        yield waiting[0]


def _reason(error: av.FFmpegError) -> str:
    return (error.strerror or "damaged").lower()


def video_stream(container: av.container.InputContainer) -> tuple[av.VideoStream, float]:
    """The first video stream in a file and its average frames per second. Raises ImageError when there is none."""
    if not container.streams.video:
        raise ImageError("no video in this file, only audio or text")
    stream = container.streams.video[0]
    check_size(stream.width, stream.height)
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        raise ImageError(f"too many pixels: {stream.width}x{stream.height}, the limit of a video is {MAX_FRAME_PIXELS}")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise ImageError("the video does not state its frame rate")
    return stream, float(rate)


def upright(frame: av.VideoFrame) -> Image.Image:
    """The frame as an RGB image, rotated by the angle that the file states."""
    image = frame.to_image()
    turn = _UPRIGHT.get(round(frame.rotation) % 360)
    return image.transpose(turn) if turn is not None else image
