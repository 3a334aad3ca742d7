#pragma once

#include <string>
#include <vector>

namespace drawbridge {

// What became of a process of store_process.cc.
struct Ended {
  std::string output;
  int exit_code = -1;  // -1: a signal
  int signal = 0;
};

// Runs store_process to its end, with failpoints armed ("store.before_commit=kill:7").
Ended RunStoreProcess(const std::vector<std::string>& words, const std::string& failpoints = "");

}  // namespace drawbridge
