"""Renders the example images of the page and of the tests, each from nothing but numpy and a seed.

    python tests/images/make_images.py [--only NAME] [--width 768] [--out tests/images]

Five scenes in photographic manner, and damaged copies of some: blur, noise, compression, darkness, lost resolution.
Lengths are in scene units, colours are linear RGB until `developed` turns them into the 8-bit sRGB of a camera.
"""

import argparse
from pathlib import Path

from damage import compressed, defocused, enlarged, noisy, shaken, underexposed
from film import SUPERSAMPLING
from landscapes import dunes, forest, lake
from night import night_street
from still_life import oranges

SCENES = {"lake": lake, "dunes": dunes, "forest": forest, "oranges": oranges, "night_street": night_street}
COPIES = {
    "lake": {"pristine": None, "blurred": defocused, "compressed": compressed},
    "dunes": {"pristine": None, "noisy": noisy},
    "forest": {"pristine": None, "enlarged": enlarged},
    "oranges": {"pristine": None, "shaken": shaken, "underexposed": underexposed},
    "night_street": {"pristine": None},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SCENES, help="render one scene only")
    parser.add_argument("--width", type=int, default=768, help="in pixels (768)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the images (this one)")
    options = parser.parse_args()
    size = (options.width * SUPERSAMPLING, options.width * 2 // 3 * SUPERSAMPLING)
    for scene in [options.only] if options.only else SCENES:
        image = SCENES[scene](size)
        for name, damage in COPIES[scene].items():
            path = options.out / f"{scene}_{name}.jpg"
            shown = damage(image) if damage else image
            shown.save(path, quality=86 if name != "noisy" else 70, subsampling=0 if not damage else 2, optimize=True)
            print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
