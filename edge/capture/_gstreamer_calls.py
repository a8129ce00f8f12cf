"""GStreamer by ctypes: pipelines whose buffers are read without a copy.

OpenCV's GStreamer backend copies every frame and handles the CPU's memory only. The structures
are those of gst/gstbuffer.h, gstmemory.h and gstmessage.h of GStreamer 1.x on 64-bit machines.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple, Optional

from edge.errors import TempError, UnavailableError

_PLAYING, _NULL = 4, 1  # GstState
_FAILURE = 0  # GST_STATE_CHANGE_FAILURE
_READ = 1  # GST_MAP_READ
_ERROR = 2  # GST_MESSAGE_ERROR
_NO_TIME = 2**64 - 1  # GST_CLOCK_TIME_NONE
_MINI_OBJECT_BYTES = 64
SINK_NAME = "edge"  # name of the appsink in every pipeline


class _Error(ctypes.Structure):
    _fields_ = [
        ("domain", ctypes.c_uint32),
        ("code", ctypes.c_int),
        ("message", ctypes.c_char_p),
    ]


class _Map(ctypes.Structure):
    _fields_ = [
        ("memory", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("maxsize", ctypes.c_size_t),
        ("user_data", ctypes.c_void_p * 4),
        ("reserved", ctypes.c_void_p * 4),
    ]


class _Buffer(ctypes.Structure):
    _fields_ = [
        ("mini_object", ctypes.c_char * _MINI_OBJECT_BYTES),
        ("pool", ctypes.c_void_p),
        ("pts", ctypes.c_uint64),
    ]


class _Libraries(NamedTuple):
    gst: Any
    app: Any
    glib: Any


@functools.lru_cache(maxsize=None)
def _libraries() -> _Libraries:
    """Raises UnavailableError: GStreamer is not installed."""
    try:
        found = _Libraries(
            *(
                ctypes.CDLL(f"lib{name}.so.0")
                for name in ("gstreamer-1.0", "gstapp-1.0", "glib-2.0")
            )
        )
    except OSError as error:
        raise UnavailableError(f"GStreamer cannot be loaded: {error}") from None
    gst, app = found.gst, found.app
    for call in (
        gst.gst_parse_launch,
        gst.gst_bin_get_by_name,
        gst.gst_element_get_bus,
        gst.gst_bus_pop_filtered,
        gst.gst_sample_get_buffer,
        app.gst_app_sink_try_pull_sample,
    ):
        call.restype = ctypes.c_void_p
    gst.gst_element_get_base_time.restype = ctypes.c_uint64
    error_at = ctypes.POINTER(_Error)()
    if not gst.gst_init_check(None, None, ctypes.byref(error_at)):
        raise UnavailableError(f"GStreamer does not start: {_error_text(found, error_at)}")
    return found


def _error_text(libraries: _Libraries, error: Any) -> str:
    """The text of a GError in one line; frees the GError."""
    if not error:
        return "no reason given"
    text = (error.contents.message or b"").decode("utf-8", "replace")
    libraries.glib.g_error_free(error)
    return " ".join(text.split())


class Sample:
    """One frame, held until `close`; its memory belongs to the pipeline.

    Attributes:
        data: address of the buffer's bytes.
        size: how many bytes.
        pts_ns: time since the start of the pipeline, -1 = unknown.
    """

    def __init__(self, libraries: _Libraries, sample: int) -> None:
        self._gst, self._sample = libraries.gst, ctypes.c_void_p(sample)
        self._buffer = ctypes.c_void_p(self._gst.gst_sample_get_buffer(self._sample))
        self._map = _Map()
        if not self._buffer or not self._gst.gst_buffer_map(
            self._buffer, ctypes.byref(self._map), _READ
        ):
            self._gst.gst_mini_object_unref(self._sample)
            raise TempError("GStreamer gave a frame without memory")
        self.data, self.size = int(self._map.data or 0), int(self._map.size)
        pts_ns = ctypes.cast(self._buffer, ctypes.POINTER(_Buffer)).contents.pts
        self.pts_ns = -1 if pts_ns == _NO_TIME else int(pts_ns)

    def close(self) -> None:
        """Return the frame to the pipeline; may be called twice."""
        if self._sample:
            self._gst.gst_buffer_unmap(self._buffer, ctypes.byref(self._map))
            self._gst.gst_mini_object_unref(self._sample)
            self._sample, self.data = ctypes.c_void_p(), 0


class Pipeline:
    """A running pipeline that ends in the appsink `SINK_NAME`; for one thread at a time.

    Args:
        text: in the syntax of `gst-launch-1.0`.

    Raises:
        UnavailableError: no GStreamer, or an element or link of the text is missing.
        TempError: it does not start.
    """

    def __init__(self, text: str) -> None:
        self._libraries = _libraries()
        self._gst, error = self._libraries.gst, ctypes.POINTER(_Error)()
        self._pipeline = ctypes.c_void_p(
            self._gst.gst_parse_launch(text.encode(), ctypes.byref(error))
        )
        if error:
            why = _error_text(self._libraries, error)
            self._unref(self._pipeline)
            raise UnavailableError(f"GStreamer refuses the pipeline: {why}")
        sink = self._gst.gst_bin_get_by_name(self._pipeline, SINK_NAME.encode())
        self._sink = ctypes.c_void_p(sink)
        self._bus = ctypes.c_void_p(self._gst.gst_element_get_bus(self._pipeline))
        if self._gst.gst_element_set_state(self._pipeline, _PLAYING) == _FAILURE:
            why = self.error()
            self.close()
            raise TempError(why or "GStreamer's pipeline does not start")

    def pull(self, timeout_s: float) -> Optional[Sample]:
        """The newest frame; None at the time-out or at the end of the stream.

        Raises:
            TempError: GStreamer gave a frame without memory.
        """
        limit = ctypes.c_uint64(round(timeout_s * 1e9))
        sample = self._libraries.app.gst_app_sink_try_pull_sample(self._sink, limit)
        return Sample(self._libraries, sample) if sample else None

    def ended(self) -> bool:
        """Whether the stream has ended."""
        return bool(self._libraries.app.gst_app_sink_is_eos(self._sink))

    def error(self) -> str:
        """An error that an element reported since the last call, in one line; "" = none."""
        message = self._gst.gst_bus_pop_filtered(self._bus, _ERROR)
        if not message:
            return ""
        error, more = ctypes.POINTER(_Error)(), ctypes.c_char_p()
        self._gst.gst_message_parse_error(
            ctypes.c_void_p(message), ctypes.byref(error), ctypes.byref(more)
        )
        self._gst.gst_mini_object_unref(ctypes.c_void_p(message))
        # The last line is the reason; the earlier ones name places in GStreamer's source.
        detail = (more.value or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]
        self._libraries.glib.g_free(more)
        return " ".join(filter(None, (_error_text(self._libraries, error), detail)))

    def time_ns(self, sample: Sample) -> int:
        """When a frame was taken, by the monotonic clock; -1 = unknown."""
        if sample.pts_ns < 0:
            return -1
        return int(self._gst.gst_element_get_base_time(self._pipeline)) + sample.pts_ns

    def close(self) -> None:
        """Stop the pipeline; samples still held keep their memory. May be called twice."""
        if self._pipeline:
            self._gst.gst_element_set_state(self._pipeline, _NULL)
        for held in (self._sink, self._bus, self._pipeline):
            self._unref(held)
        self._sink = self._bus = self._pipeline = ctypes.c_void_p()

    def _unref(self, held: ctypes.c_void_p) -> None:
        if held:
            self._gst.gst_object_unref(held)
