/* cudaLaunchKernelEx and its kin for the emulator: templates in CUDA's own header, too. Included by
 * cuda_runtime.h. */
#ifndef MV_CUDASIM_SIM_LAUNCH_H
#define MV_CUDASIM_SIM_LAUNCH_H

#include <memory>
#include <tuple>
#include <utility>

namespace sim {

/* A kernel with its arguments: a function pointer and not std::function, whose code would be
 * instrumented with the kernel's file. */
struct kernel_call {
  void (*run)(const void *args) = nullptr;
  std::shared_ptr<const void> args;
};

struct launch_dims {
  dim3 grid, block, cluster;
  size_t shared_bytes;
  bool cooperative;
  bool overlap; /* may start before the launch ahead of it ends: pdl_wait */
};

cudaError_t launch(const launch_dims &dims, cudaStream_t stream, const void *kernel,
                   kernel_call call);
cudaError_t set_shared_limit(const void *kernel, int n_bytes);
cudaError_t blocks_per_sm(int *n_block, int n_thread, size_t shared_bytes);
cudaError_t code_versions(cudaFuncAttributes *attributes);

template <class K, class Args, size_t... I>
__attribute__((no_sanitize("thread"))) inline void apply(K kernel, const Args &args,
                                                         std::index_sequence<I...>) {
  kernel(std::get<I>(args)...);
}

}  // namespace sim

template <class... Param, class... Arg>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Param...),
                                      Arg &&...arg) {
  sim::launch_dims dims{
      config->gridDim, config->blockDim, dim3(), config->dynamicSmemBytes, false, false};
  for (unsigned i = 0; i < config->numAttrs; i++) {
    const cudaLaunchAttribute &a = config->attrs[i];
    if (a.id == cudaLaunchAttributeCooperative) dims.cooperative = a.val.cooperative != 0;
    if (a.id == cudaLaunchAttributeProgrammaticStreamSerialization)
      dims.overlap = a.val.programmaticStreamSerializationAllowed != 0;
    if (a.id == cudaLaunchAttributeClusterDimension)
      dims.cluster = dim3(a.val.clusterDim.x, a.val.clusterDim.y, a.val.clusterDim.z);
  }
  /* Arguments are copied at the launch, as on a card. */
  typedef std::pair<void (*)(Param...), std::tuple<std::decay_t<Param>...>> packed;
  sim::kernel_call call;
  call.args = std::make_shared<packed>(
      kernel, std::tuple<std::decay_t<Param>...>(static_cast<Param>(arg)...));
  call.run = [](const void *p) __attribute__((no_sanitize("thread"))) {
    const packed *args = (const packed *)p;
    sim::apply(args->first, args->second, std::index_sequence_for<Param...>());
  };
  return sim::launch(dims, config->stream, (const void *)kernel, std::move(call));
}

template <class F>
inline cudaError_t cudaFuncSetAttribute(F *kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  return sim::set_shared_limit((const void *)kernel, value);
}

template <class F>
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, F *) {
  return sim::code_versions(attributes);
}

template <class F>
inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n_block, F *, int n_thread,
                                                                 size_t shared_bytes) {
  return sim::blocks_per_sm(n_block, n_thread, shared_bytes);
}

#endif
