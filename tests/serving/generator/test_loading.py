from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from imagint_serving.config import BundledSource, HubSource, ModelSource, PathSource
from imagint_serving.errors import ModelLoadError
from imagint_serving.generator.loading import check_place, load


def at(folder: Path) -> PathSource:
    return PathSource(type="Path", path=str(folder))


def no_hub(_: HubSource) -> Path:
    raise ConnectionError("the hub cannot be reached")


def test_the_bundled_model_and_its_folder_load_alike() -> None:
    from imagint_serving.models import bundled

    sources: list[ModelSource] = [BundledSource(type="Bundled", name="shapes"), at(bundled("shapes"))]
    names = [type(load(source, torch.float32, no_hub)).__name__ for source in sources]
    assert names == ["ShapesPipeline", "ShapesPipeline"]


def test_any_diffusers_repository_loads_from_a_folder(tiny_repository: Path) -> None:
    pipeline = load(at(tiny_repository), torch.bfloat16, no_hub)
    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    assert pipeline.unet.dtype == torch.bfloat16


def test_a_hub_repository_loads_from_where_the_hub_put_it(tiny_repository: Path) -> None:
    asked: list[HubSource] = []

    def hub(source: HubSource) -> Path:
        asked.append(source)
        return tiny_repository

    source = HubSource(type="Hub", repository="somebody/tiny", revision="abc")
    assert type(load(source, torch.float32, hub)).__name__ == "StableDiffusionPipeline"
    assert asked == [source]


def remove_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def break_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def empty_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{}")


def unknown_class(folder: Path) -> None:
    _change_index(folder, "_class_name", "NoSuchPipeline")


def own_code(folder: Path) -> None:
    (folder / "mine.py").write_text("raise SystemExit('this must never run')\n")
    _change_index(folder, "_class_name", ["mine", "MinePipeline"])


def component_code(folder: Path) -> None:
    (folder / "unet" / "mine.py").write_text("raise SystemExit('this must never run')\n")
    _change_index(folder, "unet", ["mine", "MineModel"])


def foreign_module(folder: Path) -> None:
    _change_index(folder, "unet", ["subprocess", "Popen"])


def pickled_weights(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")


def cut_weights(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"short")


def _change_index(folder: Path, name: str, value: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(shutil.rmtree, "does not exist", id="a folder that is not there"),
        pytest.param(remove_index, "no model_index.json", id="a folder of something else"),
        pytest.param(break_index, "names no pipeline", id="an index that is no JSON"),
        pytest.param(empty_index, "names no pipeline", id="an index without a pipeline"),
        pytest.param(unknown_class, "NoSuchPipeline", id="a pipeline that diffusers does not have"),
        pytest.param(own_code, "never run", id="a pipeline that brings code"),
        pytest.param(component_code, "cannot be loaded", id="a component that brings code"),
        pytest.param(foreign_module, "cannot be loaded", id="a component out of some other module"),
        pytest.param(pickled_weights, "cannot be loaded", id="pickled weights"),
        pytest.param(cut_weights, "cannot be loaded", id="weights cut short"),
    ],
)
def test_a_bad_repository_is_refused_in_one_line(
    tiny_repository: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = Path(shutil.copytree(tiny_repository, tmp_path / "copy"))
    damage(folder)
    with pytest.raises(ModelLoadError, match=message) as refusal:
        load(at(folder), torch.float32, no_hub)
    assert "\n" not in str(refusal.value)
    assert str(folder) in str(refusal.value)


def test_an_unknown_bundled_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelLoadError, match="there are: shapes"):
        load(BundledSource(type="Bundled", name="../shapes"), torch.float32, no_hub)


def test_an_unreachable_hub_is_said_plainly() -> None:
    with pytest.raises(ModelLoadError, match="hub repository somebody/tiny at main cannot be loaded: ConnectionError"):
        load(HubSource(type="Hub", repository="somebody/tiny", revision="main"), torch.float32, no_hub)


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        pytest.param("tenant-acme/mine", True, id="a folder of its own"),
        pytest.param("shared/base", True, id="a folder for everybody"),
        pytest.param("tenant-globex/secret", False, id="a neighbour's folder"),
        pytest.param("tenant-acme/../tenant-globex/secret", False, id="a neighbour's folder by a detour"),
        pytest.param("tenant-acme/link", False, id="a link to a neighbour's folder"),
        pytest.param("tenant-acme-2/x", False, id="a folder whose name begins alike"),
    ],
)
def test_a_folder_must_lie_below_what_the_cluster_offers_the_tenant(tmp_path: Path, place: str, allowed: bool) -> None:
    for name in ("tenant-acme/mine", "shared/base", "tenant-globex/secret", "tenant-acme-2/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tenant-acme/link").symlink_to(tmp_path / "tenant-globex/secret")
    roots = [str(tmp_path / "tenant-acme"), str(tmp_path / "shared")]
    if allowed:
        check_place(at(tmp_path / place), roots)
        return
    with pytest.raises(ModelLoadError, match="does not exist below"):
        check_place(at(tmp_path / place), roots)


def test_without_roots_no_folder_is_served() -> None:
    with pytest.raises(ModelLoadError, match="any folder that this cluster offers"):
        check_place(at(Path("/")), ())
