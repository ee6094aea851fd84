"""From a video file to the frames that a model looks at: one a second, as Q-Align does, decoded by PyAV, under limits.

* Frame int(rate * i) stands for second i, for each whole second of the clip; a clip of less than a second gives its first frame.
* MAX_FRAMES: of longer clips the first 60 seconds are looked at, and no more is decoded. Each frame takes 65 of the 4096 positions that
  LLaMA-2 has. Upstream has no limit, and runs past that.
* MAX_FRAME_PIXELS and MAX_DECODED: a frame may have the pixels of 8K; of a clip whose first seconds have more pixels than MAX_DECODED in
  all, such as 4K at 60 frames a second, fewer seconds are looked at, since every frame between them has to be decoded too.
* What the decoder holds counts against the same budget of memory as images do (model/images/budget.py).
* Only the containers in CONTAINERS are opened: playlists and the like name other files, or addresses, that FFmpeg would go and read.
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
MAX_DECODED = 8_000_000_000  # pixels; 1080p at 60 frames a second has 7.5 billion in 60 seconds
MAX_DECODED_FRAMES = 30_000
MAX_THREADS = 4  # each holds frames of its own
HELD_FRAMES = 24  # that FFmpeg keeps: 16 for reference, those in work, and the one that is converted
FRAME_BYTES = 4  # a pixel of a frame, at most: 4:4:4 of 8 bits, or 4:2:0 of 10 bits
SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts"})
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_UPRIGHT = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def video_frames(path: str | Path, most: int = MAX_FRAMES) -> Iterator[Image.Image]:
    """The frames of a video file that stand for its seconds, in order, upright, as RGB images; at least one, at most `most`.

    Decoded as they are asked for, so that few are in memory at once; each waits for its turn where other threads decode so much that
    memory would run short. Raises ImageError, with one sentence that leaves out the file's name, for what is no video, holds no
    frames, has too many pixels, or breaks off.
    """
    if not Path(path).is_file():
        raise ImageError("not a video: no such file")
    try:
        with av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}) as container:
            stream, rate = video_stream(container)
            pixels = stream.width * stream.height
            picked = _picked(container.decode(stream), rate, most, min(MAX_DECODED_FRAMES, MAX_DECODED // pixels))
            while True:
                # Given back before the caller works on the frame: it may decode something else meanwhile.
                with PIXELS.share(pixels * FRAME_BYTES * HELD_FRAMES):
                    frame = next(picked, None)
                if frame is None:
                    return
                yield frame
    except av.FFmpegError as error:
        raise ImageError(f"not a whole video: it cannot be opened ({_reason(error)})") from error


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
        where = f"breaks off after {seen} frames" if seen else "cannot be opened"
        raise ImageError(f"not a whole video: it {where} ({_reason(error)})") from error
    if not given and not waiting:
        raise ImageError("the video holds no frames")
    if not given:
        yield waiting[0]


def _reason(error: av.FFmpegError) -> str:
    return (error.strerror or "damaged").lower()


def video_stream(container: av.container.InputContainer) -> tuple[av.VideoStream, float]:
    """The first moving image in a file and its average frames a second. Raises ImageError when there is none."""
    if not container.streams.video:
        raise ImageError("no video in this file, only sound or text")
    stream = container.streams.video[0]
    check_size(stream.width, stream.height)
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        raise ImageError(f"too many pixels: {stream.width}x{stream.height}, the limit of a video is {MAX_FRAME_PIXELS}")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise ImageError("the video does not say how many frames a second it has")
    return stream, float(rate)


def upright(frame: av.VideoFrame) -> Image.Image:
    """The frame as an RGB image, turned as the camera says it was held."""
    image = frame.to_image()
    turn = _UPRIGHT.get(round(frame.rotation) % 360)
    return image.transpose(turn) if turn is not None else image
