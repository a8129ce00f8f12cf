// CUDA's words for g++, a thread for each thread of a block: the GPU's half of portable.h runs.
//
// Blocks run one after the other, so what is shared in a block may be static. Warps are 32 threads
// that wait for each other wherever the GPU's would. Slow; for small grids.
#include <math.h>
#include <string.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#define __CUDACC__ 1
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static

struct Index { unsigned x, y, z; };
static thread_local Index threadIdx, blockIdx;
static Index blockDim;

class Barrier {
 public:
  void reset(unsigned count) { count_ = count; waiting_ = 0; }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    const unsigned turn = turn_;
    if (++waiting_ == count_) {
      waiting_ = 0;
      ++turn_;
      all_.notify_all();
    } else {
      all_.wait(lock, [&] { return turn_ != turn; });
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  unsigned count_ = 0, waiting_ = 0, turn_ = 0;
};

static Barrier block_barrier, warp_barriers[32];
static u_int64_t slots[1024];

static unsigned linear() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
static unsigned threads() { return blockDim.x * blockDim.y * blockDim.z; }
static void __syncthreads() { block_barrier.wait(); }

static int __syncthreads_count(int yes) {
  slots[linear()] = yes != 0;
  block_barrier.wait();
  int sum = 0;
  for (unsigned i = 0; i < threads(); ++i) sum += (int)slots[i];
  block_barrier.wait();
  return sum;
}

static unsigned __ballot_sync(unsigned, int yes) {
  const unsigned warp = linear() / 32;
  slots[linear()] = yes != 0;
  warp_barriers[warp].wait();
  unsigned mask = 0;
  for (unsigned i = 0; i < 32; ++i) mask |= (unsigned)slots[warp * 32 + i] << i;
  warp_barriers[warp].wait();
  return mask;
}

template <class T> static T exchanged(T value, unsigned from) {
  const unsigned me = linear(), warp = me / 32;
  memcpy(&slots[me], &value, sizeof value);
  warp_barriers[warp].wait();
  T found;
  memcpy(&found, &slots[from], sizeof found);
  warp_barriers[warp].wait();
  return found;
}

template <class T> static T __shfl_down_sync(unsigned, T value, int by) {
  const unsigned me = linear();
  return exchanged(value, me % 32 + by < 32 ? me + by : me);
}

template <class T> static T __shfl_sync(unsigned, T value, int lane) {
  return exchanged(value, linear() / 32 * 32 + lane);
}

static int atomicAdd(int *where, int value) { return __sync_fetch_and_add(where, value); }
static int __popc(unsigned bits) { return __builtin_popcount(bits); }
static float __fmul_rn(float a, float b) { return a * b; }
static float __fdiv_rn(float a, float b) { return a / b; }
static unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The one line of assembly is the conversion to half: the compiler's own, or zero where it has none.
#ifdef __FLT16_MAX__
static unsigned short half_bits(float value) {
  const _Float16 half = (_Float16)value;
  unsigned short bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
#else
static unsigned short half_bits(float) { return 0; }
#endif
#define asm(...) half = half_bits(value)

template <class Kernel> static void run(const unsigned *grid, const unsigned *block, Kernel kernel) {
  blockDim = {block[0], block[1], block[2]};
  for (unsigned z = 0; z < grid[2]; ++z)
    for (unsigned y = 0; y < grid[1]; ++y)
      for (unsigned x = 0; x < grid[0]; ++x) {
        block_barrier.reset(threads());
        for (unsigned w = 0; w * 32 < threads(); ++w) warp_barriers[w].reset(32);
        std::vector<std::thread> crew;
        for (unsigned t = 0; t < threads(); ++t)
          crew.emplace_back([=] {
            threadIdx = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
            blockIdx = {x, y, z};
            kernel();
          });
        for (auto &one : crew) one.join();
      }
}
