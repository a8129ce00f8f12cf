// Crops of camera frames straight into a network's input, a whole batch in one launch.
//
// For each output pixel: an affine map into the frame, four bilinear taps, each converted to RGB,
// normalised and stored in the network's order and type. Frames may be several and of any format.
// Colours are rounded to whole grey values after conversion and after sampling: networks were
// trained on, and calibrated with, pictures of 8 bits. Without that keypoints moved by up to 19 px.
// Sums of products are written as fmaf, so that both compilers give the same bits.
#include "portable.h"

enum Format { BGR = 0, NV12 = 1, YUYV = 2, RGB = 3, GRAY = 4 };  // edge.structures.LAYOUTS
enum Type { F32 = 0, F16 = 1, I8 = 2, U8 = 3, I32 = 4 };

struct Crop {       // 80 bytes, one a crop
  u64 pixels;       // address of the first byte: packed pixels, or luma
  u64 chroma;       // NV12: of the plane U V U V ...
  i32 width, height;               // px of the frame
  i32 pitch, chroma_pitch;         // bytes from row to row
  i32 format;                      // Format
  i32 slot;                        // which sample of the output
  i32 fit_width, fit_height;       // output px that show the frame; the others are border
  i32 repeat;                      // outside the frame: 1 = its edge again, 0 = border
  float map[6];                    // output px -> frame px, pixel centres at whole numbers
  i32 spare;
};

struct Target {     // 72 bytes
  u64 data;                        // the network's input
  u64 crops;                       // Crop[count]
  i32 width, height;               // px
  i32 count, type;                 // crops; Type
  i32 pixelwise;                   // 0 = NCHW, 1 = NHWC
  i32 bgr;                         // 1 = the first channel is blue
  float border;                    // grey value outside the frame
  float scale[3], bias[3];         // of each channel of the network: value * scale + bias
  i32 spare;
};

static_assert(sizeof(Crop) == 80 && sizeof(Target) == 72, "layouts.py mirrors these");

struct Colour { float r, g, b; };

DEVICE float limit(float value, float low, float high) { return fminf(fmaxf(value, low), high); }
DEVICE float grey(float value) { return rintf(limit(value, 0.0f, 255.0f)); }

// BT.601 limited range, as cv2.cvtColor converts: R = 1.164383 (Y - 16) + 1.596027 (V - 128) ...
DEVICE Colour from_yuv(float luma, float u, float v) {
  const float y = 1.164383f * fmaxf(luma - 16.0f, 0.0f);
  u -= 128.0f;
  v -= 128.0f;
  Colour c;
  c.r = grey(fmaf(1.596027f, v, y));
  c.g = grey(fmaf(-0.391762f, u, fmaf(-0.812968f, v, y)));
  c.b = grey(fmaf(2.017232f, u, y));
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
  if (column < 0 || row < 0) return from_yuv(luma[x], 128.0f, 128.0f);
  const u8 *pair = (const u8 *)crop.chroma + (u64)row * crop.chroma_pitch + 2 * column;
  return from_yuv(luma[x], pair[0], pair[1]);
}

DEVICE Colour from_yuyv(const Crop &crop, i32 x, i32 y) {
  const u8 *row = (const u8 *)crop.pixels + (u64)y * crop.pitch;
  const i32 column = pair_of(x, crop.width);
  if (column < 0) return from_yuv(row[2 * x], 128.0f, 128.0f);
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

DEVICE Colour sample(const Crop &crop, float u, float v, float border) {
  // Kept near the frame, so that whole numbers hold it; what is no number lands outside.
  const float edge = crop.repeat ? 0.0f : -1.0f, *m = crop.map;
  const float x = limit(fmaf(m[0], u, fmaf(m[1], v, m[2])), edge, (float)(crop.width - 1) - edge);
  const float y = limit(fmaf(m[3], u, fmaf(m[4], v, m[5])), edge, (float)(crop.height - 1) - edge);
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

KERNEL crop(Target to) {
  GRID_BEGIN(x, y, z, to.width, to.height, to.count)
  const Crop &one = ((const Crop *)to.crops)[z];
  Colour c;
  c.r = c.g = c.b = to.border;
  if (x < one.fit_width && y < one.fit_height) c = sample(one, (float)x, (float)y, to.border);
  const float values[3] = {to.bgr ? c.b : c.r, c.g, to.bgr ? c.r : c.b};
  const u64 plane = (u64)to.width * to.height, inside = (u64)y * to.width + x;
  const u64 first = (u64)one.slot * 3 * plane;
  for (i32 i = 0; i < 3; ++i) {
    const u64 at = first + (to.pixelwise ? inside * 3 + i : i * plane + inside);
    store(to, at, fmaf(values[i], to.scale[i], to.bias[i]));
  }
  GRID_END
}
