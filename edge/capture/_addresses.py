"""What people type instead of a source URI, and the address that they mean."""

from __future__ import annotations

import re
from pathlib import Path

# Schemes that we do not read, each with the way out.
FOREIGN = {
    "rtmp": "RTMP is not read; use the camera's rtsp:// address",
    "rtmps": "RTMPS is not read; use the camera's rtsp:// address",
    "rtspt": "write rtsp:// and ?transport=tcp",
    "rtspu": "write rtsp:// and ?transport=udp",
    "rtsph": "RTSP through HTTP is not read; use the camera's rtsp:// address",
    "rtp": "a bare RTP stream is not read; use the camera's rtsp:// address",
    "udp": "a bare UDP stream is not read; use the camera's rtsp:// address",
    "tcp": "a bare TCP stream is not read; use the camera's rtsp:// address",
    "srt": "SRT is not read; use the camera's rtsp:// address",
    "mms": "MMS is not read; use the camera's rtsp:// address",
    "hls": "HLS is not read; use the camera's rtsp:// address",
    "onvif": "ONVIF only finds cameras; use the rtsp:// address that it gives",
    "ws": "video over websockets is not read; use the camera's rtsp:// address",
    "wss": "video over websockets is not read; use the camera's rtsp:// address",
    "ftp": "copy the file to this machine and use file:///PATH",
    "sftp": "copy the file to this machine and use file:///PATH",
    "smb": "mount the share and use file:///PATH",
    "nfs": "mount the share and use file:///PATH",
    "s3": "copy the file to this machine and use file:///PATH",
    "usb": "a USB camera is v4l2:///dev/video0",
    "webcam": "a USB camera is v4l2:///dev/video0",
    "libcamera": "a Raspberry Pi camera is v4l2:///dev/video0",
    "nvarguscamera": "a Jetson camera is csi://0",
    "argus": "a Jetson camera is csi://0",
}
_DEVICE = re.compile(r"(?:/?dev/)?(?:video)?(\d{1,3})", re.IGNORECASE)
_WORDS = ("webcam", "camera", "cam", "usb", "v4l2")
_FEW_SLASHES = re.compile(
    r"(rtsps?|https?|v4l2|file|csi|synthetic):{1,2}(/{0,2})(.+)", re.IGNORECASE
)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_HOST = re.compile(
    r"(?:[^\s/@]+@)?(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}"
    r"|localhost)(?P<port>:\d+)?(?P<path>/\S*)?",
    re.IGNORECASE,
)
_FILES = re.compile(
    r"\.(mp4|mkv|mov|avi|webm|m4v|mpe?g|ts|jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE
)


def meant(text: str) -> str:
    """The address for a text without a scheme; "" = nothing is known.

    Args:
        text: as typed; it may hold a password, and so may the answer.
    """
    text = text.strip().strip("'\"")
    device = _DEVICE.fullmatch(text)
    if device:
        return f"v4l2:///dev/video{int(device[1])}"
    if text.lower() in _WORDS:
        return "v4l2:///dev/video0"
    if _WINDOWS.match(text):
        return ""
    few = _FEW_SLASHES.fullmatch(text)
    if few:
        return _with_scheme(few[1].lower(), few[2], few[3])
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    if text.startswith("/dev/") or (text and _exists(path)):
        return f"v4l2://{path}" if text.startswith("/dev/") else file_uri(path)
    host = _HOST.fullmatch(text)
    if host and not (_FILES.search(text) and host["path"] is None):
        return _network(text, host["port"] or "")
    return (
        file_uri(path) if text.startswith(("/", "./", "../", "~/")) or _FILES.search(text) else ""
    )


def rooted(scheme: str, path: str) -> str:
    """The address with a third slash, if that exists and the one with two slashes does not.

    Args:
        scheme: of the address.
        path: between scheme:// and the query.
    """
    if scheme not in ("file", "v4l2") or not path or path.startswith("/"):
        return ""
    if _exists(Path(path)) or not _exists(Path("/" + path)):
        return ""
    return f"v4l2:///{path}" if scheme == "v4l2" else file_uri(Path("/" + path))


def file_uri(*paths: Path) -> str:
    """The address of a file or folder, or of several pictures in their order."""
    names = [str(path.absolute()) for path in paths]
    return "file://" + "%0A".join(n.replace("%", "%25").replace("?", "%3F") for n in names)


def _with_scheme(scheme: str, slashes: str, rest: str) -> str:
    if scheme == "file" and slashes == "/":  # RFC 8089, appendix B: the path is absolute
        return f"file:///{rest}"
    if scheme == "v4l2":
        device = _DEVICE.fullmatch(rest.strip("/"))
        return f"v4l2:///dev/video{int(device[1])}" if device else f"v4l2:///{rest.lstrip('/')}"
    return f"{scheme}://{rest}"


def _network(text: str, port: str) -> str:
    scheme = "http" if port in (":80", ":8080", ":8081", ":4747") else "rtsp"
    return f"{scheme}://{text}"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False
