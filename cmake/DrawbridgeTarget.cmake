# One folder, one target: drawbridge_library(relay_pipeline SOURCES a.cc b.cc DEPS drawbridge::model)
# defines drawbridge_relay_pipeline and the alias drawbridge::relay_pipeline.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(drawbridge_options INTERFACE)
target_compile_options(drawbridge_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Woverloaded-virtual -Wnon-virtual-dtor -Wimplicit-fallthrough
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op -Wuseless-cast>
  # librdkafka's macros are statement expressions to clang.
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wthread-safety-beta -Wno-gnu-statement-expression>
  $<$<BOOL:${DRAWBRIDGE_WERROR}>:-Werror>
  -fstack-protector-strong -fstack-clash-protection)
target_link_options(drawbridge_options INTERFACE -Wl,-z,relro,-z,now)
target_include_directories(drawbridge_options INTERFACE ${PROJECT_SOURCE_DIR})
if(DRAWBRIDGE_SANITIZE)
  target_compile_options(drawbridge_options INTERFACE
    -fsanitize=${DRAWBRIDGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(drawbridge_options INTERFACE -fsanitize=${DRAWBRIDGE_SANITIZE})
else()
  target_compile_definitions(drawbridge_options INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
if(DRAWBRIDGE_COVERAGE)
  target_compile_options(drawbridge_options INTERFACE --coverage)
  target_link_options(drawbridge_options INTERFACE --coverage)
endif()
if(DRAWBRIDGE_FAILPOINTS)
  target_compile_definitions(drawbridge_options INTERFACE DRAWBRIDGE_FAILPOINTS=1)
endif()

# In every program: what the libraries do between threads and TSan does not see by itself.
set(DRAWBRIDGE_TSAN_OBJECTS)
if(DRAWBRIDGE_SANITIZE MATCHES thread)
  set(tsan_dir ${PROJECT_SOURCE_DIR}/tests/tsan)
  add_library(drawbridge_tsan OBJECT
    ${tsan_dir}/abseil_mutex.cc ${tsan_dir}/c11_threads.cc ${tsan_dir}/grpc_completion.cc)
  set_target_properties(drawbridge_tsan PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(drawbridge_tsan PRIVATE drawbridge_options)
  set(DRAWBRIDGE_TSAN_OBJECTS drawbridge_tsan)
endif()

function(drawbridge_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(drawbridge_${name} STATIC ${ARG_SOURCES})
    set_target_properties(drawbridge_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(drawbridge_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS} drawbridge_options)
    target_include_directories(drawbridge_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  else()
    add_library(drawbridge_${name} INTERFACE)
    target_link_libraries(drawbridge_${name} INTERFACE ${ARG_DEPS})
    target_include_directories(drawbridge_${name} INTERFACE ${PROJECT_SOURCE_DIR})
  endif()
  add_library(drawbridge::${name} ALIAS drawbridge_${name})
endfunction()

function(drawbridge_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${DRAWBRIDGE_TSAN_OBJECTS} drawbridge_options)
endfunction()

include(GoogleTest)
function(drawbridge_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main
    ${DRAWBRIDGE_TSAN_OBJECTS} drawbridge_options)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS "${ARG_LABELS}")
endfunction()

# One file of tests/system: whole programs over the rig, which starts once for all of them. One that
# mostly waits is LIGHT: it may run beside others.
function(drawbridge_system_test file)
  cmake_parse_arguments(ARG "LIGHT" "TIMEOUT" "LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 900)
  endif()
  add_test(NAME system.${file}
    COMMAND ${Python3_EXECUTABLE} -m pytest -q -x ${CMAKE_CURRENT_SOURCE_DIR}/${file}.py)
  set(is_serial ON)
  if(ARG_LIGHT)
    set(is_serial OFF)
  endif()
  set_tests_properties(system.${file} PROPERTIES
    LABELS "system;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${is_serial} FIXTURES_REQUIRED rig
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    ENVIRONMENT "DRAWBRIDGE_BIN=${PROJECT_BINARY_DIR}/bin;DRAWBRIDGE_PROTO=${PROJECT_BINARY_DIR}/python;DRAWBRIDGE_RIG_SESSION=${PROJECT_BINARY_DIR}/rig-session")
endfunction()
