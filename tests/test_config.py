"""Settings: validated, near matches for what is misspelt, overrides laid over the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omnisrc import config
from omnisrc.errors import UserError
from omnisrc.study import SECTIONS, Study, section_class


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    count: int = 3
    mode: Literal["fast", "slow"] = "fast"
    limit: int | None = None
    crop: tuple[int, int] = (8, 8)
    inner: Inner = Inner()
    hosts: dict[str, Inner] = field(default_factory=dict)


def test_values_take_the_types_of_their_fields() -> None:
    values = {"count": 5, "mode": "slow", "inner": {"rate": 2, "names": ["a"]}, "hosts": {"x.org:80": {"rate": "1e-3"}}}
    built = config.build(Outer, values)
    assert built == Outer(5, "slow", None, (8, 8), Inner(2.0, ("a",)), {"x.org:80": Inner(0.001)})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"cont": 1}, r"no setting cont\. Did you mean count"),
        ({"inner": {"rat": 1}}, r"no setting inner\.rat\. Did you mean rate"),
        ({"count": "many"}, r"count is 'many'; it must be a whole number"),
        ({"count": True}, r"must be a whole number"),
        ({"mode": "medium"}, r"must be one of fast, slow"),
        ({"inner": 3}, r"inner is 3; it must be a mapping"),
        ({"crop": [1, 2, 3]}, r"must be a list of 2"),
        ({"limit": "x"}, r"limit is 'x'"),
        ({"inner": {"rate": float("nan")}}, r"rate is nan; it must be a number"),
        ({"inner": {"rate": "nan"}}, r"rate is 'nan'; it must be a number"),
    ],
)
def test_what_does_not_fit_is_one_sentence(values: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config.build(Outer, values)


def test_an_override_with_a_host_in_its_key() -> None:
    assert config.parse_override('crawl.hosts."a.org:80".rate=2') == {"crawl": {"hosts": {"a.org:80": {"rate": 2}}}}


@pytest.mark.parametrize("text", ["a.b", "=1", "a..b=1", "a=[1", ""])
def test_a_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        config.parse_override(text)


NAMES = st.text("abcdefgh_", min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=4), st.one_of(st.integers(), st.booleans(), NAMES, st.none()))
def test_an_override_reads_back_what_yaml_wrote(parts: list[str], value: object) -> None:
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
    got: object = config.parse_override(".".join(parts) + "=" + text)
    for part in parts:
        assert isinstance(got, dict)
        got = got[part]
    assert got == value


TREES = st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)


@given(st.dictionaries(NAMES, TREES), st.dictionaries(NAMES, TREES))
def test_merging_keeps_what_is_below_and_takes_what_is_above(base: dict[str, object], over: dict[str, object]) -> None:
    merged = config.merge(base, over)
    assert set(merged) == set(base) | set(over)
    assert config.merge(merged, over) == merged


def test_the_settings_file_and_overrides_reach_the_section(tmp_path: Path) -> None:
    (tmp_path / "omnisrc.yaml").write_text("engine:\n  lease_s: 7\n  io_workers: 2\n")
    settings = Study.open(tmp_path, ["engine.io_workers=3"]).named("engine")
    assert (settings.lease_s, settings.io_workers) == (7.0, 3)


@pytest.mark.parametrize("written", ["off", "'off'"])
def test_off_is_a_choice_although_yaml_reads_it_as_false(written: str, tmp_path: Path) -> None:
    (tmp_path / "omnisrc.yaml").write_text(f"eval:\n  amp: {written}\n")
    study = Study.open(tmp_path, [f"filter.amp={written}"])
    assert study.named("eval").amp == study.named("filter").amp == "off"


def test_an_unknown_section_names_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean crawl"):
        Study.open(tmp_path, ["crwl.host_rate=1"])


def test_a_broken_settings_file_is_a_sentence_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "omnisrc.yaml").write_text("engine: {\n  lease_s: [\n")
    with pytest.raises(UserError, match=r"not valid YAML, line"):
        Study.open(tmp_path)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_defaults_that_validate(name: str) -> None:
    assert config.build(section_class(name), {}, name) == section_class(name)()


@pytest.mark.parametrize(
    "text",
    [
        "engine.io_workers=0",
        "engine.gpu_workers=0",
        "engine.attempts=0",
        "engine.cpu_workers=-1",
        "engine.lease_s=0",
        "engine.deadline_s=-1",
        "media.crf=60",
        "media.jpeg_quality=0",
        "media.keyint=0",
        "media.image_short_side=0",
        "media.guard_timeout_s=0",
        "media.guard_processes=-1",
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_their_name(study: Study, text: str) -> None:
    section, _, name = text.partition("=")[0].partition(".")
    with pytest.raises(UserError, match=f"The settings {section} do not fit: .*{name}"):
        Study.open(study.root, (text,)).section(section_class(section))
