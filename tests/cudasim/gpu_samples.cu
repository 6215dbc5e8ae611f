/* The samples on a card, for the text of the assembly in kernels/cuda_ptx.h. */
#include "tests/cudasim/test_samples.cpp"
