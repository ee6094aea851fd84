"""From a video file to the frames that a model looks at: one a second, as Q-Align does, decoded by PyAV, under limits.

* Frame int(rate * i) stands for second i, for each whole second of the clip; a clip of less than a second gives its first frame.
* MAX_FRAMES: of longer clips the first 60 seconds are looked at, and no more is decoded. Each frame takes 65 of the 4096 positions that
  LLaMA-2 has. Upstream has no limit, and runs past that.
* Only the containers in CONTAINERS are opened: playlists and the like name other files, or addresses, that FFmpeg would go and read.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from model.errors import ImageError
from model.images import check_size

MAX_FRAMES = 60
SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts"})
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_UPRIGHT = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def video_frames(path: str | Path, most: int = MAX_FRAMES) -> Iterator[Image.Image]:
    """The frames of a video file that stand for its seconds, in order, upright, as RGB pictures; at least one, at most `most`.

    Decoded as they are asked for, so that few are in memory at once. Raises ImageError, with one sentence that leaves out the file's name,
    for what is no video, holds no frames, or breaks off.
    """
    if not Path(path).is_file():
        raise ImageError("not a video: no such file")
    seen = given = 0
    waiting: list[Image.Image] = []
    try:
        with av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}) as container:
            stream, rate = video_stream(container)
            for frame in container.decode(stream):
                while int(rate * (given + len(waiting))) == seen:
                    waiting.append(upright(frame))
                seen += 1
                while waiting and int(seen / rate) > given:
                    yield waiting.pop(0)
                    given += 1
                    if given == most:
                        return
    except av.FFmpegError as error:
        reason = (error.strerror or "damaged").lower()
        where = f"breaks off after {seen} frames" if seen else "cannot be opened"
        raise ImageError(f"not a whole video: it {where} ({reason})") from error
    if not given and not waiting:
        raise ImageError("the video holds no frames")
    if not given:
        yield waiting[0]


def video_stream(container: av.container.InputContainer) -> tuple[av.VideoStream, float]:
    """The first moving picture in a file and its average frames a second. Raises ImageError when there is none."""
    if not container.streams.video:
        raise ImageError("no video in this file, only sound or text")
    stream = container.streams.video[0]
    check_size(stream.width, stream.height)
    stream.thread_type = "AUTO"
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise ImageError("the video does not say how many frames a second it has")
    return stream, float(rate)


def upright(frame: av.VideoFrame) -> Image.Image:
    """The frame as an RGB picture, turned as the camera says it was held."""
    picture = frame.to_image()
    turn = _UPRIGHT.get(round(frame.rotation) % 360)
    return picture.transpose(turn) if turn is not None else picture
