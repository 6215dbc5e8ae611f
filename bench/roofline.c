#include "bench/roofline.h"

#include "runtime/model.h"

mv_status bench_roofline_measure(bench_roofline *r, mv_model *model, double seconds,
                                 mv_error *err) {
  const mv_stack *d = &model->decoder;
  mv_part_total layers = mv_checkpoint_total(model->checkpoint, MV_PART_DECODER);
  int is_bf16 = model->precision == MV_PRECISION_BF16, on_cpu = model->ops == &mv_ops_cpu;
  double head = (double)model->head.n_in * model->head.n_out;
  double heads = (double)d->n_layer * d->d_head;
  MV_TRY(on_cpu ? bench_machine_measure(&r->machine, &model->device, seconds, err)
                : bench_machine_measure_gpu(&r->machine, &model->device, model->ops, seconds, err));
  r->gflops = is_bf16 ? r->machine.bf16_gflops : r->machine.f32_gflops;
  r->weight_bytes = is_bf16 ? 2.0 * (double)layers.n_params : (double)layers.n_bytes;
  r->weight_bytes += head * (double)mv_dtype_bytes(model->head.dtype);
  r->kv_bytes = 2.0 * heads * d->n_kv * (double)mv_dtype_bytes(model->dtype);
  r->token_flops = 2.0 * (double)layers.n_params;
  r->head_flops = 2.0 * head;
  r->pair_flops = 4.0 * heads * d->n_head;
  return MV_OK;
}

static double limit_ms(const bench_roofline *r, double bytes, double flops) {
  double reading = bytes / r->machine.read_gbs * 1e-6, multiplying = flops / r->gflops * 1e-6;
  return reading > multiplying ? reading : multiplying;
}

double bench_decode_limit_ms(const bench_roofline *r, int batch, double context) {
  double flops = r->token_flops + r->head_flops + context * r->pair_flops;
  return limit_ms(r, r->weight_bytes + batch * context * r->kv_bytes, batch * flops);
}

double bench_prefill_limit_ms(const bench_roofline *r, double n) {
  double pairs = n * (n + 1) / 2;
  return limit_ms(r, r->weight_bytes, n * r->token_flops + pairs * r->pair_flops + r->head_flops);
}
