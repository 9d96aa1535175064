"""What the server accepts, so that its memory, its disk and its time stay bounded whatever clients send."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds. Sides and pixels are those of pictures.

    Attributes:
        upload_bytes: of a picture file that is sent.
        upload_pixels: of a picture that is sent; checked before it is decoded.
        text_bytes: of a request that holds no picture.
        result_pixels: of a result.
        work_side: long side that is stylized directly.
        kept_bytes: of all files in the private folder.
        kept_files: pictures and results in the private folder.
        waiting_jobs: that wait or are painted, of all clients together.
        jobs_per_page: that wait or are painted, of a page.
        ended_jobs: that are remembered.
        contents: photographs in a job.
        job_seconds: that a picture may take.
        idle_seconds: after which what nobody asked for is deleted.
        silent_seconds: after which a client that stopped sending is given up.
        requests_per_second: of a client, on average.
        burst: requests of a client that may come at once.
        connections: open at the same time, of all clients together.
    """

    upload_bytes: int = 64 * MIB
    upload_pixels: int = 64_000_000
    text_bytes: int = 64 * 1024
    result_pixels: int = 36_000_000
    work_side: int = 4096
    kept_bytes: int = 2048 * MIB
    kept_files: int = 1000
    waiting_jobs: int = 64
    jobs_per_page: int = 8
    ended_jobs: int = 200
    contents: int = 200
    job_seconds: float = 1800
    idle_seconds: float = 6 * 3600
    silent_seconds: float = 30
    requests_per_second: float = 40
    burst: int = 600
    connections: int = 128
