"""What a camera is asked for, by what it offers; and the address."""

import fcntl

import pytest

from edge.capture._source import CaptureOptions, parse
from edge.capture._v4l2 import calls
from edge.capture._v4l2.request import V4l2Request, read_request
from edge.capture.v4l2 import V4l2
from edge.errors import ConfigError, DataError
from tests.edge.capture.fake_kernel import FakeKernel

HD, VGA = (1280, 720), (640, 480)
UVC = {"YUYV": {HD: [10, 5], VGA: [30]}, "MJPG": {HD: [30, 15], VGA: [60, 30]}}


def opened(formats, options=CaptureOptions(), **asked):  # noqa: B008
    kernel = FakeKernel(formats)
    source = V4l2(V4l2Request("/dev/video0", **asked), options, kernel)
    source.close()
    kernel.assert_clean()
    return source.picture


@pytest.mark.parametrize(
    ("formats", "asked", "want"),
    [
        # A USB 2 camera has the bandwidth for raw HD at 10 frames per second only.
        (UVC, {}, ("MJPG", 1280, 720, 30)),
        (UVC, {"rate_hz": 10.0}, ("YUYV", 1280, 720, 10)),
        (UVC, {"width": 640, "height": 480}, ("YUYV", 640, 480, 30)),
        (UVC, {"width": 640, "height": 480, "rate_hz": 60.0}, ("MJPG", 640, 480, 60)),
        (UVC, {"format": "YUYV"}, ("YUYV", 1280, 720, 10)),
        # Less work first where all else is equal; colour before grey.
        ({"YUYV": {HD: [30]}, "NV12": {HD: [30]}}, {}, ("NV12", 1280, 720, 30)),
        ({"YUYV": {HD: [30]}, "BGR3": {HD: [30]}}, {}, ("BGR3", 1280, 720, 30)),
        ({"GREY": {HD: [30]}, "MJPG": {HD: [30]}}, {}, ("MJPG", 1280, 720, 30)),
        ({"GREY": {HD: [30]}}, {}, ("GREY", 1280, 720, 30)),
        # The size counts more than the rate.
        ({"YUYV": {VGA: [30]}, "MJPG": {HD: [15]}}, {}, ("MJPG", 1280, 720, 15)),
        # Rates unknown, or a range.
        ({"YUYV": {HD: []}, "MJPG": {HD: [30]}}, {}, ("YUYV", 1280, 720, 30)),
        ({"YUYV": {HD: [(1, 12)]}, "MJPG": {HD: [(1, 60)]}}, {}, ("MJPG", 1280, 720, 30)),
        # 30 in the television's counting are 30.
        ({"BGR3": {HD: [29.97]}, "YUYV": {HD: [30]}}, {}, ("BGR3", *HD, 29.97)),
        ({"BGR3": {HD: [29]}, "YUYV": {HD: [30]}}, {}, ("YUYV", *HD, 30)),
        # Unknown formats are passed over.
        ({"H264": {HD: [30]}, "RG10": {HD: [60]}, "UYVY": {HD: [30]}}, {}, ("UYVY", *HD, 30)),
        # As it is: no conversion at all.
        ({"MJPG": {HD: [30]}, "YUYV": {HD: [10]}}, {"layout": "raw"}, ("YUYV", *HD, 10)),
        ({"BGR3": {HD: [9]}, "YUYV": {HD: [30]}}, {"memory": "userptr"}, ("BGR3", *HD, 9)),
    ],
)
def test_choice(formats, asked, want):
    picture = opened(formats, **asked)
    assert (picture.format, picture.width, picture.height, picture.rate_hz) == want


def test_size_that_is_not_there_is_logged_once(caplog):
    picture = opened({"YUYV": {VGA: [30]}})
    assert (picture.width, picture.height) == VGA
    assert [r.message for r in caplog.records] == [
        "/dev/video0: asked for 1280x720, the camera gives 640x480"
    ]


@pytest.mark.parametrize(
    ("offered_hz", "asked_hz", "warned"),
    [
        (12.5, 30.0, True),
        (29.97, 30.0, False),
        (30, 30.0, False),
        (30, 25.0, False),
        (24, 25, True),
    ],
)
def test_a_camera_slower_than_asked_is_logged(caplog, offered_hz, asked_hz, warned):
    picture = opened({"YUYV": {HD: [offered_hz]}}, rate_hz=asked_hz)
    text = f"asked for {asked_hz:g} fps, the camera gives {picture.rate_hz:.4g} at 1280x720 YUYV"
    assert [text in r.message for r in caplog.records] == [True] * warned


@pytest.mark.parametrize(
    ("formats", "asked", "words"),
    [
        (
            UVC,
            {"format": "YUYV", "memory": "userptr"},
            "camera's YUYV cannot be used as it is; mem",
        ),
        (UVC, {"format": "NV12"}, r"offers no NV12 \(it has YUYV, MJPG\); use format=auto"),
        ({"RG10": {HD: [30]}}, {}, r"no format we can use \(it has RG10\).*csi://"),
        (UVC, {"memory": "userptr"}, r"memory=userptr needs .*BGR3, or layout=raw"),
        ({"MJPG": {HD: [30]}}, {"layout": "raw"}, r"layout=raw needs BGR3, NV12, YUYV"),
    ],
)
def test_nothing_fits(formats, asked, words):
    kernel = FakeKernel(formats)
    with pytest.raises(ConfigError, match=words):
        V4l2(V4l2Request("/dev/video0", **asked), CaptureOptions(), kernel)
    kernel.assert_clean()


def test_no_formats_at_all():
    kernel = FakeKernel(UVC)
    kernel.errors["ENUM_FMT"] = 22  # EINVAL: the list ends here
    with pytest.raises(ConfigError, match="it has none"):
        V4l2(V4l2Request("/dev/video0"), CaptureOptions(), kernel)
    kernel.assert_clean()


@pytest.mark.parametrize("size", [(1920, 1080), (16000, 16000)])
def test_too_large(size):
    with pytest.raises(DataError, match=r"larger than capture\.max_megapixels = 1"):
        opened({"YUYV": {size: [30]}}, CaptureOptions(max_megapixels=1))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (("NV12", VGA), "asked for YUYV, the driver switched to NV12"),
        (("YUYV", (0, 0)), "empty picture 0x0"),
        (("YUYV", (641, 480)), "odd size 641x480"),
    ],
)
def test_driver_answers_nonsense(answer, words):
    kernel = FakeKernel({"YUYV": {VGA: [30]}})
    kernel.answer = answer
    with pytest.raises(DataError, match=words):
        V4l2(V4l2Request("/dev/video0", *VGA), CaptureOptions(), kernel)
    kernel.assert_clean()


def test_driver_without_sizes_or_settings():
    """No bytesperline, no sizeimage, no TRY_FMT, no S_PARM: rows lie close together."""
    kernel = FakeKernel({"YUYV": {VGA: [30]}})
    kernel.answer = "YUYV", VGA
    kernel.errors.update(TRY_FMT=25, S_PARM=25, ENUM_FRAMEINTERVALS=25)
    source = V4l2(V4l2Request("/dev/video0", *VGA), CaptureOptions(), kernel)
    assert (source.picture.stride, source.picture.size_bytes) == (1280, 640 * 480 * 2)
    assert source.picture.rate_hz == 30
    source.close()


def request_of(uri):
    return read_request(parse(uri))


def test_address():
    want = V4l2Request("/dev/video0", 1280, 720, 30, "auto", "auto", "auto")
    assert request_of("v4l2:///dev/video0") == want
    uri = "v4l2:///dev/v4l/by-id/usb-x?width=640&height=480&fps=7.5&format=MJPG&memory=mmap"
    assert request_of(uri) == V4l2Request(
        "/dev/v4l/by-id/usb-x", 640, 480, 7.5, "MJPG", "mmap", "auto"
    )


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("v4l2://video0", "expected v4l2:///dev/video0"),
        ("v4l2:///dev/video0?widht=3", "unknown option 'widht'.*width"),
        ("v4l2:///dev/video0?width=big", "width=big: use a number of 16 to 16384"),
        ("v4l2:///dev/video0?width=640.5", "width=640.5: use a whole number"),
        ("v4l2:///dev/video0?fps=nan", "fps=nan: use a number"),
        ("v4l2:///dev/video0?fps=0", "fps=0"),
        ("v4l2:///dev/video0?format=H264", "format=H264: use one of auto, BGR3, NV12"),
        ("v4l2:///dev/video0?memory=read", "memory=read: use one of auto, mmap, userptr, dmabuf"),
        ("v4l2:///dev/video0?layout=rgb", "layout=rgb: use one of auto, bgr, raw"),
    ],
)
def test_address_wrong(uri, words):
    with pytest.raises(ConfigError, match=words) as caught:
        request_of(uri)
    assert uri in str(caught.value)


def test_io_restarts_a_request_that_a_signal_broke(monkeypatch):
    seen = []

    def ioctl(fd, number, argument, mutate):
        seen.append(number)
        if len(seen) < 3:
            raise InterruptedError

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    calls.query_capability(calls.Io(), 3)
    assert len(seen) == 3
