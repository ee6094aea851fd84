"""From clips to frames: one a second, at least one, at most the cap, upright; and what is said of files that are no whole video."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from model.common.errors import ImageError
from model.images import decoding as images
from model.images import video
from model.images.budget import Budget
from model.images.video import MAX_FRAMES, video_frames

TINY = Path(__file__).parents[2] / "fixtures" / "images" / "base.png"
STEP = 4  # of grey from frame to frame


def clip(path: Path, frames: int, rate: Fraction | int = 10, size=(64, 48), codec="mpeg4", paint=None) -> Path:
    """A video whose frame n is grey of STEP * n, or what `paint` makes of n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for n in range(frames):
            image = paint(n) if paint else Image.new("RGB", size, (STEP * n % 250,) * 3)
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def numbers(frames) -> list[int]:
    """Which frames of a grey clip these are."""
    return [round(float(np.asarray(frame).mean()) / STEP) for frame in frames]


@pytest.mark.parametrize(
    "suffix, codec", [("mp4", "libx264"), ("mp4", "mpeg4"), ("mkv", "mpeg4"), ("webm", "libvpx"), ("avi", "mpeg4")]
)
def test_a_clip_yields_one_frame_per_second(tmp_path, suffix, codec):
    path = clip(tmp_path / f"clip.{suffix}", 35, codec=codec)
    assert numbers(video_frames(path)) == [0, 10, 20]  # the half second at the end gives none


@pytest.mark.parametrize(
    "frames, rate", [(20, 10), (29, 10), (30, 10), (47, Fraction(30000, 1001)), (48, Fraction(24000, 1001)), (1, 1)]
)
def test_the_frames_are_those_that_upstream_picks(tmp_path, frames, rate):
    path, fps = clip(tmp_path / "clip.mp4", frames, rate), float(rate)
    assert numbers(video_frames(path)) == [int(fps * n) for n in range(int(frames / fps))]


def test_of_a_clip_shorter_than_a_second_the_first_frame_is_used(tmp_path):
    assert numbers(video_frames(clip(tmp_path / "clip.mp4", 4))) == [0]


def test_a_slow_clip_shows_a_frame_for_each_of_its_seconds(tmp_path):
    path = clip(tmp_path / "clip.avi", 3, Fraction(1, 2))
    assert numbers(video_frames(path)) == [0, 0, 1, 1, 2, 2]


def test_a_long_clip_is_decoded_up_to_the_limit(tmp_path):
    path = clip(tmp_path / "clip.mp4", 2 * MAX_FRAMES + 20, 2)
    assert len(list(video_frames(path))) == MAX_FRAMES
    assert numbers(video_frames(path, most=3)) == [0, 2, 4]


def test_a_rotated_clip_is_turned_upright(tmp_path):
    left_red = Image.new("RGB", (64, 48), "blue")
    left_red.paste("red", (0, 0, 32, 48))
    path = clip(tmp_path / "clip.mp4", 10, paint=lambda n: left_red)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # of version 0: 40 bytes stand before the matrix
    one = 1 << 16
    turned_clockwise = [0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30]
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in turned_clockwise)
    path.write_bytes(content)
    (frame,) = video_frames(path)
    assert frame.size == (48, 64)
    top, bottom = np.asarray(frame)[:20].mean((0, 1)), np.asarray(frame)[-20:].mean((0, 1))
    assert top[0] > 200 > 60 > top[2] and bottom[2] > 200 > 60 > bottom[0]


def test_a_large_clip_is_decoded_up_to_the_pixel_limit(tmp_path, monkeypatch):
    path = clip(tmp_path / "clip.mp4", 60)
    monkeypatch.setattr(video, "MAX_DECODED", 31 * 64 * 48)
    assert numbers(video_frames(path)) == [0, 10, 20]
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    assert refusal(path).startswith("too many pixels: 64x48")


def test_a_frame_shown_for_hours_is_not_held_once_per_second(tmp_path):
    path = clip(tmp_path / "clip.avi", 2, Fraction(1, 10_000))
    assert numbers(video_frames(path, most=5)) == [0] * 5


def test_between_two_frames_other_images_can_be_decoded(tmp_path, monkeypatch):
    path = clip(tmp_path / "clip.mp4", 30)
    for module in (video, images):
        monkeypatch.setattr(module, "PIXELS", Budget(1))
    frames = zip(video_frames(path), video_frames(path), strict=True)
    assert [numbers([*pair, images.open_image(TINY)])[:2] for pair in frames] == [[0, 0], [10, 10], [20, 20]]


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        list(video_frames(path))
    assert "\n" not in str(caught.value) and path.name not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_a_video_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "nothing.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    assert "cannot be opened" in refusal(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "cannot be opened" in refusal(tmp_path / "empty.mp4")
    whole = clip(tmp_path / "clip.mp4", 30).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    assert "cannot be opened" in refusal(tmp_path / "half.mp4")


def test_a_truncated_video_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    path = clip(tmp_path / "clip.avi", 40, codec="mpeg4", paint=lambda n: Image.fromarray(np.roll(noise, 3 * n, 1)))
    content = bytearray(path.read_bytes())
    places = [place for place in range(len(content)) if content.startswith(b"00dc", place)]
    for start, end in zip(places[20:38], places[21:39], strict=True):
        content[start + 8 : end] = bytes(end - start - 8)
    path.write_bytes(content)
    assert "is truncated after" in refusal(path)


def test_a_file_with_only_audio_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    assert "only audio" in refusal(path)


def test_a_video_without_frames_is_refused(tmp_path):
    with av.open(str(tmp_path / "clip.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert "no frames" in refusal(tmp_path / "clip.avi") or "cannot be opened" in refusal(tmp_path / "clip.avi")


@pytest.mark.parametrize(
    "content", ["#EXTM3U\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {path}\n"]
)
def test_a_playlist_that_names_other_files_is_not_followed(tmp_path, content):
    path = clip(tmp_path / "clip.ts", 20, codec="libx264")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(content.format(path=path.name))
    assert "cannot be opened" in refusal(playlist)
