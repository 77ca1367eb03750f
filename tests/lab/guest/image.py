"""Builds the disk images of the lab's guests, each once: the same inputs are the same image."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.guest import parts
from tests.lab.guest.recipe import BUSYBOX, FOLDER, ROOT, Recipe
from tests.lab.settings import Settings

CODE = (Path(__file__), FOLDER / "parts.py")


def build(recipe: Recipe, settings: Settings | None = None) -> Path:
    """Return the image, building it first unless one of the same inputs is in the cache."""
    folder = (settings or Settings.load()).cache / "guest"
    folder.mkdir(parents=True, exist_ok=True)
    image, key = folder / f"{recipe.name}.qcow2", folder / f"{recipe.name}.key"
    wanted = key_of_inputs(recipe, folder)
    if image.exists() and key.exists() and key.read_text() == wanted:
        return image
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _disk(recipe, folder, Path(scratch)).replace(image)
    key.write_text(wanted)
    return image


def key_of(built: Path) -> str:
    """Return what tells an image from one made of other inputs."""
    return built.with_suffix(".key").read_text().strip()


def key_of_inputs(recipe: Recipe, folder: Path) -> str:
    """Return the digest of everything that goes into the image."""
    digest = hashlib.sha256(f"{recipe.size_mb}\n".encode())
    for each in (recipe, recipe.update) if recipe.update else (recipe,):
        package = parts.kernel_package(folder, each.series)
        digest.update(f"{package.name} {' '.join(each.modules)}\n".encode())
        for path in _files(*CODE, BUSYBOX, ROOT, *each.sources):
            digest.update(f"{path.name} {oct(path.stat().st_mode)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest() + "\n"


def _disk(recipe: Recipe, folder: Path, scratch: Path) -> Path:
    package = parts.kernel_package(folder, recipe.series)
    kernel, initrd = parts.boot_files(recipe, package, scratch / "now")
    files = {"vmlinuz": kernel, "initrd.gz": initrd}
    if recipe.update:
        package = parts.kernel_package(folder, recipe.update.series)
        kernel, initrd = parts.boot_files(recipe.update, package, scratch / "update")
        files |= {"vmlinuz.new": kernel, "initrd.new": initrd}
    return parts.disk(files, recipe.size_mb, scratch)


def _files(*paths: Path) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file())
        else:
            yield path
