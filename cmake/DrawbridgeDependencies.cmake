# Every library the project links, found once, as Debian 12 ships it.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)                 # CMake's FindProtobuf: Debian 12 ships no config file
find_package(gRPC CONFIG REQUIRED)              # gRPC::grpc++, gRPC::grpc++_reflection, gRPC::grpc_cpp_plugin
find_package(SQLite3 REQUIRED)                  # SQLite::SQLite3
find_package(OpenSSL 3 REQUIRED)                # OpenSSL::SSL, OpenSSL::Crypto
find_package(fmt CONFIG REQUIRED)               # fmt::fmt
find_package(spdlog CONFIG REQUIRED)            # spdlog::spdlog
find_package(nlohmann_json CONFIG REQUIRED)     # nlohmann_json::nlohmann_json
find_package(yaml-cpp CONFIG REQUIRED)          # yaml-cpp (no namespace in 0.7)
find_package(CLI11 CONFIG REQUIRED)             # CLI11::CLI11
find_package(CURL REQUIRED)                     # CURL::libcurl
find_package(ZLIB REQUIRED)                     # ZLIB::ZLIB
find_package(PkgConfig REQUIRED)
pkg_check_modules(RdKafka REQUIRED IMPORTED_TARGET rdkafka)      # PkgConfig::RdKafka
pkg_check_modules(Systemd REQUIRED IMPORTED_TARGET libsystemd)   # PkgConfig::Systemd
pkg_check_modules(Re2 REQUIRED IMPORTED_TARGET re2)              # PkgConfig::Re2
pkg_check_modules(Simdjson REQUIRED IMPORTED_TARGET simdjson)    # PkgConfig::Simdjson
pkg_check_modules(Xxhash REQUIRED IMPORTED_TARGET libxxhash)     # PkgConfig::Xxhash
pkg_check_modules(TcMalloc REQUIRED IMPORTED_TARGET libtcmalloc_minimal)   # PkgConfig::TcMalloc
if(BUILD_TESTING)
  find_package(GTest CONFIG REQUIRED)           # GTest::gtest_main, GTest::gmock
endif()
# Debian's own interpreter: python3-pytest and python3-grpcio are installed for it.
set(Python3_EXECUTABLE /usr/bin/python3 CACHE FILEPATH "Interpreter of the layering and system tests")
