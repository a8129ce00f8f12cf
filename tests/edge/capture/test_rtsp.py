"""rtsp:// without a server: addresses, pipelines, and OpenCV replaced at its lowest seam."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any, List, Tuple

import cv2
import numpy as np
import pytest

from edge.capture import CaptureOptions, Ring, _gstreamer, _opencv, open_source, parse
from edge.capture._decoder import video
from edge.capture._decoder.shared import SharedFrames
from edge.capture._rtsp_probe import failure_reason
from edge.capture.rtsp import strip_options, with_transport
from edge.errors import ConfigError, DataError, TempError, UnavailableError
from tests.edge.capture.fake_opencv import backends, elements
from tests.waiting import GIVE_UP_S

OPTIONS = CaptureOptions(timeout_s=1.0)


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("rtsp://h/live", "rtsp://h/live"),
        ("rtsp://h/live?transport=udp", "rtsp://h/live"),
        ("rtsp://h/x?channel=1&subtype=0", "rtsp://h/x?channel=1&subtype=0"),
        (
            "rtsp://h/x?channel=1&transport=tcp&a=%2B+b&decoder=software",
            "rtsp://h/x?channel=1&a=%2B+b",
        ),
        ("rtsp://h/x?layout=bgr&threads=2&flag", "rtsp://h/x?flag"),
        ("rtsp://u:p%40@h:554/x", "rtsp://u:p%40@h:554/x"),
    ],
)
def test_camera_sees_its_own_address(url: str, rest: str) -> None:
    assert strip_options(url) == rest


def test_transport_stands_where_libav_looks_for_it() -> None:
    assert with_transport("rtsp://h/live", "tcp") == "rtsp://h/live?tcp"
    assert with_transport("rtsp://h/live?ch=1", "udp") == "rtsp://h/live?ch=1&udp"


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
def test_ffmpeg_is_asked_with_limits(capture: Any, scheme: str) -> None:
    source = open_source(f"{scheme}://u:p@h/live?ch=1&transport=udp&threads=3", OPTIONS)
    target, backend, parameters = capture.opened[0]
    assert (target, backend) == (f"{scheme}://u:p@h/live?ch=1&udp", cv2.CAP_FFMPEG)
    pairs = dict(zip(parameters[::2], parameters[1::2]))
    assert pairs[cv2.CAP_PROP_OPEN_TIMEOUT_MSEC] == 1000
    assert pairs[cv2.CAP_PROP_READ_TIMEOUT_MSEC] == 1000
    if hasattr(cv2, "CAP_PROP_N_THREADS"):
        assert pairs[cv2.CAP_PROP_N_THREADS] == 3
    assert source.live


def test_frames_until_the_stream_breaks(capture: Any) -> None:
    source, ring = open_source("rtsp://h/live", OPTIONS), Ring(4, live=True)
    times = []
    for index in range(5):
        slot = source.read(ring)
        assert slot is not None
        assert (slot.index, slot.layout, int(slot.image.mean())) == (index, "bgr", 9)
        times.append((slot.t_ns, slot.arrival_ns))
        ring.publish(slot)
    assert all(b[0] > a[0] for a, b in zip(times, times[1:]))
    assert all(arrival >= t for t, arrival in times)
    with pytest.raises(TempError, match="no more frames; is the camera on"):
        source.read(ring)
    source.close()
    source.close()


def test_call_that_timed_out_breaks_the_stream_although_it_gave_a_frame(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: OpenCV's grab that runs into its limit still returns True once."""
    source, ring = open_source("rtsp://h/live", CaptureOptions(timeout_s=0.02)), Ring(4, live=True)
    capture.grab_hook = staticmethod(lambda: time.sleep(0.03))
    with pytest.raises(TempError, match="no more frames"):
        source.read(ring)


def test_frame_is_counted_while_the_loop_holds_every_slot(capture: Any) -> None:
    source, ring = open_source("rtsp://h/live", OPTIONS), Ring(2, live=True)
    held = []
    for _ in range(2):
        slot = source.read(ring)
        assert slot is not None
        ring.publish(slot)
        held.append(ring.take())
    assert source.read(ring) is None
    ring.release(held[0])  # type: ignore[arg-type]
    slot = source.read(ring)
    assert slot is not None
    assert slot.index == 3


def test_stream_that_changes_size_fills_new_memory_once(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, ring = open_source("rtsp://h/live", OPTIONS), Ring(2, live=True)
    allocated: List[Tuple[int, ...]] = []

    class Counted(SharedFrames):
        def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
            allocated.append(shape)
            return super().allocate(shape)

    monkeypatch.setattr(video, "SharedFrames", Counted)
    for shape in ((8, 12, 3), (8, 12, 3), (20, 30, 3), (20, 30, 3), (20, 30, 3)):
        capture.shape = shape
        slot = source.read(ring)
        assert slot is not None
        assert slot.image.shape == shape
        assert (slot.image == 9).all()
        ring.cancel(slot)
    assert allocated == [(8, 12, 3), (20, 30, 3)]


def test_too_large_a_picture_is_refused_before_a_frame(capture: Any) -> None:
    capture.size = (9000, 9000)
    with pytest.raises(DataError, match="9000x9000 pixels are more than"):
        open_source("rtsp://h/live", OPTIONS)


def test_close_during_a_read_leaves_the_release_to_the_reader(capture: Any) -> None:
    inside, go = threading.Event(), threading.Event()

    def hook() -> None:
        inside.set()
        go.wait(GIVE_UP_S)

    capture.grab_hook = staticmethod(hook)
    stream = _opencv.Video("rtsp://h/live", cv2.CAP_FFMPEG)
    got: List[object] = []
    reading = threading.Thread(target=lambda: got.append(stream.grab()))
    reading.start()
    inside.wait(GIVE_UP_S)
    stream.close()
    handle: Any = stream._capture
    assert handle.released == 0
    go.set()
    reading.join(GIVE_UP_S)
    assert got == [False]
    assert handle.released == 1


def test_close_ends_a_read_that_hangs(capture: Any) -> None:
    inside, go = threading.Event(), threading.Event()

    def hook() -> None:
        inside.set()
        go.wait(GIVE_UP_S)

    capture.grab_hook = staticmethod(hook)
    source, ring = open_source("rtsp://h/live", CaptureOptions(timeout_s=60)), Ring(2, live=True)
    got: List[object] = []
    reading = threading.Thread(target=lambda: got.append(source.read(ring)))
    reading.start()
    inside.wait(GIVE_UP_S)
    source.close()
    reading.join(GIVE_UP_S)
    assert got == [None]
    go.set()


def test_opening_that_hangs_ends_when_nobody_waits_for_it(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, stop = threading.Event(), threading.Event()
    monkeypatch.setattr(capture, "isOpened", lambda self: go.wait(GIVE_UP_S))
    stop.set()
    with pytest.raises(TempError):
        open_source("rtsp://h/live", CaptureOptions(timeout_s=60, stop=stop))
    go.set()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("rtsp:///live", "expected rtsp://HOST:554/PATH"),
        ("rtsp://h:port/live", "expected rtsp://HOST:554/PATH"),
        ("rtsp://u:pa#ss@h/live", "%23 for #"),
        ("rtsp://h/live?transport=http", "transport=http"),
        ("rtsp://h/live?decoder=cuda", "decoder=cuda"),
        ("rtsp://h/live?threads=0", "threads=0"),
        ("rtsp://h/live?layout=nv12&decoder=software", "layout=nv12"),
    ],
)
def test_wrong_address_or_option_is_named(capture: Any, uri: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_source(uri, OPTIONS)
    assert "pa#" not in str(caught.value)
    assert capture.opened == []


def test_nothing_that_decodes_is_one_line(capture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backends(monkeypatch)
    with pytest.raises(UnavailableError, match="neither FFmpeg nor GStreamer"):
        open_source("rtsp://h/live", OPTIONS)


def test_jetson_decodes_in_hardware_by_itself(
    capture: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backends(monkeypatch, cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER)
    elements(monkeypatch, tmp_path, "nvv4l2decoder")
    capture.shape = (12, 12)
    source = open_source("rtsp://h/live?layout=nv12", OPTIONS)
    target, backend, _ = capture.opened[0]
    assert backend == cv2.CAP_GSTREAMER
    assert "nvv4l2decoder ! nvvidconv ! video/x-raw,format=NV12 ! appsink" in target
    slot = source.read(Ring(4, live=True))
    assert slot is not None
    assert (slot.layout, slot.image.shape) == ("nv12", (12, 12))
    open_source("rtsp://h/live?decoder=software", OPTIONS)
    assert capture.opened[1][1] == cv2.CAP_FFMPEG


def test_hardware_that_is_not_there_is_refused_with_the_fix(
    capture: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="OpenCV is built without GStreamer"):
        open_source("rtsp://h/live?decoder=nvv4l2", OPTIONS)
    backends(monkeypatch, cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER)
    elements(monkeypatch, tmp_path, "videoconvert")
    with pytest.raises(UnavailableError, match="no element 'nvv4l2decoder'"):
        open_source("rtsp://h/live?decoder=nvv4l2", OPTIONS)
    open_source("rtsp://h/live", OPTIONS)
    assert capture.opened[0][1] == cv2.CAP_FFMPEG


def test_pipelines_are_these() -> None:
    url = 'rtsp://u:p"a\\ss@h/live ! fakesink'
    soft = _gstreamer.rtsp(url, "tcp", 2.5, hardware=False, layout="bgr")
    assert soft == (
        'rtspsrc location="rtsp://u:p\\"a\\\\ss@h/live ! fakesink" protocols=tcp latency=100 '
        "drop-on-latency=true tcp-timeout=2500000 timeout=2500000 ! "
        "application/x-rtp,media=video ! decodebin ! videoconvert ! video/x-raw,format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )
    hard = _gstreamer.rtsp("rtsp://h/live", "udp", 5, hardware=True, layout="bgr")
    assert hard == (
        'rtspsrc location="rtsp://h/live" protocols=udp latency=100 drop-on-latency=true '
        "tcp-timeout=5000000 timeout=5000000 ! application/x-rtp,media=video ! parsebin ! "
        "nvv4l2decoder ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! "
        "video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


def answering(reply: bytes) -> str:
    """Address of a server that reads one request and says one thing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as link:
            request = link.recv(4096)
            assert b"DESCRIBE rtsp://127.0.0.1" in request
            assert b"s3cret" not in request
            link.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"RTSP/1.0 200 OK\r\n\r\n", "no video came"),
        (b"RTSP/1.0 401 Unauthorized\r\n\r\n", "refuses the user or the password"),
        (b"RTSP/1.0 403 Forbidden\r\n\r\n", "refuses this user"),
        (b"RTSP/1.0 404 Not Found\r\n\r\n", "no stream of this path"),
        (b"RTSP/1.0 503 Busy\r\n\r\n", "RTSP status 503"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no RTSP server"),
        (b"RTSP/1.0 \xff\xfe\n\r\n", "is no RTSP server"),
        (b"SSH-2.0-x\r\n", "is no RTSP server"),
        (b"", "is no RTSP server"),
    ],
)
def test_reason_is_asked_of_the_camera(capture: Any, reply: bytes, words: str) -> None:
    capture.is_open = False
    with pytest.raises(TempError, match=words) as caught:
        open_source(f"rtsp://viewer:s3cret@{answering(reply)}/live", OPTIONS)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("user", ["", "viewer@"])
def test_a_missing_password_is_told(capture: Any, user: str) -> None:
    capture.is_open = False
    reply = b"RTSP/1.0 401 Unauthorized\r\n\r\n"
    with pytest.raises(TempError, match="wants a user and a password: write USER:PASSWORD@"):
        open_source(f"rtsp://{user}{answering(reply)}/live", OPTIONS)


def test_reason_of_a_server_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as link:
                link.recv(100)
                link.sendall(b"RTSP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        told = failure_reason(f"rtsps://127.0.0.1:{server.getsockname()[1]}/live", 5)
    assert "does not speak TLS" in told


def test_kind_of_address_is_kept_apart_from_the_secret() -> None:
    address = parse("rtsp://u:p@h/live?transport=tcp")
    assert "u:p" not in repr(address.uri)


@pytest.mark.parametrize(
    ("rtpmap", "words"),
    [("AV1/90000", "its video is AV1, which this OpenCV cannot decode"), ("H264/90000", "")],
)
def test_a_codec_that_cannot_be_decoded_is_named(rtpmap: str, words: str) -> None:
    """The session description comes with the answer, or a little later."""
    sdp = f"v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {rtpmap}\r\n"
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link = server.accept()[0]
        with link:
            link.recv(4096)
            head = f"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: {len(sdp)}\r\n\r\n"
            link.sendall((head + sdp[:20]).encode())
            link.sendall(sdp[20:].encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    why = failure_reason(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", 20.0)
    thread.join(GIVE_UP_S)
    server.close()
    assert (words in why) if words else "can OpenCV decode its codec" in why
