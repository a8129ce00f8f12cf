// One source for two compilers: CUDA (nvcc, NVRTC) makes kernels of it, g++ makes plain functions.
//
// On the GPU a kernel's body is one thread's work; under g++ the same body stands in loops over the
// grid, warps have one lane and blocks one thread. No header is needed, so NVRTC needs none either.
#ifndef EDGE_PORTABLE_H
#define EDGE_PORTABLE_H

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef __CUDACC__

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__

// A thread for each x, y, z; those outside leave.
#define GRID_BEGIN(x, y, z, wide, high, deep)                                            \
  const i32 x = (i32)(blockIdx.x * blockDim.x + threadIdx.x);                            \
  const i32 y = (i32)(blockIdx.y * blockDim.y + threadIdx.y);                            \
  const i32 z = (i32)blockIdx.z;                                                         \
  if (x >= (wide) || y >= (high) || z >= (deep)) return;
#define GRID_END

// A warp for each item: threadIdx.x is the lane, threadIdx.y the warp of its block.
#define LANES 32
#define WARP_BEGIN(item, count)                                                          \
  const i32 lane = (i32)threadIdx.x;                                                     \
  const i32 item = (i32)(blockIdx.x * blockDim.y + threadIdx.y);                         \
  if (item >= (count)) return;
#define WARP_END
DEVICE float lane_down(float value, i32 by) { return __shfl_down_sync(~0u, value, by); }
DEVICE i32 lane_down(i32 value, i32 by) { return __shfl_down_sync(~0u, value, by); }
DEVICE i32 lane_first(i32 value) { return __shfl_sync(~0u, value, 0); }

// A block of THREADS for each item.
#define THREADS 256
#define BLOCK_BEGIN(item, count)                                                         \
  const i32 thread = (i32)threadIdx.x;                                                   \
  const i32 item = (i32)blockIdx.x;                                                      \
  if (item >= (count)) return;
#define BLOCK_END
#define SYNC() __syncthreads()
DEVICE void add_shared(i32 *where) { atomicAdd(where, 1); }
DEVICE i32 count_block(bool yes) { return __syncthreads_count(yes); }

// How many threads before this one say yes; `total` = how many in the block.
DEVICE i32 rank_block(bool yes, i32 *total) {
  __shared__ i32 sums[THREADS / 32];
  const u32 mask = __ballot_sync(~0u, yes);
  const i32 lane = (i32)threadIdx.x & 31, warp = (i32)threadIdx.x >> 5;
  if (lane == 0) sums[warp] = __popc(mask);
  __syncthreads();
  i32 before = 0, all = 0;
  for (i32 i = 0; i < THREADS / 32; ++i) {
    before += i < warp ? sums[i] : 0;
    all += sums[i];
  }
  __syncthreads();
  *total = all;
  return before + __popc(mask & ((1u << lane) - 1));
}

// Rounded on their own, whatever is added to them, and as IEEE says, whatever the compiler is told.
DEVICE float product(float a, float b) { return __fmul_rn(a, b); }
DEVICE float quotient(float a, float b) { return __fdiv_rn(a, b); }
DEVICE u32 bits_of(float value) { return __float_as_uint(value); }
DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }
DEVICE u16 half_of(float value) {
  u16 half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

#else  // g++

#include <math.h>
#include <string.h>

#define KERNEL extern "C" void
#define DEVICE static inline
#define SHARED
#define GRID_BEGIN(x, y, z, wide, high, deep)                                            \
  for (i32 z = 0; z < (deep); ++z)                                                       \
    for (i32 y = 0; y < (high); ++y)                                                     \
      for (i32 x = 0; x < (wide); ++x) {
#define GRID_END }
#define LANES 1
#define WARP_BEGIN(item, count)                                                          \
  for (i32 item = 0; item < (count); ++item) {                                           \
    const i32 lane = 0;
#define WARP_END }
DEVICE float lane_down(float value, i32) { return value; }
DEVICE i32 lane_down(i32 value, i32) { return value; }
DEVICE i32 lane_first(i32 value) { return value; }
#define THREADS 1
#define BLOCK_BEGIN(item, count)                                                         \
  for (i32 item = 0; item < (count); ++item) {                                           \
    const i32 thread = 0;
#define BLOCK_END }
#define SYNC()
DEVICE void add_shared(i32 *where) { ++*where; }
DEVICE i32 count_block(bool yes) { return yes; }
DEVICE i32 rank_block(bool yes, i32 *total) {
  *total = yes;
  return 0;
}
DEVICE float product(float a, float b) { return a * b; }
DEVICE float quotient(float a, float b) { return a / b; }
DEVICE u32 bits_of(float value) {
  u32 bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
DEVICE float float_of(u32 bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
// Round to nearest, ties to even (IEEE 754 binary16), as cvt.rn.f16.f32 does.
DEVICE u16 half_of(float value) {
  const u32 bits = bits_of(value), sign = bits >> 16 & 0x8000u, plain = bits & 0x7FFFFFFFu;
  if (plain > 0x7F800000u) return (u16)(sign | 0x7FFFu);   // not a number
  if (plain >= 0x47800000u) return (u16)(sign | 0x7C00u);  // 65536 and above: infinity
  if (plain < 0x38800000u) {  // below 2^-14: the unit is 2^-24, and 0.5 has that unit in float
    return (u16)(sign | (bits_of(float_of(plain) + 0.5f) - 0x3F000000u));
  }
  const u32 odd = plain >> 13 & 1u;
  return (u16)(sign | ((plain - 0x38000000u + 0xFFFu + odd) >> 13));
}

#endif

// Every half is a float exactly.
DEVICE float float_of_half(u16 half) {
  const u32 sign = (u32)(half & 0x8000u) << 16, rest = half & 0x7FFFu;
  if (rest >= 0x7C00u) return float_of(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
  // Moved into float's places the exponent is 112 too small; the product mends it, subnormals too.
  const float value = float_of(rest << 13) * 5.192296858534828e+33f;  // 2^112
  return sign ? -value : value;
}

DEVICE bool finite(float value) { return (bits_of(value) & 0x7F800000u) != 0x7F800000u; }

#endif
