"""Two small CUDA kernels, compiled at start by the runtime compiler that PyTorch brings along.

cuBLAS reads a matrix at about 0.82 of the memory's bandwidth when it is multiplied by one vector, and PyTorch's
layer norm takes twice as long as it must on few rows; at one token a step that is a tenth of the time. Where
PyTorch can't compile them, its own operators stand in (`own` is False).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

NORM_THREADS = 256
NORM_ROWS = 256
VECTOR_WARPS = 4
VECTOR_ROWS = 2

SOURCE = r"""extern "C" {
typedef unsigned int u32;
__device__ __forceinline__ float low(u32 v) { return __uint_as_float(v << 16); }
__device__ __forceinline__ float high(u32 v) { return __uint_as_float(v & 0xffff0000u); }
__device__ __forceinline__ unsigned short bf16(float f) {
  u32 v = __float_as_uint(f);
  return (unsigned short)((v + 0x7fffu + ((v >> 16) & 1u)) >> 16);
}
__device__ __forceinline__ u32 pack(float a, float b) { return (u32)bf16(a) | ((u32)bf16(b) << 16); }
__device__ __forceinline__ uint4 stream(const uint4* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
__device__ __forceinline__ float dot(uint4 a, uint4 b, float sum) {
  sum = fmaf(low(a.x), low(b.x), sum); sum = fmaf(high(a.x), high(b.x), sum);
  sum = fmaf(low(a.y), low(b.y), sum); sum = fmaf(high(a.y), high(b.y), sum);
  sum = fmaf(low(a.z), low(b.z), sum); sum = fmaf(high(a.z), high(b.z), sum);
  sum = fmaf(low(a.w), low(b.w), sum); sum = fmaf(high(a.w), high(b.w), sum);
  return sum;
}

// Layer norm of rows of `width` numbers (a multiple of 8, at most 8192): one block a row, kept in registers.
__global__ void __launch_bounds__(256) layer_norm_rows(
    const uint4* x, const uint4* gain, const uint4* bias, uint4* y, int width) {
  const int items = width / 8, lane = threadIdx.x;
  const uint4* row = x + (size_t)blockIdx.x * items;
  uint4 held[4];
  float sum = 0.f, square = 0.f;
  #pragma unroll
  for (int k = 0; k < 4; k++) {
    const int i = lane + k * 256;
    if (i < items) {
      held[k] = row[i];
      const u32 part[4] = {held[k].x, held[k].y, held[k].z, held[k].w};
      #pragma unroll
      for (int j = 0; j < 4; j++) {
        const float a = low(part[j]), b = high(part[j]);
        sum += a + b; square += a * a + b * b;
      }
    }
  }
  __shared__ float sums[8], squares[8];
  for (int d = 16; d; d >>= 1) {
    sum += __shfl_xor_sync(~0u, sum, d); square += __shfl_xor_sync(~0u, square, d);
  }
  if (lane % 32 == 0) { sums[lane / 32] = sum; squares[lane / 32] = square; }
  __syncthreads();
  sum = square = 0.f;
  #pragma unroll
  for (int k = 0; k < 8; k++) { sum += sums[k]; square += squares[k]; }
  const float mean = sum / width, scale = rsqrtf(fmaxf(square / width - mean * mean, 0.f) + 1e-5f);
  #pragma unroll
  for (int k = 0; k < 4; k++) {
    const int i = lane + k * 256;
    if (i < items) {
      const uint4 g = gain[i], b = bias[i];
      const u32 in[4] = {held[k].x, held[k].y, held[k].z, held[k].w};
      const u32 gs[4] = {g.x, g.y, g.z, g.w}, bs[4] = {b.x, b.y, b.z, b.w};
      u32 out[4];
      #pragma unroll
      for (int j = 0; j < 4; j++)
        out[j] = pack((low(in[j]) - mean) * scale * low(gs[j]) + low(bs[j]),
                      (high(in[j]) - mean) * scale * high(gs[j]) + high(bs[j]));
      y[(size_t)blockIdx.x * items + i] = make_uint4(out[0], out[1], out[2], out[3]);
    }
  }
}

// y = W x for one vector: a warp takes two rows of W, which is read once and kept out of the L1 cache.
// mode 0: y = Wx; 1: y = gelu(Wx + bias); 2: y += Wx.
__global__ void __launch_bounds__(128) one_vector(
    const uint4* x, const uint4* w, unsigned short* y, const unsigned short* bias, int rows, int width, int mode) {
  const int lane = threadIdx.x % 32, items = width / 8;
  const int first = (blockIdx.x * 4 + threadIdx.x / 32) * 2;
  if (first >= rows) return;
  const uint4* top = w + (size_t)first * items;
  const uint4* bottom = top + (first + 1 < rows ? items : 0);
  float a = 0.f, b = 0.f;
  int i = lane;
  for (; i + 96 < items; i += 128) {
    uint4 t[4], u[4];
    #pragma unroll
    for (int k = 0; k < 4; k++) { t[k] = stream(top + i + 32 * k); u[k] = stream(bottom + i + 32 * k); }
    #pragma unroll
    for (int k = 0; k < 4; k++) { const uint4 v = x[i + 32 * k]; a = dot(t[k], v, a); b = dot(u[k], v, b); }
  }
  for (; i < items; i += 32) {
    const uint4 v = x[i];
    a = dot(stream(top + i), v, a); b = dot(stream(bottom + i), v, b);
  }
  for (int d = 16; d; d >>= 1) { a += __shfl_xor_sync(~0u, a, d); b += __shfl_xor_sync(~0u, b, d); }
  if (lane < 2 && first + lane < rows) {
    float value = lane ? b : a;
    const int row = first + lane;
    if (mode == 1) {
      value += __uint_as_float((u32)bias[row] << 16);
      value = 0.5f * value * (1.f + tanhf(0.7978845608f * (value + 0.044715f * value * value * value)));
    }
    if (mode == 2) value += __uint_as_float((u32)y[row] << 16);
    y[row] = bf16(value);
  }
}
}
"""


class Kernels:
    """What a layer is made of: norm, and products with and without bias, GELU and sum."""

    def __init__(self, own: bool = True) -> None:
        self.why = ""
        self._norm: Any = None
        self._vector: Any = None
        if own:
            try:
                self._norm = torch.cuda._compile_kernel(SOURCE, "layer_norm_rows")
                self._vector = torch.cuda._compile_kernel(SOURCE, "one_vector")
            except (AttributeError, RuntimeError, OSError) as error:
                self.why = f"{type(error).__name__}: {error}"
                self._norm = self._vector = None

    @property
    def own(self) -> bool:
        """Whether the CUDA kernels above are in use."""
        return self._vector is not None

    def norm(self, x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Layer norm of (R, C)."""
        if self._norm is None or x.shape[0] > NORM_ROWS:
            return functional.layer_norm(x, gain.shape, gain, bias)
        y = torch.empty_like(x)
        self._norm(grid=(x.shape[0], 1, 1), block=(NORM_THREADS, 1, 1), args=[x, gain, bias, y, x.shape[1]])
        return y

    def product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(R, C) by (N, C) → (R, N)."""
        if self._vector is None or x.shape[0] > 1:
            return functional.linear(x, weight)
        y = torch.empty((1, weight.shape[0]), device=x.device, dtype=x.dtype)
        self._one(x, weight, y, weight, 0)
        return y

    def gelu(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """GELU (tanh) of the product plus bias."""
        if self._vector is None or x.shape[0] > 1:
            return torch._addmm_activation(bias, x, weight.t(), use_gelu=True)
        y = torch.empty((1, weight.shape[0]), device=x.device, dtype=x.dtype)
        self._one(x, weight, y, bias, 1)
        return y

    def add(self, total: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> None:
        """Add the product to `total` in place."""
        if self._vector is None or x.shape[0] > 1:
            total.addmm_(x, weight.t())
        else:
            self._one(x, weight, total, weight, 2)

    def _one(
        self, x: torch.Tensor, weight: torch.Tensor, y: torch.Tensor, bias: torch.Tensor, mode: int
    ) -> None:
        rows, width = weight.shape
        per_block = VECTOR_WARPS * VECTOR_ROWS
        self._vector(
            grid=(-(-rows // per_block), 1, 1),
            block=(32 * VECTOR_WARPS, 1, 1),
            args=[x, weight, y, bias, rows, width, mode],
        )
