/* Memory transactions by source line. The k-th access of a thread at a place belongs to the same
 * warp instruction as the k-th of the other lanes: exact unless lanes loop different numbers of
 * times. */
#include <string.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "internal.h"

namespace sim {

namespace {

constexpr uint32_t max_rounds =
    4000; /* of one place in one thread, beyond which nothing is counted */

struct request {
  const void *pc;
  uint32_t lanes;
  uint8_t n_bytes;
  bool is_shared, is_write;
  uint64_t address[32];
};

std::unordered_map<uint64_t, request> requests;  /* of the running blocks */
std::unordered_map<uint64_t, uint32_t> n_rounds; /* by place and thread */
std::map<std::string, sim_access> totals;        /* by place, space, direction, width */

/* Sectors of 32 bytes, and the fewest that the distinct bytes need. */
void count_sectors(const request &r, long *n, long *ideal) {
  std::set<uint64_t> sectors, addresses;
  for (int l = 0; l < 32; l++) {
    if (!(r.lanes >> l & 1)) continue;
    addresses.insert(r.address[l]);
    for (uint64_t s = r.address[l] / 32; s <= (r.address[l] + r.n_bytes - 1) / 32; s++)
      sectors.insert(s);
  }
  *n += (long)sectors.size();
  *ideal += (long)(addresses.size() * r.n_bytes + 31) / 32;
}

/* Wavefronts: lanes are served in groups that fit 128 bytes; a group takes as many as the busiest
 * of the 32 banks has different words. */
void count_wavefronts(const request &r, long *n, long *ideal) {
  const int group = r.n_bytes >= 16 ? 8 : r.n_bytes == 8 ? 16 : 32;
  for (int first = 0; first < 32; first += group) {
    std::set<uint64_t> words[32];
    size_t busiest = 0;
    for (int l = first; l < first + group; l++) {
      if (!(r.lanes >> l & 1)) continue;
      for (uint64_t w = r.address[l] / 4; w <= (r.address[l] + r.n_bytes - 1) / 4; w++) {
        words[w % 32].insert(w);
        busiest = std::max(busiest, words[w % 32].size());
      }
    }
    *n += (long)busiest;
    *ideal += busiest != 0;
  }
}

}  // namespace

void stats_add(const void *p, size_t n_bytes, access_kind kind, const void *pc, bool is_shared) {
  const fiber *f = current;
  if ((int)f->block->linear >= config.stats) return;
  const uint64_t place = (uint64_t)(uintptr_t)pc << 12 | (uint64_t)(f->block->rank & 3) << 10;
  const uint32_t round = n_rounds[place | f->flat]++;
  if (round >= max_rounds) return;
  const uint64_t key = ((uint64_t)(uintptr_t)pc * 0x9E3779B97F4A7C15ull) ^ (uint64_t)round << 8 ^
                       (uint64_t)f->warp->index << 1 ^ is_shared ^ (uint64_t)f->block->rank << 40;
  request &r = requests[key];
  r.pc = pc;
  r.lanes |= 1u << f->lane;
  r.n_bytes = (uint8_t)n_bytes;
  r.is_shared = is_shared;
  r.is_write = kind != READ;
  r.address[f->lane] = (uint64_t)(uintptr_t)p;
}

void stats_block_end(void) {
  for (const auto &entry : requests) {
    const request &r = entry.second;
    const std::string place = place_of(r.pc);
    char key[160];
    snprintf(key, sizeof key, "%s %d%d %d", place.c_str(), r.is_shared, r.is_write, r.n_bytes);
    sim_access &a = totals[key];
    snprintf(a.place, sizeof a.place, "%s", place.c_str());
    a.is_shared = r.is_shared;
    a.is_write = r.is_write;
    a.n_bytes = r.n_bytes;
    a.n_request++;
    (r.is_shared ? count_wavefronts : count_sectors)(r, &a.n_unit, &a.n_ideal);
  }
  requests.clear();
  n_rounds.clear();
}

}  // namespace sim

extern "C" {

size_t sim_accesses(sim_access *out, size_t capacity) {
  size_t n = 0;
  for (const auto &entry : sim::totals) {
    if (n < capacity) out[n] = entry.second;
    n++;
  }
  return n;
}

double sim_access_ratio(const char *where, int is_shared) {
  long n_unit = 0, n_ideal = 0;
  for (const auto &entry : sim::totals) {
    const sim_access &a = entry.second;
    if (a.is_shared != is_shared || !strstr(a.place, where)) continue;
    n_unit += a.n_unit;
    n_ideal += a.n_ideal;
  }
  return n_ideal ? (double)n_unit / (double)n_ideal : 0;
}

void sim_print_accesses(FILE *file) {
  fprintf(file, "%-32s %-6s %-5s %5s %9s %10s %7s\n", "place", "memory", "what", "bytes",
          "requests", "units/req.", "ideal");
  for (const auto &entry : sim::totals) {
    const sim_access &a = entry.second;
    fprintf(file, "%-32s %-6s %-5s %5d %9ld %10.2f %7.2f%s\n", a.place,
            a.is_shared ? "shared" : "global", a.is_write ? "write" : "read", a.n_bytes,
            a.n_request, (double)a.n_unit / (double)a.n_request,
            (double)a.n_ideal / (double)a.n_request,
            a.n_unit <= a.n_ideal ? ""
            : a.is_shared         ? "  bank conflicts"
                                  : "  not coalesced");
  }
}

void sim_clear_accesses(void) { sim::totals.clear(); }

}  // extern "C"
