// Crops of camera frames straight into a network's input, a whole batch in one launch.
//
// For each output pixel: a place in the frame, four bilinear taps, each converted to RGB, normalised
// and stored in the network's order and type. Frames may be several and of any format.
// Colours are rounded to whole grey values after conversion and after sampling: networks were
// trained on, and calibrated with, pictures of 8 bits. Without that keypoints moved by up to 19 px.
// Numbers are rounded where OpenCV 5 rounds them on x86-64 with FMA, so that a laptop and a GPU see
// the same pictures; and as written, by fmaf and `product`, whichever compiler it is.
#include "portable.h"

enum Format { BGR = 0, NV12 = 1, YUYV = 2, RGB = 3, GRAY = 4 };  // edge.structures.LAYOUTS
enum Type { F32 = 0, F16 = 1, I8 = 2, U8 = 3, I32 = 4 };
enum { VEIL_CELL = 4 };  // px of a side; edge.structures.VEIL_CELL_PX
enum { SWAPPED = 1, MIRRORED_X = 2, MIRRORED_Y = 4 };  // edge.view

struct Crop {       // 80 bytes, one a crop
  u64 pixels;       // address of the first byte: packed pixels, or luma
  u64 chroma;       // NV12: of the plane U V U V ...
  i32 width, height;               // px of the frame
  i32 pitch, chroma_pitch;         // bytes from row to row
  i32 format;                      // Format
  i32 slot;                        // which sample of the output
  i32 fit_width, fit_height;       // output px that show the frame; the others are border
  i32 whole;                       // 1 + View.code = the whole frame is fitted in, 0 = see map
  float map[6];                    // output px -> frame px, pixel centres at whole numbers
  i32 veil;                        // 1 + which of the veils lies on it, 0 = none
};

struct Target {     // 104 bytes
  u64 data;                        // the network's input
  u64 crops;                       // Crop[count]
  u64 veils;                       // bytes [][rows][columns], one a cell: not 0 = hidden
  i32 width, height;               // px
  i32 count, type;                 // crops; Type
  i32 pixelwise;                   // 0 = NCHW, 1 = NHWC
  i32 bgr;                         // 1 = the first channel is blue
  float border;                    // grey value outside the frame
  float scale[3], bias[3];         // of each channel of the network: value * scale + bias
  float scale_rest[3], bias_rest[3];  // what a float cannot hold of them
  i32 spare;
};

static_assert(sizeof(Crop) == 80 && sizeof(Target) == 104, "layouts.py mirrors these");

struct Colour { float r, g, b; };

DEVICE float limit(float value, float low, float high) { return fminf(fmaxf(value, low), high); }

DEVICE float colour(i32 sum) {
  const i32 value = (sum + (1 << 19)) >> 20;
  return (float)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// BT.601 limited range in 1/2^20, as cv2.cvtColor counts: R = 1.164 (Y - 16) + 1.596 (V - 128) ...
DEVICE Colour from_yuv(i32 luma, i32 u, i32 v) {
  const i32 y = (luma > 16 ? luma - 16 : 0) * 1220542;
  u -= 128;
  v -= 128;
  Colour c;
  c.r = colour(y + 1673527 * v);
  c.g = colour(y - 409993 * u - 852492 * v);
  c.b = colour(y + 2116026 * u);
  return c;
}

// The pair of pixels that x is in; the last of an odd width shares the colour of the pair before.
DEVICE i32 pair_of(i32 x, i32 width) {
  const i32 last = width / 2 - 1;
  return x / 2 < last ? x / 2 : last;
}

DEVICE Colour from_nv12(const Crop &crop, i32 x, i32 y) {
  const u8 *luma = (const u8 *)crop.pixels + (u64)y * crop.pitch;
  const i32 column = pair_of(x, crop.width), row = pair_of(y, crop.height);
  if (column < 0 || row < 0) return from_yuv(luma[x], 128, 128);
  const u8 *pair = (const u8 *)crop.chroma + (u64)row * crop.chroma_pitch + 2 * column;
  return from_yuv(luma[x], pair[0], pair[1]);
}

DEVICE Colour from_yuyv(const Crop &crop, i32 x, i32 y) {
  const u8 *row = (const u8 *)crop.pixels + (u64)y * crop.pitch;
  const i32 column = pair_of(x, crop.width);
  if (column < 0) return from_yuv(row[2 * x], 128, 128);
  return from_yuv(row[2 * x], row[4 * column + 1], row[4 * column + 3]);
}

DEVICE Colour pixel(const Crop &crop, i32 x, i32 y) {
  if (crop.format == NV12) return from_nv12(crop, x, y);
  if (crop.format == YUYV) return from_yuyv(crop, x, y);
  const u8 *row = (const u8 *)crop.pixels + (u64)y * crop.pitch;
  Colour c;
  if (crop.format == GRAY) {
    c.r = c.g = c.b = row[x];
    return c;
  }
  const i32 red = crop.format == BGR ? 2 : 0;
  c.r = row[3 * x + red];
  c.g = row[3 * x + 1];
  c.b = row[3 * x + 2 - red];
  return c;
}

DEVICE Colour tap(const Crop &crop, i32 x, i32 y, float border) {
  if (x >= 0 && y >= 0 && x < crop.width && y < crop.height) return pixel(crop, x, y);
  Colour c;
  c.r = c.g = c.b = border;
  return c;
}

DEVICE float between(float a, float b, float share) { return fmaf(share, b - a, a); }

DEVICE Colour between(const Colour &a, const Colour &b, float share) {
  Colour c;
  c.r = between(a.r, b.r, share);
  c.g = between(a.g, b.g, share);
  c.b = between(a.b, b.b, share);
  return c;
}

// As cv2.warpAffine (OpenCV 5): rows begin at a rounded place, all else is fused.
DEVICE Colour sample(const Crop &crop, float u, float v, float border) {
  // Kept near the frame, so that whole numbers hold it; what is no number lands outside.
  const float *m = crop.map;
  const float x = limit(fmaf(m[0], u, product(m[1], v) + m[2]), -1.0f, (float)crop.width);
  const float y = limit(fmaf(m[3], u, product(m[4], v) + m[5]), -1.0f, (float)crop.height);
  const float left = floorf(x), top = floorf(y);
  const i32 i = (i32)left, j = (i32)top;
  const Colour above = between(tap(crop, i, j, border), tap(crop, i + 1, j, border), x - left);
  const Colour below =
      between(tap(crop, i, j + 1, border), tap(crop, i + 1, j + 1, border), x - left);
  Colour c = between(above, below, y - top);
  c.r = rintf(c.r);
  c.g = rintf(c.g);
  c.b = rintf(c.b);
  return c;
}

struct Mix {                       // two neighbours in a row or column of the frame
  i32 first, second;               // px
  i32 a, b;                        // their shares in 1/2048
};

// Which px of `size` the px `at` of `fit` shows: at (at + 0.5) * size / fit - 0.5. Numerator and
// denominator are whole numbers, so that the quotient is the nearest float there is.
DEVICE Mix mix(i32 at, i32 size, i32 fit, bool clamp) {
  const float place = quotient((float)((2 * at + 1) * size - fit), (float)(2 * fit));
  const float low = floorf(place);
  const i32 first = (i32)low, last = size - 1;
  const float share = clamp && (first < 0 || first >= last) ? 0.0f : place - low;
  Mix m;
  m.first = first < 0 ? 0 : first > last ? last : first;
  m.second = first + 1 > last ? last : first + 1;
  m.a = (i32)rintf((1.0f - share) * 2048.0f);
  m.b = (i32)rintf(share * 2048.0f);
  return m;
}

// Columns come with 11 bits more; each row's part loses 4 of them, then 16 of all, the sum the rest.
DEVICE float mixed(const Mix &x, const Mix &y, float a, float b, float c, float d) {
  const i32 above = ((i32)a * x.a + (i32)b * x.b) >> 4, below = ((i32)c * x.a + (i32)d * x.b) >> 4;
  return (float)(((y.a * above >> 16) + (y.b * below >> 16) + 2) >> 2);
}

// As cv2.resize with INTER_LINEAR (every version, 8 bits): from edge to edge, its edge repeated.
// A turned frame is stretched as it lies in memory; u and v are px of the upright picture.
DEVICE Colour stretch(const Crop &crop, i32 u, i32 v) {
  const i32 code = crop.whole - 1;
  const bool swapped = code & SWAPPED;
  const i32 wide = swapped ? crop.fit_height : crop.fit_width;
  const i32 high = swapped ? crop.fit_width : crop.fit_height;
  const i32 across = swapped ? v : u, down = swapped ? u : v;
  const Mix x = mix(code & MIRRORED_X ? wide - 1 - across : across, crop.width, wide, true);
  const Mix y = mix(code & MIRRORED_Y ? high - 1 - down : down, crop.height, high, false);
  const Colour a = pixel(crop, x.first, y.first), b = pixel(crop, x.second, y.first);
  const Colour c = pixel(crop, x.first, y.second), d = pixel(crop, x.second, y.second);
  Colour whole;
  whole.r = mixed(x, y, a.r, b.r, c.r, d.r);
  whole.g = mixed(x, y, a.g, b.g, c.g, d.g);
  whole.b = mixed(x, y, a.b, b.b, c.b, d.b);
  return whole;
}

// (value - mean) / std as float64 would give it, rounded once: what each operation lost is added at
// the end (Dekker 1971; Knuth, The Art of Computer Programming, volume 2, 4.2.2, theorem B).
DEVICE float normal(const Target &to, i32 channel, float value) {
  const float scale = to.scale[channel], bias = to.bias[channel];
  const float scaled = product(value, scale), sum = scaled + bias, part = sum - scaled;
  const float lost = fmaf(value, scale, -scaled) + ((scaled - (sum - part)) + (bias - part));
  return sum + (lost + fmaf(value, to.scale_rest[channel], to.bias_rest[channel]));
}

DEVICE void store(const Target &to, u64 at, float value) {
  switch (to.type) {
    case F32: ((float *)to.data)[at] = value; break;
    case F16: ((u16 *)to.data)[at] = half_of(value); break;
    case I8: ((i8 *)to.data)[at] = (i8)limit(rintf(value), -128.0f, 127.0f); break;
    case U8: ((u8 *)to.data)[at] = (u8)limit(rintf(value), 0.0f, 255.0f); break;
    // 2147483520 is the largest float that is an i32.
    default: ((i32 *)to.data)[at] = (i32)limit(rintf(value), -2147483648.0f, 2147483520.0f);
  }
}

// Whether a pixel is to look as outside the frame, because somebody else is there.
DEVICE bool hidden(const Target &to, i32 veil, i32 x, i32 y) {
  if (!veil) return false;
  const i32 columns = (to.width + VEIL_CELL - 1) / VEIL_CELL;
  const i32 rows = (to.height + VEIL_CELL - 1) / VEIL_CELL;
  const u64 row = (u64)(veil - 1) * rows + y / VEIL_CELL;
  return ((const u8 *)to.veils)[row * columns + x / VEIL_CELL] != 0;
}

KERNEL crop(Target to) {
  GRID_BEGIN(x, y, z, to.width, to.height, to.count)
  const Crop &one = ((const Crop *)to.crops)[z];
  Colour c;
  c.r = c.g = c.b = to.border;
  if (x < one.fit_width && y < one.fit_height && !hidden(to, one.veil, x, y)) {
    c = one.whole ? stretch(one, x, y) : sample(one, (float)x, (float)y, to.border);
  }
  const float values[3] = {to.bgr ? c.b : c.r, c.g, to.bgr ? c.r : c.b};
  const u64 plane = (u64)to.width * to.height, inside = (u64)y * to.width + x;
  const u64 first = (u64)one.slot * 3 * plane;
  for (i32 i = 0; i < 3; ++i) {
    const u64 at = first + (to.pixelwise ? inside * 3 + i : i * plane + inside);
    store(to, at, normal(to, i, values[i]));
  }
  GRID_END
}
