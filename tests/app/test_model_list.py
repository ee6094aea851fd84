"""The list of models under the picker."""

from app.model_list import GROUPS, group_of, is_here, listed
from app.settings import parse_settings
from model.common import memory


def test_what_ships_and_what_is_a_folder_is_here_and_a_hub_id_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert all(map(is_here, ("nano", "nano-qalign+mine", str(tmp_path))))
    assert not any(map(is_here, ("one-align", "qscorer", "owner/model", "owner/model@1")))


def test_models_are_grouped_by_what_it_takes_to_use_them(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    settings = parse_settings(["--device", "cpu"])
    assert group_of("nano", settings) == GROUPS[0]
    for free, group in ((2e9, GROUPS[2]), (1e15, GROUPS[1])):
        monkeypatch.setattr(memory, "free_memory", lambda device, free=free: free)
        assert group_of("one-align", settings) == group
    shown = listed(settings, ["nano", "<b>/model"])
    assert GROUPS[0] in shown and "scores 1 to 5" in shown and "<b>/" not in shown
