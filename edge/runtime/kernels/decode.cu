// What a network gave, reduced where it lies: maxima of SimCC axes, candidates of detectors.
#include "portable.h"

struct Peaks {      // 64 bytes
  u64 logits[2];                   // x and y axes: [rows, bins] each
  u64 at;                          // i32 [rows, 2], bin of the maximum
  u64 best;                        // float [rows, 2]
  i32 bins[2];
  i32 rows;                        // samples times keypoints
  i32 half;                        // 1 = logits are FP16
  u64 near;                        // float [rows, 2, 2 reach + 1], around each maximum; 0 = unwanted
  i32 reach;                       // bins on each side; those outside the axis are 0
  i32 spare;
};

DEVICE float number(u64 data, i32 half, u64 at) {
  return half ? float_of_half(((const u16 *)data)[at]) : ((const float *)data)[at];
}

// As numpy.argmax: the first of equal ones; what is no number comes before all numbers.
DEVICE bool above(float a, i32 i, float b, i32 j) {
  const bool no_a = a != a, no_b = b != b;
  if (no_a || no_b) return no_a && (!no_b || i < j);
  return a > b || (a == b && i < j);
}

// A warp for each row of each axis.
KERNEL simcc_peaks(Peaks task) {
  WARP_BEGIN(item, 2 * task.rows)
  const i32 axis = item & 1, row = item >> 1, bins = task.bins[axis];
  float best = float_of(0xFF800000u);
  i32 at = 0x7FFFFFFF;
  for (i32 i = lane; i < bins; i += LANES) {
    const float value = number(task.logits[axis], task.half, (u64)row * bins + i);
    if (above(value, i, best, at)) {
      best = value;
      at = i;
    }
  }
  for (i32 by = LANES / 2; by > 0; by /= 2) {
    const float other = lane_down(best, by);
    const i32 where = lane_down(at, by);
    if (above(other, where, best, at)) {
      best = other;
      at = where;
    }
  }
  if (lane == 0) {
    ((i32 *)task.at)[item] = at;
    ((float *)task.best)[item] = best;
  }
  if (task.near) {
    const i32 first = lane_first(at) - task.reach, wide = 2 * task.reach + 1;
    for (i32 i = lane; i < wide; i += LANES) {
      const i32 bin = first + i;
      const bool inside = bin >= 0 && bin < bins;
      ((float *)task.near)[(u64)item * wide + i] =
          inside ? number(task.logits[axis], task.half, (u64)row * bins + bin) : 0.0f;
    }
  }
  WARP_END
}

struct Column {     // 24 bytes: where one number of each row lies, in elements
  u64 data;
  i32 frame;                       // from frame to frame
  i32 outer, inner;                // row r is r / length times outer plus r % length times inner
  i32 part;                        // from one box number to the next
};

struct Choice {     // 136 bytes
  Column score, factor, box;       // factor.data = 0: the score alone
  u64 found;                       // i32 [frames, 2]: rows at or above the floor, bad rows
  u64 rows_at;                     // i32 [frames, most]: row numbers, rising
  u64 scores;                      // float [frames, most]
  u64 boxes;                       // float [frames, most, parts]
  i32 rows, frames, length, parts;
  i32 most;                        // the best of each frame are kept
  i32 half;                        // 1 = numbers are FP16
  i32 logits;                      // 1 = both are logits
  float floor;                     // lowest score
};

static_assert(sizeof(Peaks) == 64 && sizeof(Column) == 24 && sizeof(Choice) == 136, "layouts.py");

DEVICE u64 place(const Column &column, const Choice &task, i32 frame, i32 row) {
  return (u64)frame * column.frame + (u64)(row / task.length) * column.outer +
         (u64)(row % task.length) * column.inner;
}

DEVICE float share(float value, i32 logit) {
  return logit ? 0.5f + 0.5f * tanhf(0.5f * value) : value;
}

// The score of a row; -1 for one whose numbers are not finite (then `bad`) and past the end.
DEVICE float score_of(const Choice &task, i32 frame, i32 row, bool *bad) {
  *bad = false;
  if (row >= task.rows) return -1.0f;
  const float a = number(task.score.data, task.half, place(task.score, task, frame, row));
  float b = 0.0f;
  if (task.factor.data)
    b = number(task.factor.data, task.half, place(task.factor, task, frame, row));
  *bad = !finite(a) || !finite(b);
  if (*bad) return -1.0f;
  return share(a, task.logits) * (task.factor.data ? share(b, task.logits) : 1.0f);
}

// Rises with the score, which is not negative here: the bits of such floats are in order.
// A zero may have a sign, which the sum takes away.
DEVICE u32 key_of(float score) { return bits_of(score + 0.0f); }

// The key of the `most`-th best row, and how many of those that equal it are among the best:
// a radix selection by bytes, highest first.
DEVICE u32 last_key(const Choice &task, i32 frame, i32 thread, i32 *equal) {
  SHARED i32 counts[256];
  u32 prefix = 0;
  i32 wanted = task.most;
  for (i32 shift = 24; shift >= 0; shift -= 8) {
    for (i32 i = thread; i < 256; i += THREADS) counts[i] = 0;
    SYNC();
    for (i32 row = thread; row < task.rows; row += THREADS) {
      bool bad;
      const float score = score_of(task, frame, row, &bad);
      const u32 key = key_of(score);
      const bool same = shift == 24 || key >> (shift + 8) == prefix >> (shift + 8);
      if (score >= task.floor && score >= 0.0f && same) add_shared(&counts[key >> shift & 255u]);
    }
    SYNC();
    i32 byte = 255;
    while (byte > 0 && counts[byte] < wanted) wanted -= counts[byte--];
    prefix |= (u32)byte << shift;
    SYNC();
  }
  *equal = wanted;
  return prefix;
}

DEVICE void keep(const Choice &task, i32 frame, i32 row, float score, i32 at) {
  const u64 to = (u64)frame * task.most + at;
  ((i32 *)task.rows_at)[to] = row;
  ((float *)task.scores)[to] = score;
  const u64 from = place(task.box, task, frame, row);
  for (i32 i = 0; i < task.parts; ++i) {
    ((float *)task.boxes)[to * task.parts + i] =
        number(task.box.data, task.half, from + (u64)i * task.box.part);
  }
}

// A block for each frame: rows above the floor in their order, no more than the best `most`.
KERNEL choose(Choice task) {
  BLOCK_BEGIN(frame, task.frames)
  i32 passed = 0, bads = 0;
  for (i32 base = 0; base < task.rows; base += THREADS) {
    bool bad;
    const float score = score_of(task, frame, base + thread, &bad);
    passed += count_block(score >= task.floor && score >= 0.0f);
    bads += count_block(bad);
  }
  u32 last = 0;
  i32 equal = task.rows;
  if (passed > task.most) last = last_key(task, frame, thread, &equal);
  i32 kept = 0, ties = 0;
  for (i32 base = 0; base < task.rows; base += THREADS) {
    bool bad;
    i32 total;
    const float score = score_of(task, frame, base + thread, &bad);
    const bool good = score >= task.floor && score >= 0.0f;
    const u32 key = key_of(score);
    const bool tied = good && key == last;
    const i32 tie = ties + rank_block(tied, &total);
    ties += total;
    const bool best = good && (key > last || (tied && tie < equal));
    const i32 at = kept + rank_block(best, &total);
    kept += total;
    if (best) keep(task, frame, base + thread, score, at);
  }
  if (thread == 0) {
    ((i32 *)task.found)[2 * frame] = passed;
    ((i32 *)task.found)[2 * frame + 1] = bads;
  }
  BLOCK_END
}
