/* Settings and reports. */
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

namespace sim {

namespace {

constexpr size_t max_kept = 32;
std::mutex reports_mutex;
std::vector<std::string> kept;
long n_report;

/* The value of SIM_<name>: one of `words` by its position, or a number. */
void from_environment(const char *name, int *value, std::initializer_list<const char *> words) {
  const char *text = getenv(name);
  if (!text) return;
  int i = 0;
  for (const char *word : words) {
    if (!strcmp(text, word)) {
      *value = i;
      return;
    }
    i++;
  }
  *value = atoi(text);
}

sim_config initial_config() {
  sim_config c = {};
  c.seed = 1;
  c.threads = 1;
  c.arch = 90;
  c.driver = CUDART_VERSION;
  c.sms = 4;
  c.devices = 1;
  c.memory_bytes = (size_t)8 << 30;
  int seed = 1, megabytes = (int)(c.memory_bytes >> 20);
  from_environment("SIM_ORDER", &c.order, {"forward", "reverse", "random"});
  from_environment("SIM_SEED", &seed, {});
  from_environment("SIM_ASYNC", &c.async, {"late", "early", "either"});
  from_environment("SIM_STREAMS", &c.streams, {"eager", "late", "random"});
  from_environment("SIM_THREADS", &c.threads, {});
  from_environment("SIM_CHECK", &c.check, {});
  from_environment("SIM_STATS", &c.stats, {});
  from_environment("SIM_ARCH", &c.arch, {});
  from_environment("SIM_CODE", &c.code, {});
  from_environment("SIM_DRIVER", &c.driver, {});
  from_environment("SIM_SMS", &c.sms, {});
  from_environment("SIM_DEVICES", &c.devices, {});
  from_environment("SIM_VERBOSE", &c.verbose, {});
  from_environment("SIM_MEMORY_MB", &megabytes, {});
  c.seed = (unsigned)seed;
  c.memory_bytes = (size_t)megabytes << 20;
  return c;
}

void fail_if_reports_remain() {
  if (!n_report) return;
  fflush(NULL);
  fprintf(stderr, "cudasim: %ld report(s) that no test cleared\n", n_report);
  for (size_t i = 0; i < kept.size() && i < 8; i++) fprintf(stderr, "  %s\n", kept[i].c_str());
  fflush(stderr);
  _exit(99);
}

/* The load address of the program itself: what its debug information counts from. */
uintptr_t program_base() {
  uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *out) {
        *(uintptr_t *)out = info->dlpi_addr;
        return 1; /* the program comes first */
      },
      &base);
  return base;
}

/* The source line nearest to the kernel among the inlined frames of `pc`. */
std::string ask_addr2line(const void *pc) {
  char command[128], line[512];
  snprintf(command, sizeof command, "addr2line -i -e /proc/%ld/exe 0x%lx 2>/dev/null",
           (long)getpid(), (unsigned long)((uintptr_t)pc - 1 - program_base()));
  FILE *pipe = popen(command, "r");
  std::string found;
  while (pipe && fgets(line, sizeof line, pipe)) {
    std::string s(line, strcspn(line, "\n ("));
    s = s.substr(s.rfind('/') + 1);
    bool is_header = s.find(".h:") != std::string::npos;
    if (found.empty() || !is_header) found = s;
    if (!is_header) break;
  }
  if (pipe) pclose(pipe);
  return found.empty() || found[0] == '?' ? std::string("?") : found;
}

}  // namespace

sim_config config = initial_config();

std::string place_of(const void *pc) {
  static std::mutex mutex;
  static std::map<const void *, std::string> known;
  std::lock_guard<std::mutex> lock(mutex);
  std::string &place = known[pc];
  if (place.empty()) place = pc ? ask_addr2line(pc) : "?";
  return place;
}

void report(const char *kind, const char *format, ...) {
  char text[512], where[96] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (in_kernel()) {
    const uint3 &b = current->block->index, &t = current->thread;
    snprintf(where, sizeof where, " [block %u,%u,%u thread %u,%u,%u]", b.x, b.y, b.z, t.x, t.y,
             t.z);
  }
  std::lock_guard<std::mutex> lock(reports_mutex);
  static bool registered = !atexit(fail_if_reports_remain);
  (void)registered;
  n_report++;
  if (kept.size() < max_kept) kept.push_back(std::string(kind) + ": " + text + where);
  if (config.verbose && n_report <= 8) fprintf(stderr, "cudasim: %s: %s%s\n", kind, text, where);
}

}  // namespace sim

extern "C" {

sim_config *sim_settings(void) { return &sim::config; }

long sim_report_count(void) { return sim::n_report; }

const char *sim_report_text(long i) {
  return i >= 0 && (size_t)i < sim::kept.size() ? sim::kept[(size_t)i].c_str() : "";
}

int sim_reported(const char *text) {
  for (const std::string &s : sim::kept)
    if (s.find(text) != std::string::npos) return 1;
  return 0;
}

void sim_clear(void) {
  std::lock_guard<std::mutex> lock(sim::reports_mutex);
  sim::n_report = 0;
  sim::kept.clear();
  sim::set_sticky(cudaSuccess);
}

}  // extern "C"
