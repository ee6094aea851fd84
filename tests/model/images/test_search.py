"""A folder gives its images, and a sentence for what had to be left out."""

import os

import pytest

from model.common.errors import DataError
from model.images.search import find_all_images, find_images


def test_folders_are_walked_in_order_and_problems_do_not_stop_the_rest(tmp_path):
    for name in ["b/2.JPG", "b/1.png", "a.webp", "b/notes.txt", ".hidden/x.jpg", "b/.y.jpg", "c/deep/3.tiff"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "b" / "notes.txt", tmp_path / "absent", tmp_path, tmp_path / "empty", tmp_path / "a.webp"]
    files, problems = find_images(given)
    inside = ["b/notes.txt", "a.webp", "b/1.png", "b/2.JPG", "c/deep/3.tiff", "a.webp"]
    assert files == [tmp_path / name for name in inside]
    assert problems == [
        (tmp_path / "absent", "no such file or folder"),
        (tmp_path / "empty", "no images in this folder"),
    ]
    with pytest.raises(DataError, match="absent: no such file or folder$"):
        find_all_images(given)
    assert find_all_images([tmp_path / "b"]) == [tmp_path / "b/1.png", tmp_path / "b/2.JPG"]


def test_an_unreadable_folder_is_reported_and_its_neighbours_are_found(tmp_path, monkeypatch):
    for name in ["open/1.png", "shut/2.png"]:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def guarded(path):  # the permission bits themselves do not stop root, who often runs tests
        if os.fspath(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    files, problems = find_images([tmp_path])
    assert files == [tmp_path / "open/1.png"]
    assert problems == [(tmp_path / "shut", "cannot read this folder: permission denied")]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_system_folders_are_skipped(tmp_path):
    hidden = ["@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/S-1/b.jpg", "__MACOSX/._a.jpg", "lost+found/c.png"]
    hidden += ["System Volume Information/d.jpg", ".thumbnails/e.png", "#recycle/f.jpg", "deep/@eadir/g.jpg", "._a.jpg"]
    touch(tmp_path, "a.jpg", "deep/h.heic", *hidden)
    assert find_images([tmp_path]) == ([tmp_path / "a.jpg", tmp_path / "deep/h.heic"], [])
    assert find_images([tmp_path / "@eaDir"])[0], "a folder that was asked for by name is searched"


def test_of_a_photograph_that_a_camera_kept_twice_the_image_stands_for_both(tmp_path, caplog):
    touch(tmp_path, "IMG_1.JPG", "IMG_1.CR2", "IMG_2.jpg", "img_2.nef", "deep/IMG_3.HEIC", "deep/IMG_3.dng")
    images = [tmp_path / name for name in ("IMG_1.JPG", "IMG_2.jpg", "deep/IMG_3.HEIC")]
    assert find_images([tmp_path]) == (images, [])
    assert caplog.messages == [
        f"{tmp_path}: 3 camera raw files lie beside an image of the same name, which stands for both"
    ]
    assert find_all_images([tmp_path]) == images
    touch(tmp_path, "IMG_4.CR2", "deep/IMG_1.CR2", "IMG_1.jxl")  # alone in its folder, and no camera's pair
    assert [sentence.partition(":")[0] for _, sentence in find_images([tmp_path])[1]] == [
        "1 file left out",
        "2 files left out",
    ]


def test_each_unsupported_format_is_reported_once(tmp_path):
    touch(tmp_path, "a.jpg", "x.jxl", *(f"raw/{n}.NEF" for n in range(1000)), "raw/1.cr3", "notes.txt", ".hidden.dng")
    files, problems = find_images([tmp_path])
    assert files == [tmp_path / "a.jpg"]
    assert problems == [
        (tmp_path, "1 file left out: JPEG XL is not supported: save the image as JPEG or PNG"),
        (
            tmp_path,
            "1001 files left out: camera raw is not supported: export the photograph as JPEG, or as TIFF with 16 bits",
        ),
    ]
    assert find_images([tmp_path], frozenset({".mp4"}))[1] == [(tmp_path, "no images in this folder")]
