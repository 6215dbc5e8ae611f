/* Stands for the driver's library: one card that takes 1.5 J between two looks and is 80 % busy. */
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card);
int nvmlDeviceGetTotalEnergyConsumption(void *card, unsigned long long *mj);
int nvmlDeviceGetUtilizationRates(void *card, unsigned *use);

static int n_open;
static unsigned long long used_mj;

int nvmlInit_v2(void) { return n_open++, 0; }
int nvmlShutdown(void) { return n_open-- > 0 ? 0 : 1; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card) {
  *card = &used_mj;
  return index == 0 ? 0 : 2; /* NVML_ERROR_INVALID_ARGUMENT */
}

int nvmlDeviceGetTotalEnergyConsumption(void *card, unsigned long long *mj) {
  unsigned long long *used = card;
  *mj = *used += 1500;
  return 0;
}

int nvmlDeviceGetUtilizationRates(void *card, unsigned *use) {
  (void)card;
  use[0] = 80;
  use[1] = 40;
  return 0;
}
