"""One chip: wakes it, sets it up, and reads its FIFO without losing a sample."""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional, Tuple

import numpy as np

from edge.errors import NoInputError, TempError
from edge.sensors import ImuSamples
from edge.sensors._mpu6050 import registers as reg
from edge.sensors._mpu6050.bus import MOST_BYTES, TRIES, Bus
from edge.sensors._mpu6050.request import Request
from edge.sensors._mpu6050.sample_clock import SampleClock
from edge.sensors._mpu6050.self_test import self_test

log = logging.getLogger(__name__)

_WAKE_S = 0.1  # after a reset; the map asks for 100 ms
_START_S = 0.05  # of the gyroscopes' oscillator: 30 ms typically
_TEMP_NS = 10**9  # pause between two readings of the thermometer
_SILENT_NS = 5 * 10**8  # without a sample: the chip was without power meanwhile
_BLOCK = MOST_BYTES // reg.SAMPLE_BYTES * reg.SAMPLE_BYTES  # whole samples in one transaction


class Mpu6050:
    """A chip of the family, taking samples.

    Args:
        bus: to the chip; closed by `close`.
        request: how it is set up.
        now_ns: the monotonic clock.
        sleep: waits while the chip wakes.

    Raises:
        NoInputError: another chip is at this address. TempError: it does not answer, or fails its
            self-test.
    """

    def __init__(
        self,
        bus: Bus,
        request: Request,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bus, self._request, self._now_ns, self._sleep = bus, request, now_ns, sleep
        self.chip = self._known()
        self.about = f"{self.chip.name} at {bus.name}, {request.rate_hz:g} Hz"
        self._clock = SampleClock(1e9 / request.rate_hz)
        self._temp_c, self._temp_ns = float("nan"), -(1 << 62)
        self._gap_from_ns: Optional[int] = None  # time of the last sample before lost ones
        self._in_order = True  # the FIFO begins with the first byte of a sample
        self._last_ns = 0
        self._wake()
        if request.self_test:
            self_test(bus, self.chip, sleep)
        self._set_up()
        self._last_ns = now_ns()

    def read(self) -> ImuSamples:
        """The samples since the last call.

        Raises:
            TempError: the chip does not answer.
        """
        samples = self._read_fifo() if self._request.fifo else self._poll()
        if len(samples):
            self._last_ns = int(samples.t_ns[-1])
        return samples

    def close(self) -> None:
        """Put the chip to sleep if it is there; may be called twice."""
        try:
            self._bus.write(reg.PWR_MGMT_1, reg.ASLEEP)
        except (TempError, OSError) as error:
            log.debug("%s: cannot be put to sleep: %s", self._bus.name, error)
        self._bus.close()

    def _known(self) -> reg.Chip:
        code = self._bus.read(reg.WHO_AM_I, 1)[0]
        chip = reg.CHIPS.get(code)
        if chip is None:
            raise NoInputError(
                f"{self._bus.name}: WHO_AM_I is {code:#04x}, which is none of "
                f"{', '.join(reg.NAMES)}; set the sensor's address"
            )
        return chip

    def _wake(self) -> None:
        self._bus.write(reg.PWR_MGMT_1, reg.RESET)
        self._sleep(_WAKE_S)
        self._bus.write(reg.PWR_MGMT_1, reg.AWAKE)
        self._bus.write(reg.PWR_MGMT_2, reg.ALL_AXES)
        self._sleep(_START_S)

    def _set_up(self) -> None:
        request, write = self._request, self._bus.write
        low_pass = reg.LOW_PASS[request.low_pass_hz]
        write(reg.SMPLRT_DIV, request.divider - 1)
        write(reg.CONFIG, low_pass if self.chip.old else low_pass | reg.KEEP_OLD)
        write(reg.GYRO_CONFIG, sorted(reg.LSB_PER_DPS).index(request.gyro_range_dps) << 3)
        write(reg.ACCEL_CONFIG, sorted(reg.LSB_PER_G).index(request.accel_range_g) << 3)
        if not self.chip.old:
            write(reg.ACCEL_CONFIG_2, low_pass)
        if request.fifo:
            write(reg.FIFO_EN, reg.FIFO_GYRO_ACCEL)
            write(reg.INT_ENABLE, reg.FIFO_OVERFLOW)
            self._restart_fifo()

    def _restart_fifo(self) -> None:
        """Empty the FIFO: its samples may be incomplete. What is lost is counted later."""
        self._in_order = False
        self._bus.write(reg.USER_CTRL, 0)
        self._bus.write(reg.USER_CTRL, reg.FIFO_RESET)
        self._bus.write(reg.USER_CTRL, reg.FIFO_ON)
        self._bus.read(reg.INT_STATUS, 1)  # clears an overflow from before
        self._clock.restart()
        self._in_order = True

    def _read_fifo(self) -> ImuSamples:
        if not self._in_order:
            self._restart_fifo()
        before_ns = self._now_ns()
        waiting = self._waiting()
        after_ns = self._now_ns()
        count = waiting // reg.SAMPLE_BYTES
        if count == 0:
            return self._none_yet(after_ns)
        try:
            raw = self._drain(count * reg.SAMPLE_BYTES, waiting)
            # After the reading: an overflow meanwhile would have mixed old and new samples.
            overflow = self._bus.read(reg.INT_STATUS, 1)[0] & reg.FIFO_OVERFLOW
        except TempError:
            self._in_order, self._gap_from_ns = False, self._last_ns
            raise
        if overflow or waiting >= self.chip.fifo_bytes > self._whole_bytes:
            self._gap_from_ns = self._last_ns
            self._restart_fifo()
            return ImuSamples.empty()
        rows = np.frombuffer(raw, ">i2").reshape(count, 6)
        t_ns = self._clock.times(count, before_ns, after_ns)
        return self._samples(rows, t_ns, self._lost_before(t_ns))

    @property
    def _whole_bytes(self) -> int:
        """Size of the samples that fit whole into the FIFO."""
        return self.chip.fifo_bytes // reg.SAMPLE_BYTES * reg.SAMPLE_BYTES

    def _none_yet(self, now_ns: int) -> ImuSamples:
        if now_ns - self._last_ns > max(_SILENT_NS, 10e9 / self._request.rate_hz):
            raise TempError(
                f"{self._bus.name}: {self.chip.name} answers but gives no samples, as after a loss "
                "of power; check its wires"
            )
        return ImuSamples.empty()

    def _waiting(self) -> int:
        high, low = self._bus.read(reg.FIFO_COUNT, 2)
        return (high << 8 | low) & 0x1FFF

    def _drain(self, size: int, waiting: int) -> bytes:
        """Read bytes of the FIFO; a block that was refused before it began is read again."""
        got, failures = b"", 0
        while len(got) < size:
            try:
                got += self._bus.read(reg.FIFO_R_W, min(size - len(got), _BLOCK))
            except TempError:
                failures += 1
                more = self._waiting() - (waiting - len(got))
                # Meanwhile the chip may have added a sample, but not the two of a block.
                if failures == TRIES or more not in (0, reg.SAMPLE_BYTES):
                    raise
        return got

    def _lost_before(self, t_ns: np.ndarray) -> int:
        """Samples that the chip took between the last one read and these."""
        if self._gap_from_ns is None:
            return 0
        gap_ns = int(t_ns[0]) - self._gap_from_ns
        self._gap_from_ns = None
        return max(round(gap_ns / self._clock.period_ns) - 1, 0)

    def _poll(self) -> ImuSamples:
        """One sample from the registers if one is due: for buses whose FIFO cannot be used."""
        now_ns = self._now_ns()
        period_ns = 1e9 / self._request.rate_hz
        missed = int((now_ns - self._last_ns) / period_ns)
        if missed < 1:
            return ImuSamples.empty()
        words = np.frombuffer(self._bus.read(reg.ACCEL_OUT, 14), ">i2")
        t_ns = np.array([(now_ns + self._now_ns()) // 2], np.int64)
        self._temp_c = self._celsius(int(words[3]))
        return self._samples(words[None, [0, 1, 2, 4, 5, 6]], t_ns, missed - 1)

    def _samples(self, rows: np.ndarray, t_ns: np.ndarray, lost: int) -> ImuSamples:
        if self._request.fifo and int(t_ns[-1]) - self._temp_ns >= _TEMP_NS:
            self._temp_ns = int(t_ns[-1])
            self._temp_c = self._celsius(
                int(np.frombuffer(self._bus.read(reg.TEMP_OUT, 2), ">i2")[0])
            )
        accel, gyro = self._scales()
        temp = np.full(len(rows), self._temp_c)
        return ImuSamples(t_ns, rows[:, 3:] / gyro, rows[:, :3] / accel, temp, lost)

    def _scales(self) -> Tuple[float, float]:
        request = self._request
        return reg.LSB_PER_G[request.accel_range_g], reg.LSB_PER_DPS[request.gyro_range_dps]

    def _celsius(self, raw: int) -> float:
        return raw / self.chip.temp_lsb_per_c + self.chip.temp_offset_c
