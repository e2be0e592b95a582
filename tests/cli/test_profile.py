"""`flexp profile`: tables that fit, a CSV whose parts add up, a picture, and one clear error."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from flexp.catalog.files import read_contract
from flexp.cli import profile as profile_command
from flexp.cli import profile_display, profile_plot, render
from flexp.profiler.by_depth import by_depth
from flexp.profiler.costs import client_peak_bytes
from flexp.profiler.placement import HeadOn, Placement
from flexp.profiler.profile import FlopsCheck, Profile, ProfileSettings, UnitProfile
from typer.testing import Result

Asked = list[tuple[str, ProfileSettings]]
MIB = 2**20
SECOND_COUNT = FlopsCheck(
    version="0.1.5",
    forward_flops=26_000_000_000,
    ratio=1.0012,
    worst_part="block.3",
    worst_ratio=1.0047,
    warning="1 part(s) of the model differ from fvcore's count by more than 0.2%, block.3 the "
    "most: 1.0047 of it",
)


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> Asked:
    """What was asked of the profiler, which answers with the fixture's profile."""
    asked: Asked = []

    def answer(model: str, settings: ProfileSettings, verify: bool = False) -> Profile:
        asked.append((model, settings))
        counted = SECOND_COUNT if verify else None
        return profile.model_copy(update={"settings": settings, "verification": counted})

    monkeypatch.setattr("flexp.profiler.cache.cached_profile", answer)
    return asked


def deep(profile: Profile, blocks: int, scale: int = 1) -> Profile:
    """The profile with as many equal blocks, every figure `scale` times as large."""

    def grown(unit: UnitProfile, name: str) -> UnitProfile:
        figures = unit.model_dump(exclude={"name"})
        return UnitProfile(name=name, **{key: scale * value for key, value in figures.items()})

    block = profile.block_units[0]
    return of_units(
        profile,
        grown(profile.embedding, "embedding"),
        *(grown(block, f"block.{index}") for index in range(blocks)),
        grown(profile.head, "head"),
    )


def of_units(profile: Profile, *units: UnitProfile) -> Profile:
    """The profile with other units; `model_copy` would keep what it has read of its own."""
    return Profile.model_validate({**profile.model_dump(exclude={"units"}), "units": units})


def rows_of(text: str) -> dict[str, list[str]]:
    """The lines of a table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def test_tables(typed: Callable[..., Result], cached: Asked, folder: Path) -> None:
    result = typed("profile", "tiny", "--batch", "4", "-o", "new/profile.yaml")
    assert result.exit_code == 0, result.output
    assert cached == [("tiny", ProfileSettings(batch=4))]
    assert widest(result.stdout) <= 80
    caption = " ".join(result.stdout.split())
    assert "One step of 4 samples of 64 tokens with AdamW; F: FLOPs" in caption
    assert "2 FLOPs per multiply-add" in caption
    assert "without the process itself (--device NAME adds it)" in caption
    rows = rows_of(result.stdout)
    # 4 · 1774464 bytes of weights and 3 · 4 · 12288 for what trains are 6.91 MiB; with 14 MiB saved
    # that is 10.5% of 87.1 + 112 MiB, 5 of 48 eighths; 15.5 of 54.6 GF are 14 of 48
    assert " ".join(rows["block.3"]) == "1.77 M 6.91 MiB 14 MiB ▋ 11% 15.5 GF █▊ 28%"
    assert " ".join(rows["total"]) == "22.6 M 87.1 MiB 112 MiB 54.6 GF"
    assert {row for row in rows if row.isdigit()} == {"1", "2", "3", "4", "5"}
    assert " ".join(rows["4"][-4:]) == "39.1 GF 15.5 GF"
    assert result.stderr == "wrote new/profile.yaml\n"
    assert read_contract(Profile, folder / "new/profile.yaml").model == "tiny"


def test_settings_reach_the_profiler(typed: Callable[..., Result], cached: Asked) -> None:
    result = typed("profile", "tiny", "--method", "head", "--optimizer", "sgd")
    assert cached == [("tiny", ProfileSettings(method="head", optimizer="sgd"))]
    assert "the head alone" in result.stdout
    assert "with SGD" in result.stdout


def test_the_split_shapes_the_depths(
    typed: Callable[..., Result], cached: Asked, profile: Profile
) -> None:
    words = ("--top", "2", "--checkpointing", "--csv", "-")
    lines = list(csv.DictReader(io.StringIO(typed("profile", "tiny", *words).stdout)))
    assert [line["depth"] for line in lines] == ["1", "2", "3"]
    for line in lines:
        placement = Placement(int(line["depth"]), top=2, checkpointing=True)
        assert int(line["device_memory_bytes"]) == client_peak_bytes(profile, placement, 0)
    caption = " ".join(typed("profile", "tiny", *words[:3]).stdout.split())
    assert "the device's blocks checkpointed" in caption
    assert "beside the 2 at the top and the head" in caption
    alone = " ".join(typed("profile", "tiny", "--head", "server").stdout.split())
    assert "that the device runs; the server trains the rest" in alone


def test_csv(typed: Callable[..., Result], cached: Asked, folder: Path) -> None:
    result = typed("profile", "tiny", "--device", "laptop-2019", "--csv", "out/depths.csv")
    assert "What each depth needs" in result.stdout
    assert result.stderr == "wrote out/depths.csv\n"
    with (folder / "out/depths.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["depth"] for line in lines] == ["1", "2", "3", "4", "5"]
    for line in lines:
        parts = ("weight", "gradient", "optimizer", "activation", "process")
        total = sum(int(line[f"{part}_bytes"]) for part in parts)
        assert total == int(line["device_memory_bytes"])
    flops = {int(line["device_flops"]) + int(line["server_flops"]) for line in lines}
    assert len(flops) == 1
    same = typed("profile", "tiny", "--device", "laptop-2019", "--csv", "-")
    assert same.stdout == (folder / "out/depths.csv").read_text(encoding="utf-8")


def test_a_device_says_which_depths_fit(
    typed: Callable[..., Result], cached: Asked, folder: Path, profile: Profile
) -> None:
    need = {depth: client_peak_bytes(profile, Placement(depth), 400 * MIB) for depth in range(1, 6)}
    (folder / "board.yaml").write_text(
        "name: board\nram_bytes: 4 GiB\nruntime_bytes: 400 MiB\nsource: made up\n"
        f"usable_memory_bytes: {need[3]}\ntraining_flops_per_second: 1 GFLOP/s\n",
        encoding="utf-8",
    )
    text = typed("profile", "tiny", "--device", "board.yaml").stdout
    rows = rows_of(text)
    assert {depth: rows[str(depth)][-1] for depth in need} == {
        1: "yes",
        2: "yes",
        3: "yes",
        4: "no",
        5: "no",
    }
    assert widest(text) <= 80
    assert "deepest that fits board: depth 3, with" in text
    assert "its process of 400 MiB included" in " ".join(text.split())
    tight = (folder / "board.yaml").read_text(encoding="utf-8").replace(str(need[3]), "401 MiB")
    (folder / "board.yaml").write_text(tight, encoding="utf-8")
    assert "no depth fits board" in typed("profile", "tiny", "--device", "board.yaml").stdout


def test_json_is_the_profile(
    typed: Callable[..., Result], cached: Asked, profile: Profile, folder: Path
) -> None:
    assert Profile.model_validate_json(typed("profile", "tiny", "--json").stdout) == profile
    result = typed("profile", "tiny", "--json", "--top", "1", "--csv", "depths.csv")
    assert Profile.model_validate_json(result.stdout) == profile
    assert len((folder / "depths.csv").read_text(encoding="utf-8").splitlines()) == 1 + 4


def test_the_second_count_is_shown_and_kept(
    typed: Callable[..., Result], cached: Asked, folder: Path
) -> None:
    result = typed("profile", "tiny", "--verify", "-o", "profile.yaml")
    assert result.exit_code == 0, result.output
    assert widest(result.stdout) <= 80
    text = " ".join(result.stdout.split())
    assert "fvcore 0.1.5 counts 26 GFLOP forward: profile / fvcore is 1.0012" in text
    assert "at worst 1.0047 (block.3)" in text
    assert "warning: 1 part(s) of the model differ from fvcore's count by more than 0.2%" in text
    assert read_contract(Profile, folder / "profile.yaml").verification == SECOND_COUNT
    printed = typed("profile", "tiny", "--verify", "--json").stdout
    assert Profile.model_validate_json(printed).verification == SECOND_COUNT
    assert "fvcore" not in typed("profile", "tiny").stdout


def test_a_second_count_that_agrees_warns_of_nothing() -> None:
    agreeing = SECOND_COUNT.model_copy(
        update={"ratio": 1.0, "worst_part": "block.0", "worst_ratio": 1.0, "warning": None}
    )
    assert profile_display.verification_line(agreeing) == (
        "fvcore 0.1.5 counts 26 GFLOP forward: profile / fvcore is 1.0000, at worst 1.0000 "
        "(block.0)"
    )


@pytest.mark.parametrize(
    ("blocks", "depths"),
    [
        (2, [1]),
        (6, [1, 2, 3, 4, 5]),
        (13, list(range(1, 13))),
        (14, [1, 2, 4, 8, 13]),
        (32, [1, 2, 4, 8, 16, 31]),
        (33, [1, 2, 4, 8, 16, 32]),
        (80, [1, 2, 4, 8, 16, 32, 64, 79]),
    ],
)
def test_depths_shown(blocks: int, depths: list[int], profile: Profile) -> None:
    assert [row.depth for row in profile_display.shown(reading(deep(profile, blocks)))] == depths


def test_where_fitting_ends_is_shown(profile: Profile, folder: Path) -> None:
    from flexp.catalog.devices import device_type

    large = deep(profile, 80, scale=4)
    found = reading(large, device="laptop-2019")
    limit = device_type("laptop-2019").usable_memory_bytes
    fits = [row.depth for row in found.depths if row.device_memory_bytes <= limit]
    shown = [row.depth for row in profile_display.shown(found)]
    assert 16 < fits[-1] < 79
    assert {fits[-1], fits[-1] + 1, 79} <= set(shown)


@pytest.mark.parametrize("scale", [1, 37, 9_001])
@pytest.mark.parametrize("blocks", [6, 32, 80])
@pytest.mark.parametrize("device", [None, "laptop-2019"])
def test_tables_fit(blocks: int, scale: int, device: str | None, profile: Profile) -> None:
    to = render.console()
    to.width = 80
    with to.capture() as captured:
        found = reading(deep(profile, blocks, scale), device)
        to.print(profile_display.unit_table(found.profile))
        to.print(profile_display.depth_table(found))
    text = captured.get()
    assert widest(text) <= 80
    assert "e+" not in text
    rows = rows_of(text)
    assert rows[f"block.0-{blocks - 1}"][0] == "(each)"  # on one line
    assert len([row for row in rows if row.isdigit()]) == len(profile_display.shown(found))


def reading(found: Profile, device: str | None = None) -> profile_display.Reading:
    from flexp.catalog.devices import device_type

    on = device_type(device) if device else None
    depths = by_depth(found, Placement(1), "bf16", "shared", on.runtime_bytes if on else 0)
    return profile_display.Reading(found, Placement(1), "bf16", on, depths)


def test_a_single_block_has_no_depths(
    typed: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, profile: Profile
) -> None:
    single = deep(profile, 1)
    monkeypatch.setattr("flexp.profiler.cache.cached_profile", lambda *_: single)
    result = typed("profile", "tiny")
    assert result.exit_code == 0, result.output
    assert "What each depth needs" not in result.stdout
    assert typed("profile", "tiny", "--csv", "-").exit_code == 10


def test_an_update_at_the_peak_is_explained(profile: Profile) -> None:
    trained = {"trainable_bytes": 900 * MIB, "largest_trainable_bytes": 900 * MIB}
    found = of_units(profile, *profile.units[:-1], profile.head.model_copy(update=trained))
    assert "the peak is the optimizer's update" in profile_display.depth_caption(reading(found))
    assert "optimizer's update" not in profile_display.depth_caption(reading(profile))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (7_700, "7.7 k"), (22_713_216, "22.7 M"), (1_004_000, "1 M")],
)
def test_count(number: int, text: str) -> None:
    assert profile_display.count(number) == text


def test_equal_neighbours_share_a_row(profile: Profile) -> None:
    rows = [(name, len(units)) for name, units in profile_display.grouped(profile)]
    assert rows == [
        ("embedding", 1),
        ("block.0-2 (each)", 3),
        ("block.3", 1),
        ("block.4-5 (each)", 2),
        ("head", 1),
    ]


def test_shares_add_up(profile: Profile) -> None:
    table = profile_display.unit_table(profile)
    for column in (4, 6):
        cells = [str(cell) for cell in table.columns[column].cells][:-1]
        shares = [int(re.findall(r"(\d+)%", cell)[0]) for cell in cells]
        assert abs(sum(shares) - 100) <= len(shares) / 2


def test_head_choices_are_the_placements() -> None:
    assert get_args(profile_command.HeadName) == get_args(HeadOn)


@pytest.mark.parametrize(("name", "begins"), [("p.png", b"\x89PNG\r\n"), ("p.svg", b"<?xml")])
def test_plot(
    name: str, begins: bytes, typed: Callable[..., Result], cached: Asked, folder: Path
) -> None:
    result = typed("profile", "tiny", "--device", "laptop-2019", "--plot", name)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"wrote {name}\n"
    picture = (folder / name).read_bytes()
    assert picture.startswith(begins)
    assert len(picture) > 10_000


def test_a_picture_shows_parts_limit_and_units(profile: Profile) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    drawn = Figure().subplots(1, 2)
    near = reading(deep(profile, 12, scale=11), "laptop-2019")
    profile_plot._draw_memory(drawn[0], near)
    profile_plot._draw_flops(drawn[1], near)
    texts = [text.get_text() for text in drawn[0].texts]
    assert texts == [*(part.label for part in profile_plot.MEMORY), "laptop-2019: 4 GiB usable"]
    (line,) = drawn[0].lines
    assert list(line.get_ydata()) == [4.0, 4.0]
    assert (drawn[0].get_ylabel(), drawn[1].get_ylabel()) == ("GiB", "TFLOP")
    highest = max(bar.get_y() + bar.get_height() for bar in drawn[0].patches)
    assert highest == pytest.approx(near.depths[-1].device_memory_bytes / 2**30)
    assert [text.get_text() for text in drawn[1].texts] == ["device", "server"]


def test_spread() -> None:
    assert profile_plot.spread([1, 1.5, 9], 1) == [1, 2, 9]
    assert profile_plot.spread([], 1) == []


# command, exit code, what the message says
WRONG = {
    "csv of another format": ("--csv out.xls", 5, ["--csv", "'.xls'", ".csv"]),
    "csv in a file": ("--csv fleet.yaml/out.csv", 5, ["--csv", "fleet.yaml is a file"]),
    "csv is a folder": ("--csv .", 5, ["--csv", "folder"]),
    "plot of another format": ("--plot out.gif", 5, ["--plot", "'.gif'", ".png, .svg"]),
    "plot in a file": ("--plot fleet.yaml/p.png", 5, ["--plot", "fleet.yaml is a file"]),
    "output in a file": ("-o fleet.yaml/p.json", 5, ["--output", "fleet.yaml is a file"]),
    "a second count to stdout": ("--csv - --verify", 5, ["--csv -", "--verify"]),
    "a second count not printed": ("--verify --check --json", 5, ["--verify", "add -o"]),
    "two to stdout": ("--csv - --json", 5, ["--csv -", "--json"]),
    "top without depths": ("--top 1 --json", 5, ["--top", "--json", "--csv FILE"]),
    "unknown device": ("--device laptop-2091", 6, ["--device", "'laptop-2091'", "laptop-2019"]),
    "no device file": ("--device box.yaml", 3, ["--device", "box.yaml: no such file"]),
    "not a device file": ("--device profile.json", 5, ["profile.json:", "unknown key"]),
    "top too large": ("--top 5", 10, ["5 at the top", "6 blocks", "at most 4 top blocks"]),
    "negative top": ("--top -1", 2, ["--top"]),
    "head away with top": ("--head server --top 1", 10, ["head on the server", "found 1"]),
    "head of no one": ("--head cloud", 2, ["--head"]),
    "optimizer of no kind": ("--optimizer adam", 2, ["--optimizer"]),
    "rank of a head": ("--method head --rank 4", 5, ["--rank", "--method head"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_command(
    name: str, typed: Callable[..., Result], cached: Asked, folder: Path
) -> None:
    words, code, says = WRONG[name]
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    output = () if name == "a second count not printed" else ("-o", "out.yaml")
    result = typed("profile", "tiny", *output, *words.split())
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert [text for text in says if text not in result.stderr] == [], result.stderr
    assert "Traceback" not in result.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    assert code == 10 or cached == []  # before any work is done


def test_a_plot_without_its_extra(
    typed: Callable[..., Result], cached: Asked, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(profile_command, "find_spec", lambda name: None)
    result = typed("profile", "tiny", "--plot", "p.png")
    assert (result.exit_code, result.stdout, cached) == (13, "", [])
    assert "--plot needs the extra [report]" in result.stderr
    assert 'pip install "flexp[report]"' in result.stderr
    assert not (folder / "p.png").exists()
