"""Make a film file of encoded stretches and of the soundtrack of the film they were painted from."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from .film import Facts

Stretch = tuple[Path, int]
"""An encoded part of a film, and the time at which it starts."""


def assemble(target: Path, stretches: Sequence[Stretch], sound: Path | None, facts: Facts) -> None:
    """Write a film file. Packets are copied, and held a few at a time.

    Args:
        target: its suffix says what kind of file.
        stretches: of `encode_stretch`, in order.
        sound: the film whose soundtracks and title are kept; a soundtrack that the file cannot hold is encoded anew.
    """
    import av

    if target.suffix.lower() == ".gif":
        _assemble_gif(target, stretches, facts)
        return
    options = {"movflags": "+faststart"} if target.suffix.lower() in (".mp4", ".mov") else {}
    with av.open(str(target), "w", options=options) as film:
        first = av.open(str(stretches[0][0]))  # lends its headers until the film is closed
        stream = film.add_stream_from_template(first.streams.video[0])
        stream.time_base = facts.time_base
        tracks = [_picture_packets(stretches, stream, facts.time_base)]
        source = None if sound is None else av.open(str(sound), metadata_errors="replace")
        try:
            if source is not None:
                film.metadata.update({key: value for key, value in source.metadata.items() if key in _KEPT})
                pairs = [(track, _sound_stream(film, track)) for track in source.streams.audio]
                if pairs:
                    tracks.append(_sound_packets(source, pairs))
            for packet in heapq.merge(*tracks, key=_when):
                film.mux_one(packet)
        finally:
            if source is not None:
                source.close()


_KEPT = {"title", "artist", "album", "date", "comment", "genre", "copyright", "description"}


def _when(packet: Any) -> float:
    return float((packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base)


def _picture_packets(stretches: Sequence[Stretch], stream: Any, time_base: Fraction) -> Iterator[Any]:
    import av

    last = None
    for path, start in stretches:
        with av.open(str(path)) as stretch:
            for packet in stretch.demux(video=0):
                if packet.size:
                    shift = round(start * time_base / packet.time_base)
                    decoded = (packet.pts if packet.dts is None else packet.dts) + shift
                    # a stretch with B-frames begins to be decoded before it is shown, when the one before has ended
                    last = decoded if last is None else max(decoded, last + 1)
                    packet.pts, packet.dts = packet.pts + shift, last
                    packet.stream = stream
                    yield packet


def _sound_stream(film: Any, track: Any) -> Any:
    """The stream of a film for a soundtrack: the same codec, or the film's usual codec for sound."""
    if track.codec_context.name in film.supported_codecs:
        return film.add_stream_from_template(track)
    codec = "libopus" if film.default_audio_codec in ("opus", "vorbis") else film.default_audio_codec
    rate = 48000 if codec == "libopus" else track.codec_context.sample_rate
    stream = film.add_stream(codec, rate=rate)
    stream.codec_context.layout = track.codec_context.layout
    return stream


def _sound_packets(source: Any, pairs: Sequence[tuple[Any, Any]]) -> Iterator[Any]:
    """The packets of all soundtracks in the order of the source."""
    streams = {track.index: stream for track, stream in pairs}
    copied = {track.index: track.codec_context.name == stream.codec_context.name for track, stream in pairs}
    for packet in source.demux(*(track for track, _ in pairs)):
        track = packet.stream
        stream = streams[track.index]
        if not copied[track.index]:
            for frame in packet.decode():
                yield from stream.encode(frame)
        elif packet.size and packet.dts is not None:
            packet.stream = stream
            yield packet
    for track, stream in pairs:
        if not copied[track.index]:
            yield from stream.encode(None)


def _assemble_gif(target: Path, stretches: Sequence[Stretch], facts: Facts) -> None:
    """Write a GIF with a palette of all its frames, which takes a second reading."""
    import av

    palette = _palette(stretches, facts.time_base)
    with av.open(str(target), "w", format="gif", options={"loop": "0"}) as film:
        stream: Any = film.add_stream("gif", rate=facts.rate)
        graph, entrance, colours, end, size = _gif_graph(stretches)
        stream.width, stream.height, stream.pix_fmt = *size, "pal8"
        stream.codec_context.time_base = Fraction(1, 100)
        colours.push(palette)
        colours.push(None)
        for frame in _frames(stretches, facts.time_base):
            entrance.push(frame)
            _write_gif(film, stream, graph, end)
        entrance.push(None)
        _write_gif(film, stream, graph, end)
        film.mux(stream.encode(None))


def _frames(stretches: Sequence[Stretch], time_base: Fraction) -> Iterator[Any]:
    """All frames; their times begin at 0, as those of a GIF do."""
    import av

    for path, start in stretches:
        with av.open(str(path)) as stretch:
            for frame in stretch.decode(video=0):
                frame.pts += round((start - stretches[0][1]) * time_base / frame.time_base)
                yield frame


def _palette(stretches: Sequence[Stretch], time_base: Fraction) -> Any:
    import av

    with av.open(str(stretches[0][0])) as first:
        graph = av.filter.Graph()
        entrance = graph.add_buffer(template=first.streams.video[0])
        made, end = graph.add("palettegen", "stats_mode=full:reserve_transparent=0"), graph.add("buffersink")
        entrance.link_to(made)
        made.link_to(end)
        graph.configure()
    for frame in _frames(stretches, time_base):
        entrance.push(frame)
    entrance.push(None)
    return end.pull()


def _gif_graph(stretches: Sequence[Stretch]) -> tuple[Any, Any, Any, Any, tuple[int, int]]:
    """The filters that give frames the colours of a palette, both entrances, the end, and the size of the frames."""
    import av

    with av.open(str(stretches[0][0])) as first:
        graph, template = av.filter.Graph(), first.streams.video[0]
        entrance = graph.add_buffer(template=template)
        colours = graph.add_buffer(width=16, height=16, format=av.VideoFormat("rgb32"), time_base=template.time_base)
        use, end = graph.add("paletteuse", "dither=bayer:bayer_scale=3"), graph.add("buffersink")
        size = template.width, template.height
    entrance.link_to(use, 0, 0)
    colours.link_to(use, 0, 1)
    use.link_to(end)
    graph.configure()
    return graph, entrance, colours, end, size


def _write_gif(film: Any, stream: Any, graph: Any, end: Any) -> None:
    import av

    while True:
        try:
            frame = end.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        film.mux(stream.encode(frame))
