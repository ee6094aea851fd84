"""Nobody can make decoding take more memory or time than its limits: neither by one file nor by many at once."""

import io
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from model.common.errors import ImageError
from model.images import decoding as images
from model.images.budget import Budget
from model.images.decoding import MAX_SCANS, open_image
from tests.bad_images import sample_image

ROOT = Path(__file__).parents[3]


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


class Watched(Budget):
    """A budget that notes how much was held at most."""

    most = 0

    def _fits(self, amount):
        fits = super()._fits(amount)
        if fits:
            self.most = max(self.most, self._held + amount)
        return fits


def test_all_decoding_at_once_keeps_to_the_budget(monkeypatch):
    small, large = encoded(sample_image(64, 64), "PNG"), encoded(sample_image(256, 256), "PNG")
    budget = Watched(64 * 64 * 12 * 3)  # three small images at 12 bytes a pixel; the large one is beyond it
    monkeypatch.setattr(images, "PIXELS", budget)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_image, [small] * 20 + [large] * 3 + [small] * 20))
    assert [image.width for image in opened] == [64] * 20 + [256] * 3 + [64] * 20
    assert budget.most == 256 * 256 * 12, "a large image has the budget to itself"
    assert budget._held == 0


def test_shares_are_granted_in_order_so_that_no_request_starves():
    budget, order = Budget(10), []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with budget.share(5):
            inside.set()
            leave.wait()

    def later(amount):
        with budget.share(amount):
            order.append(amount)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    inside.wait()
    for amount in (100, 1, 2):
        threads.append(threading.Thread(target=later, args=[amount]))
        threads[-1].start()
        while len(budget._queue) < len(threads) - 1:  # until it stands in the queue
            time.sleep(0.001)
    assert order == [], "the small ones fit, but came after the large one"
    leave.set()
    for thread in threads:
        thread.join()
    assert order[0] == 100 and sorted(order) == [1, 2, 100]


def test_a_share_is_released_when_decoding_fails(monkeypatch):
    budget = Budget(1)
    monkeypatch.setattr(images, "PIXELS", budget)
    broken = encoded(sample_image(64, 64), "JPEG")[:600]
    for _ in range(2):
        with pytest.raises(ImageError, match="truncated JPEG"):
            open_image(broken)
    assert budget._held == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux")
def test_a_webp_of_one_colour_takes_little_more_memory_than_its_pixels():
    content = encoded(Image.new("RGB", (4000, 4000)), "WEBP", lossless=True)
    assert len(content) < 1000
    program = (
        "import sys\nfrom model.images.decoding import open_image\n"
        "peak = lambda: int(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]) * 1024\n"
        "before = peak()\nopen_image(sys.stdin.buffer)\nprint(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True, cwd=ROOT)
    assert 4 * 4000 * 4000 < int(done.stdout) < 15 * 4000 * 4000  # Pillow's own class takes 20 bytes a pixel


def test_a_jpeg_of_a_thousand_scans_is_refused_before_decoding():
    whole = encoded(sample_image(320, 240).convert("L"), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    scans = whole.count(b"\xff\xda")

    def repeated(count):
        return whole[:-2] + whole[last:-2] * count + whole[-2:]

    with pytest.raises(
        ImageError, match=f"too many scans: this JPEG has {scans + 1000}, the limit at its size is {MAX_SCANS}"
    ):
        open_image(repeated(1000))
    assert open_image(repeated(MAX_SCANS - scans)).size == (320, 240)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: _gif(b"!\xfe" + b"\x01a" * 20_000 + b"\0"), "too many blocks before the first frame"),
        (lambda: _gif(b"!\xfe\x01a\0" * 20_000), "too many blocks before the first frame"),
        (lambda: _png(_chunk(b"IDAT", b"") * 150_000), "too many chunks"),
        (lambda: b"\xff\xd8\xff" + b"\xe1\x00\x08Exif\0\0\xff" * 20_000, "too many segments"),
        (lambda: _packed_bmp(4000, 4000), "too many pixels for a BMP with RLE"),
    ],
)
def test_segments_chunks_and_blocks_are_limited(make, sentence):
    with pytest.raises(ImageError, match=sentence):
        open_image(make())


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_tags_that_all_point_at_one_block_do_not_multiply_it(format):
    size, tags = (50_000, 1000) if format == "JPEG" else (200_000, 400)
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 7, size, 8) for n in range(tags))
    directory = struct.pack("<H", tags) + entries + bytes(4)
    exif = b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + directory
    plain = encoded(sample_image(64, 64), format)
    if format == "PNG":
        content = _png(_chunk(b"eXIf", exif), plain)
    elif format == "JPEG":
        block = b"Exif\0\0" + exif
        content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    elif format == "TIFF":
        content = _tiff_with(plain, size, tags)
    else:
        content = _webp_with(plain, exif)
    tracemalloc.start()
    try:
        assert open_image(content).size == (64, 64)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(content)
    finally:
        tracemalloc.stop()


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(chunks, whole=None):
    whole = whole or encoded(sample_image(64, 64), "PNG")
    return whole[:33] + chunks + whole[33:]


def _gif(blocks):
    whole = encoded(sample_image(64, 64), "GIF")
    start = 13 + (3 << (whole[10] & 7) + 1)
    return whole[:start] + blocks + whole[start:]


def _webp_with(plain, exif):
    """As an extended file: its canvas, its pixels, its EXIF."""
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + (63).to_bytes(3, "little") * 2
    body = b"WEBP" + extended + plain[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff_with(plain, size, tags):
    """With so many private tags more, whose values are the same bytes."""
    start = struct.unpack_from("<I", plain, 4)[0]
    count = struct.unpack_from("<H", plain, start)[0]
    entries = plain[start + 2 : start + 2 + 12 * count]
    entries += b"".join(struct.pack("<HHII", 60_000 + n, 7, size, len(plain)) for n in range(tags))
    end = len(plain) + size
    directory = struct.pack("<H", count + tags) + entries + bytes(4)
    return plain[:4] + struct.pack("<I", end) + plain[8:] + bytes(size) + directory


def _packed_bmp(width, height):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078, 0, 0, 1078) + header + bytes(1024)
