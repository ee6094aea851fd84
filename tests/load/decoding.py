"""What decoding takes at the limits of model/images/decoding.py: time and peak memory of each kind of file, one process each.

    python tests/load/decoding.py [KIND...]

Linux only. Makes images of 100 megapixels (ordinary ones and the slowest that are let in) in a temporary folder and decodes each in a
process of its own. Prints a Markdown table: size of the file, seconds of processor time, the peak of memory above that of the imports,
in MB and in bytes per pixel, and what is still taken when the image was let go of.
"""

import io
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from PIL import Image, ImageCms

from tests.bad_images import bomb, sample_image

SIZE = (12_000, 8_333)  # just below 100 megapixels

MEASURE = """
import sys, time
from model.images.decoding import open_image
from model.common.errors import ImageError
# Not getrusage's ru_maxrss, which a process inherits from the one that started it.
status = lambda key: int(open("/proc/self/status").read().partition(key)[2].split()[0]) * 1024 / 1e6
taken, peak = lambda: status("VmRSS:"), lambda: status("VmHWM:")
content, before, start = sys.argv[1], taken(), time.process_time()
try:
    image = open_image(content)
    pixels = image.width * image.height
except ImageError as error:
    image, pixels = None, 0
    print(error, file=sys.stderr)
seconds = time.process_time() - start
del image
print(seconds, peak() - before, taken() - before, pixels)
"""


def photo(mode: str = "RGB") -> Image.Image:
    return sample_image(1500, 1041).resize(SIZE, Image.Resampling.NEAREST).convert(mode)


def saved(format: str, mode: str = "RGB", **options) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        photo(mode).save(buffer, format, **options)
        return buffer.getvalue()

    return make


def png(interlaced: bool, bits: int, colours: int, *, chunks: bytes = b"") -> bytes:
    """A PNG of black pixels in which every row of every pass is filtered by Paeth's predictor, the slowest."""
    width, height = SIZE
    channels = {0: 1, 2: 3, 6: 4}[colours]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    pack = zlib.compressobj(1)
    packed = []
    for left, top, across, down in passes:
        row = b"\4" + bytes(-(-(width - left) // across) * channels * bits // 8)
        packed += [pack.compress(row) for _ in range(top, height, down)]
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlaced)
    whole = bomb(16, 10_000)
    parts = [(b"IHDR", header), (b"IDAT", b"".join([*packed, pack.flush()])), (b"IEND", b"")]
    chunk = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return whole[:8] + chunk[0] + chunks + chunk[1] + chunk[2]


def many_scans() -> bytes:
    """A progressive JPEG with as many scans as its size allows: the last, which refines nothing, again and again."""
    from model.images.decoding import MAX_SCANNED, MAX_SCANS

    whole = saved("JPEG", "L", progressive=True)()
    scans = whole.count(b"\xff\xda")
    last, end = whole.rindex(b"\xff\xda"), len(whole) - 2
    most = min(MAX_SCANS, MAX_SCANNED // (SIZE[0] * SIZE[1]))
    return whole[:end] + whole[last:end] * (most - scans) + whole[end:]


def cicp(primaries: int, transfer: int) -> bytes:
    data = b"cICP" + bytes([primaries, transfer, 0, 1])
    return struct.pack(">I", 4) + data + struct.pack(">I", zlib.crc32(data))


def webp_of_forty_bytes() -> bytes:
    """A lossless WebP of one colour, 9999 x 9999."""
    buffer = io.BytesIO()
    Image.new("RGB", (9999, 9999)).save(buffer, "WEBP", lossless=True, method=0)
    return buffer.getvalue()


def heic() -> bytes:
    from pillow_heif import from_pillow

    buffer = io.BytesIO()
    from_pillow(photo()).save(buffer, quality=50, enc_params={"preset": "ultrafast"})
    return buffer.getvalue()


def swapped_profile() -> bytes:
    """sRGB's profile with red and green exchanged, so that it has to be applied."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)


KINDS: dict[str, Callable[[], bytes]] = {
    "JPEG": saved("JPEG", quality=90),
    "JPEG, progressive": saved("JPEG", quality=90, progressive=True),
    "JPEG, progressive, most scans": many_scans,
    "JPEG, CMYK": saved("JPEG", "CMYK", quality=90),
    "JPEG with a profile": saved("JPEG", quality=90, icc_profile=swapped_profile()),
    "PNG": saved("PNG", compress_level=1),
    "PNG, RGBA": saved("PNG", "RGBA", compress_level=1),
    "PNG, 16 bits, interlaced": lambda: png(True, 16, 6),
    "PNG, 16 bits, grey": lambda: png(False, 16, 0),
    "PNG, PQ": lambda: png(False, 8, 2, chunks=cicp(9, 16)),
    "WebP": saved("WEBP", quality=80, method=0),
    "WebP of 40 bytes": webp_of_forty_bytes,
    "GIF": saved("GIF", "P"),
    "BMP, grey": saved("BMP", "L"),
    "TIFF, LZW, a strip a row": saved("TIFF", compression="tiff_lzw", strip_size=1),
    "TIFF, JPEG": saved("TIFF", compression="jpeg"),
    "AVIF": saved("AVIF", quality=50, speed=10),
    "HEIC": heic,
}


def main(wanted: list[str]) -> None:
    print("| kind | file, MB | CPU seconds | peak, MB | bytes a pixel | kept, MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        for kind in wanted or KINDS:
            path.write_bytes(KINDS[kind]())
            command = [sys.executable, "-c", MEASURE, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
            seconds, peak, kept, pixels = map(float, done.stdout.split())
            figures = (
                f"{seconds:.1f} | {peak:.0f} | {1e6 * peak / pixels:.1f} | {kept:.0f}"
                if pixels
                else done.stderr.strip()
            )
            print(f"| {kind} | {path.stat().st_size / 1e6:.1f} | {figures} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
