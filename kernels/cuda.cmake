# Whether this build has the CUDA backend: MV_HAVE_CUDA, with the language enabled and cuBLASLt found.
set(MV_HAVE_CUDA OFF)
if(MV_CUDA STREQUAL "AUTO" AND (MV_ASAN OR MV_FUZZ OR NOT EXISTS /dev/nvidiactl))
  return()
elseif(NOT MV_CUDA) # OFF, 0, NO
  return()
endif()

if(NOT CMAKE_CUDA_COMPILER)
  find_program(MV_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
  if(MV_NVCC)
    set(CMAKE_CUDA_COMPILER ${MV_NVCC})
  elseif(MV_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA is left out: there is a card, but no nvcc (-DMV_CUDA=ON to insist)")
    return()
  else()
    message(FATAL_ERROR "MV_CUDA=ON: no nvcc (set CUDA_HOME or CMAKE_CUDA_COMPILER)")
  endif()
endif()

set(CMAKE_CUDA_ARCHITECTURES ${MV_CUDA_ARCHITECTURES})
if(MV_CUDA_ARCHITECTURES STREQUAL "card")
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE card ERROR_QUIET RESULT_VARIABLE failed)
  string(REGEX MATCH "^[0-9]+\\.[0-9]" card "${card}")
  string(REPLACE "." "" card "${card}")
  if(NOT card)
    set(card 80-real 90a-real 100) # for any: PTX of 80 alone would run on later cards, but not overlap
  elseif(card EQUAL 90)
    set(card 90a)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${card})
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CXX) # what links objects of nvcc
enable_language(CUDA)
find_package(CUDAToolkit 12.8 REQUIRED)

# cuBLASLt: of the toolkit, or of the packages pip installs.
file(GLOB pip_folders /usr/lib/python3*/*-packages/nvidia/* /usr/local/lib/python3*/*-packages/nvidia/*
     $ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/* $ENV{HOME}/.local/lib/python3*/*/nvidia/*)
find_library(MV_CUBLASLT NAMES cublasLt libcublasLt.so.${CUDAToolkit_VERSION_MAJOR}
             HINTS ${CUDAToolkit_LIBRARY_DIR} ${pip_folders} PATH_SUFFIXES lib lib64)
find_path(MV_CUBLASLT_INCLUDE cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${pip_folders}
          PATH_SUFFIXES include)
if(NOT MV_CUBLASLT OR NOT MV_CUBLASLT_INCLUDE)
  message(FATAL_ERROR "MV_CUDA: no cuBLASLt (libcublasLt.so and cublasLt.h) beside ${MV_NVCC}")
endif()
set(MV_HAVE_CUDA ON)
message(STATUS "CUDA ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, ${MV_CUBLASLT}")
