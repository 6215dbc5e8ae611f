# libmedvision: the engine and what it stands on as one library, static and shared, for programs in
# other languages. Only names of the public headers are visible in the shared one.
include(GNUInstallDirs)
set(objects "")
foreach(part mv_base mv_engine mv_devices mv_kernels mv_simd mv_weights mv_tokenizer mv_vision)
  list(APPEND objects $<TARGET_OBJECTS:${part}>)
endforeach()
if(MV_HAVE_CUDA)
  list(APPEND objects $<TARGET_OBJECTS:mv_cuda>)
endif()
set(parts mv_base mv_engine mv_devices mv_kernels mv_weights mv_tokenizer mv_vision)

add_library(medvision_static STATIC ${objects})
add_library(medvision_shared SHARED ${objects})
set(language C)
if(MV_HAVE_CUDA OR MV_HAS_DICOM)
  set(language CXX)
endif()
set_target_properties(medvision_static medvision_shared PROPERTIES OUTPUT_NAME medvision
                      LINKER_LANGUAGE ${language})
set(script ${CMAKE_SOURCE_DIR}/runtime/medvision.map)
set_target_properties(medvision_shared PROPERTIES VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${script})
target_link_options(medvision_shared PRIVATE -Wl,--version-script=${script} -Wl,--no-undefined)
# What the objects need beyond themselves: the parts' own archives add nothing more.
target_link_libraries(medvision_shared PRIVATE ${parts})

set(MV_LIBS_PRIVATE "-lm -lpthread -lpng -ljpeg -lcjson -lutf8proc -lnifti2 -lznz -lz")
if(MV_HAS_DICOM)
  string(APPEND MV_LIBS_PRIVATE
         " -ldcmimage -ldcmjpeg -ldcmjpls -ldcmimgle -ldcmdata -loflog -lofstd -lstdc++")
endif()
# The way from the .pc file to the prefix: the folder may be moved, or chosen at install time.
file(RELATIVE_PATH MV_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_SOURCE_DIR}/runtime/medvision.pc.in ${CMAKE_BINARY_DIR}/medvision.pc @ONLY)

install(TARGETS medvision_static medvision_shared)
install(FILES ${CMAKE_BINARY_DIR}/medvision.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
foreach(header runtime/medvision.h runtime/dtype.h runtime/error.h runtime/text.h tokenizer/chat.h
               tokenizer/tokenizer.h vision/image.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${CMAKE_SOURCE_DIR}/${header}
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/medvision/${folder})
endforeach()
