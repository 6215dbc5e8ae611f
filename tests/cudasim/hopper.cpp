/* mbarriers, two-dimensional bulk tensor copies (TMA), warpgroup products (wgmma). */
#include <cuda.h>
#include <string.h>

#include "internal.h"
#include "tensor.h"

namespace sim {

namespace {

/* ---- mbarriers: their 8 bytes of shared memory */
struct mbarrier {
  int16_t n_pending, n_arrival;
  int32_t n_bytes : 31; /* announced and not arrived */
  uint32_t phase : 1;
};
static_assert(sizeof(mbarrier) == 8, "an mbarrier has 8 bytes");

mbarrier *at(uint32_t bar) {
  if (bar % 8) report("mbarrier", "%08x is not 8-byte aligned", bar);
  return (mbarrier *)shared_pointer(bar);
}

void complete_phase(mbarrier *m) {
  if (m->n_pending < 0) {
    report("mbarrier", "more arrivals than its %d", m->n_arrival);
    m->n_pending = 0;
  }
  if (m->n_pending || m->n_bytes) return;
  m->phase ^= 1;
  m->n_pending = m->n_arrival;
  self->n_idle = 0;
}

/* ---- tensor maps */
struct tensor_map {
  const unsigned char *base;
  uint64_t n_col, n_row, pitch; /* pitch in bytes */
  uint32_t box_col, box_row;
  int element_bytes, swizzle; /* swizzle as in CUtensorMapSwizzle */
  uint64_t magic;
};
constexpr uint64_t map_magic = 0x6d765f746d617021;
static_assert(sizeof(tensor_map) <= sizeof(CUtensorMap), "fits");

/* Address bits 4.. are mixed with bits 7.. : 32-, 64- and 128-byte patterns. */
uint32_t swizzled(uint32_t addr, int mode) {
  static const uint32_t mask[4] = {0, 1, 3, 7};
  return addr ^ ((addr >> 7 & mask[mode]) << 4);
}

template <class F> /* f(address in shared memory, byte column, row of the box), 16 bytes at a time
                    */
void for_each_piece(const tensor_map &m, uint32_t dst, F f) {
  const uint32_t row_bytes = m.box_col * (uint32_t)m.element_bytes;
  for (uint32_t r = 0; r < m.box_row; r++)
    for (uint32_t c = 0; c < row_bytes; c += 16)
      f((unsigned char *)shared_pointer(swizzled(dst + r * row_bytes + c, m.swizzle)), c, r);
}

void deliver(const tma_op &op) {
  tensor_map m;
  memcpy(&m, op.map, sizeof m);
  fiber *keep = current;
  current = op.by;
  for_each_piece(m, op.dst, [&](unsigned char *p, uint32_t c, uint32_t r) {
    const int64_t y = (int64_t)op.y + r, x = (int64_t)op.x * m.element_bytes + c;
    unsigned char piece[16] = {};
    for (int k = 0; k < 16 && y >= 0 && y < (int64_t)m.n_row; k++)
      if (x + k >= 0 && x + k < (int64_t)(m.n_col * (uint64_t)m.element_bytes))
        piece[k] = m.base[(uint64_t)y * m.pitch + (uint64_t)(x + k)];
    memcpy(p, piece, sizeof piece);
    if (checking) check_copy_done(p, 16, true);
  });
  current = keep;
  mbarrier *bar = at(op.bar);
  bar->n_bytes = bar->n_bytes - (int)(m.box_col * (uint32_t)m.element_bytes * m.box_row);
  complete_phase(bar);
}

/* The part of the box that lies in the tensor is read. */
void check_source(const tensor_map &m, int x, int y, const void *pc) {
  int64_t y0 = y < 0 ? 0 : y, y1 = (int64_t)y + m.box_row, x0 = x < 0 ? 0 : x;
  int64_t x1 = (int64_t)x + m.box_col;
  if (y1 > (int64_t)m.n_row) y1 = (int64_t)m.n_row;
  if (x1 > (int64_t)m.n_col) x1 = (int64_t)m.n_col;
  for (int64_t r = y0; r < y1 && x1 > x0; r++)
    check_access(m.base + (uint64_t)r * m.pitch + (uint64_t)(x0 * m.element_bytes),
                 (size_t)((x1 - x0) * m.element_bytes), READ, pc);
}

/* ---- wgmma */

/* Element (mn, k) of the operand a descriptor names; 16 bytes from there lie together. */
const unsigned char *operand_at(uint64_t desc, int mn, int k, bool mn_major) {
  const uint32_t start = (uint32_t)(desc & 0x3fff) << 4;
  const uint32_t leading = (uint32_t)(desc >> 16 & 0x3fff) << 4;
  const uint32_t stride = (uint32_t)(desc >> 32 & 0x3fff) << 4;
  static const int modes[4] = {0, 3, 2, 1}; /* the descriptor counts the patterns down */
  const int mode = modes[desc >> 62];
  const uint32_t m = (uint32_t)mn, kk = (uint32_t)k, width = mode ? 16u << mode : 16;
  uint32_t a;
  if (mode == 0 && mn_major)
    a = m / 8 * stride + kk / 8 * leading + kk % 8 * 16 + m % 8 * 2;
  else if (mode == 0)
    a = m / 8 * stride + kk / 8 * leading + m % 8 * 16 + kk % 8 * 2;
  else if (mn_major)
    a = m / (width / 2) * leading + kk / 8 * stride + kk % 8 * width + m % (width / 2) * 2;
  else
    a = m / 8 * stride + m % 8 * width + kk * 2;
  return (const unsigned char *)shared_pointer(swizzled(start + a, mode));
}

void load8(float *out, const unsigned char *p, const void *pc) {
  if (checking) check_access(p, 16, READ, pc);
  uint16_t h[8];
  memcpy(h, p, sizeof h);
  for (int i = 0; i < 8; i++) out[i] = bf16_low(h[i]);
}

struct wgmma_arg {
  float *d;
  const uint32_t *a;
  uint64_t a_desc, b_desc;
  int n;
  bool b_major_n;
  const void *pc;
};

void op_wgmma(void **args, unsigned mask) {
  wgmma_arg **x = (wgmma_arg **)args;
  if (mask != ~0u) return report("wgmma", "mask %08x, needs whole warps", mask);
  wgmma_op op = {};
  op.a_in_registers = x[0]->a != nullptr;
  op.a_desc = x[0]->a_desc;
  op.b_desc = x[0]->b_desc;
  op.n = x[0]->n;
  op.b_major_n = x[0]->b_major_n;
  op.pc = x[0]->pc;
  for (int l = 0; l < 32; l++) {
    if (x[l]->a_desc != op.a_desc || x[l]->b_desc != op.b_desc)
      report("wgmma", "lanes give different descriptors");
    op.d[l] = x[l]->d;
    if (op.a_in_registers) memcpy(op.a[l], x[l]->a, sizeof op.a[l]);
  }
  if (config.async == SIM_EARLY)
    run_wgmma(op);
  else
    current->warp->products.ops.push_back(op);
}

void op_commit(void **, unsigned) { current->warp->products.commit(); }
void op_wait(void **args, unsigned) {
  current->warp->products.wait(*(int *)args[current->lane], [](wgmma_op &op) { run_wgmma(op); });
}

CUresult encode_tiled(CUtensorMap *out, CUtensorMapDataType type, cuuint32_t rank, void *base,
                      const cuuint64_t *dims, const cuuint64_t *pitches, const cuuint32_t *box,
                      const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle swizzle,
                      CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  const int element = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16  ? 2
                      : type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 ? 4
                                                                : 1;
  const uint32_t row_bytes = rank == 2 ? box[0] * (uint32_t)element : 0;
  if (rank != 2 || (uintptr_t)base % 16 || pitches[0] % 16 || row_bytes % 16 || !row_bytes ||
      box[0] > 256 || box[1] > 256 || !box[1] || (swizzle && row_bytes > 16u << swizzle)) {
    report("tensor map", "rank %u, row of the box %u bytes, swizzle %d", rank, row_bytes, swizzle);
    return CUDA_ERROR_INVALID_VALUE;
  }
  tensor_map m = {(const unsigned char *)base,
                  dims[0],
                  dims[1],
                  pitches[0],
                  box[0],
                  box[1],
                  element,
                  (int)swizzle,
                  map_magic};
  memset(out, 0, sizeof *out);
  memcpy(out, &m, sizeof m);
  return CUDA_SUCCESS;
}

}  // namespace

void mbar_init(uint32_t bar, int n_arrival) {
  mbarrier *m = at(bar);
  m->n_pending = m->n_arrival = (int16_t)n_arrival;
  m->n_bytes = 0;
  m->phase = 0;
  if (!checking) return;
  check_access(m, sizeof *m, WRITE, SIM_CALLER);
  check_mbar_init(m);
}

void mbar_arrive(uint32_t bar, int n_bytes_expected) {
  mbarrier *m = at(bar);
  if (checking) check_mbar_arrive(m);
  m->n_bytes = m->n_bytes + n_bytes_expected;
  m->n_pending--;
  complete_phase(m);
}

bool mbar_try_wait(uint32_t bar, uint32_t parity) {
  mbarrier *m = at(bar);
  if (m->phase == (parity & 1)) {
    yield();
    return false;
  }
  if (checking) check_mbar_wait(m);
  return true;
}

void tma_load_2d(uint32_t dst, const void *map, int x, int y, uint32_t bar) {
  tensor_map m;
  memcpy(&m, map, sizeof m);
  if (m.magic != map_magic) return report("tma", "not a tensor map");
  if (dst % (128u << m.swizzle)) report("tma", "%08x is not aligned for its swizzle", dst);
  for_each_piece(m, dst, [&](unsigned char *p, uint32_t, uint32_t) {
    if (checking) check_copy_issue(p, nullptr, 16, 0, SIM_CALLER);
    if (config.async != SIM_EARLY) memset(p, 0xff, 16);
  });
  if (checking) {
    check_source(m, x, y, SIM_CALLER);
    check_mbar_arrive(at(bar));
  }
  tma_op op = {dst, bar, {}, x, y, current};
  memcpy(op.map, &m, sizeof m);
  if (config.async == SIM_EARLY)
    deliver(op);
  else
    self->tma.push_back(op);
}

bool tma_deliver(bool any) {
  std::vector<tma_op> &queue = self->tma;
  if (queue.empty()) return false;
  size_t i = any ? random_bits() % queue.size() : 0;
  tma_op op = queue[i];
  queue.erase(queue.begin() + (long)i);
  deliver(op);
  return true;
}

/* One warp's 16 rows of the warpgroup's 64. */
void run_wgmma(const wgmma_op &op) {
  alignas(32) static thread_local float b[16][256];
  float a[16][16], column[8];
  const int first_row = current->warp->index % 4 * 16;
  for (int l = 0; l < 32 && op.a_in_registers; l++) a_from_registers(a, l, op.a[l]);
  for (int i = 0; i < 16 && !op.a_in_registers; i++)
    for (int k = 0; k < 16; k += 8)
      load8(&a[i][k], operand_at(op.a_desc, first_row + i, k, false), op.pc);
  for (int k = 0; k < 16 && op.b_major_n; k++)
    for (int n = 0; n < op.n; n += 8) load8(&b[k][n], operand_at(op.b_desc, n, k, true), op.pc);
  for (int n = 0; n < op.n && !op.b_major_n; n++)
    for (int k = 0; k < 16; k += 8) {
      load8(column, operand_at(op.b_desc, n, k, false), op.pc);
      for (int i = 0; i < 8; i++) b[k + i][n] = column[i];
    }
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < op.n; j += 8) {
      v8f sum = {};
      for (int t = 0; t < 4; t++) { /* the lanes that hold this row: four, with two columns each */
        const float *d = op.d[i % 8 * 4 + t] + j / 2 + i / 8 * 2;
        sum[t * 2] = d[0], sum[t * 2 + 1] = d[1];
      }
      for (int k = 0; k < 16; k++) {
        v8f row;
        memcpy(&row, &b[k][j], sizeof row);
        sum += a[i][k] * row;
      }
      for (int t = 0; t < 4; t++) {
        float *d = op.d[i % 8 * 4 + t] + j / 2 + i / 8 * 2;
        d[0] = sum[t * 2], d[1] = sum[t * 2 + 1];
      }
    }
}

void wgmma(float *d, const uint32_t *a, uint64_t a_desc, uint64_t b_desc, int n, bool b_major_n) {
  wgmma_arg x = {d, a, a_desc, b_desc, n, b_major_n, SIM_CALLER};
  warp_collective(~0u, op_wgmma, &x);
}

void wgmma_commit(void) { warp_collective(~0u, op_commit, nullptr); }
void wgmma_wait(int n_in_flight) { warp_collective(~0u, op_wait, &n_in_flight); }

cudaError_t find_driver_function(const char *symbol, void **function) {
  if (strcmp(symbol, "cuTensorMapEncodeTiled")) return cudaErrorInvalidValue;
  *function = (void *)encode_tiled;
  return cudaSuccess;
}

}  // namespace sim
