#pragma once

#include <string>

namespace drawbridge::cli {

// A CA and a certificate that it has signed for `host`, made anew.
struct TestCertificate {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
};

TestCertificate MakeTestCertificate(const std::string& host, const std::string& ca = "test CA");

}  // namespace drawbridge::cli
