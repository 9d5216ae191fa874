# Flags for all, and one function per kind of target. Third-party libraries are imported here under
# the name nx::NAME, so that a folder's CMakeLists.txt reads as its row of the layer table.

add_compile_options(-Wall -Wextra -Wshadow -Wvla -Werror -fno-omit-frame-pointer -ffp-contract=off
  -fvisibility=hidden)
add_compile_options("$<$<COMPILE_LANGUAGE:C>:-Wconversion;-Wstrict-prototypes;-Wmissing-prototypes;-Wswitch-enum>")
add_compile_definitions(_GNU_SOURCE)
if(NARTHEX_SANITIZE)
  add_compile_options(-fsanitize=${NARTHEX_SANITIZE})
  add_link_options(-fsanitize=${NARTHEX_SANITIZE})
  if(NARTHEX_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(NARTHEX_FUZZ) # coverage for the fuzzer in every library; its main comes with each target
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(NARTHEX_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(pair uv=libuv curl=libcurl protobuf_c=libprotobuf-c yaml=yaml-0.1 jansson=jansson re2=re2 xxhash=libxxhash
    crypto=libcrypto ssl=libssl utf8proc=libutf8proc zstd=libzstd zlib=zlib rocksdb=rocksdb roaring=roaring cmocka=cmocka
    h2o=libh2o snappy=snappy)
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 module)
  pkg_check_modules(NX_${name} QUIET IMPORTED_TARGET GLOBAL ${module})
  if(NX_${name}_FOUND)
    add_library(nx::${name} ALIAS PkgConfig::NX_${name})
  else() # Debian ships no .pc file for it
    add_library(nx_${name} INTERFACE IMPORTED GLOBAL)
    target_link_libraries(nx_${name} INTERFACE ${name})
    add_library(nx::${name} ALIAS nx_${name})
  endif()
endforeach()

# narthex_library(NAME [DEPS our libraries] [DOORS nx::third-party, private]): all *.c and *.cc here.
function(narthex_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;DOORS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c *.cc)
  if(NOT sources) # headers alone
    add_library(nx_lib_${name} INTERFACE)
    target_include_directories(nx_lib_${name} INTERFACE ${CMAKE_SOURCE_DIR}/lib ${CMAKE_SOURCE_DIR})
    return()
  endif()
  add_library(nx_lib_${name} STATIC ${sources})
  target_include_directories(nx_lib_${name} PUBLIC ${CMAKE_SOURCE_DIR}/lib ${CMAKE_SOURCE_DIR})
  foreach(dep ${ARG_DEPS})
    target_link_libraries(nx_lib_${name} PUBLIC nx_lib_${dep})
  endforeach()
  target_link_libraries(nx_lib_${name} PRIVATE ${ARG_DOORS} Threads::Threads m)
endfunction()
