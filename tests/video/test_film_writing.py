"""Films as they are written: stretches that are joined keep times, colours and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_files import STEP, UNIT, panning, write_film

from styleshuffle.errors import SettingsError
from styleshuffle.video.assembling import assemble
from styleshuffle.video.encoding import encode_stretch, encoding_for
from styleshuffle.video.film import FilmSettings, Frame
from styleshuffle.video.reading import FilmFile, Source

TIMES = [0, 100, 1000, 1512, 3000, 3100]


def remade(source: Source, film: Path, target: Path, settings: FilmSettings | None = None) -> list[int]:
    """Write the frames of a film into another in two stretches; returns their times."""
    frames = list(source.frames())
    encoding = encoding_for(target.suffix, settings or FilmSettings(), source.facts, source.facts.size)
    stretches = []
    for number, some in enumerate((frames[:3], frames[3:])):
        path = target.with_name(f"stretch-{number}")
        encode_stretch(path, some, some[0].time, encoding)
        stretches.append((path, some[0].time))
    assemble(target, stretches, film if source.facts.has_audio else None, source.facts)
    return [frame.time for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("b.mp4", None), ("b.mov", None), ("b.mkv", None), ("b.mp4", "h265"), ("b.mkv", "ffv1"), ("b.webm", None)],
)
def test_times_colours_and_sound_are_kept(tmp_path: Path, name: str, codec: str | None) -> None:
    film = write_film(tmp_path / "a.mp4", panning(6), times=TIMES, full_range=True, matrix=1, sound=0.25)
    source, target = FilmFile(film), tmp_path / name
    remade(source, film, target, FilmSettings(codec=codec))
    made = FilmFile(target)
    frames = list(made.frames())
    unit = made.facts.time_base
    assert [round(float(frame.time * unit), 3) for frame in frames] == [round(float(time * UNIT), 3) for time in TIMES]
    if codec == "ffv1" or name == "b.webm":  # with B-frames, a file does not say how long the last frame lasts
        assert round(float(frames[-1].duration * unit), 2) == round(float(STEP * UNIT), 2)
    for frame, own in zip(frames, source.frames(), strict=True):
        assert np.abs(frame.rgb.astype(int) - own.rgb).mean() < 6
    if codec != "ffv1":
        assert (made.facts.colours.matrix, made.facts.colours.full_range) == (1, True)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 1
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / container.streams.audio[0].rate == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_stretches_with_b_frames_follow_each_other(tmp_path: Path, codec: str) -> None:
    film, target = write_film(tmp_path / "a.mp4", panning(6)), tmp_path / "b.mp4"
    remade(FilmFile(film), film, target, FilmSettings(codec=codec))
    made = FilmFile(target)
    step = Fraction(1, 25) / made.facts.time_base
    assert [(frame.time, frame.duration) for frame in made.frames()] == [(step * number, step) for number in range(6)]
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    decoded = [packet.dts for packet in packets]
    assert decoded == sorted(set(decoded))
    assert all(packet.dts <= packet.pts for packet in packets)
    assert [packet.pts for packet in packets] != sorted(packet.pts for packet in packets)


def test_sound_is_copied_where_the_file_can_hold_it(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", panning(6), sound=0.25)
    remade(FilmFile(film), film, tmp_path / "b.mp4")

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(film) == packets(tmp_path / "b.mp4")


def test_a_gif_keeps_times_in_hundredths(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", panning(6))
    remade(FilmFile(film), film, tmp_path / "b.gif")
    made = FilmFile(tmp_path / "b.gif")
    assert made.facts.time_base == Fraction(1, 100)
    assert [frame.time for frame in made.frames()] == [0, 4, 8, 12, 16, 20]


def test_a_gif_has_the_size_of_its_frames(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", panning(3))
    source = FilmFile(film)
    small = [Frame(frame.rgb[::2, ::2], frame.time, frame.duration) for frame in source.frames()]
    encoding = encoding_for(".gif", FilmSettings(), source.facts, (32, 24))
    encode_stretch(tmp_path / "0", small, 0, encoding)
    assemble(tmp_path / "b.gif", [(tmp_path / "0", 0)], None, source.facts)
    assert FilmFile(tmp_path / "b.gif").facts.size == (32, 24)


def test_odd_sides_lose_a_row_or_a_column(tmp_path: Path) -> None:
    facts = FilmFile(write_film(tmp_path / "a.mp4", panning(1))).facts
    assert encoding_for(".mp4", FilmSettings(), facts, (63, 47)).size == (62, 46)
    assert encoding_for(".gif", FilmSettings(), facts, (63, 47)).size == (63, 47)


@pytest.mark.parametrize(
    ("suffix", "settings", "message"),
    [
        (".mp4", {"codec": "vp9"}, "codec: a .mp4 file does not hold vp9; use one of h264, h265"),
        (".mp4", {"crf": 52}, "crf: 52 is out of range; use whole numbers 0 to 51 for h264"),
        (".gif", {"crf": 20}, "crf: gif has no quality to choose; leave it out"),
    ],
)
def test_codecs_that_a_file_does_not_hold_are_refused(suffix: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        FilmSettings(**settings).codec_for(suffix)  # type: ignore[arg-type]
    assert str(refused.value) == message


def test_settings_out_of_range_are_refused() -> None:
    for name, value in (("rate", Fraction(0)), ("codec", "mpeg"), ("anchor_every", 0)):
        with pytest.raises(SettingsError, match=f"^{name}: "):
            FilmSettings(**{name: value})  # type: ignore[arg-type]
