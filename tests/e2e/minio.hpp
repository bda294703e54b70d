// MinIO servers for the tests.
#pragma once

#include <map>
#include <string>

#include "e2e/support.hpp"

namespace e2e {

inline constexpr std::string_view minio_secret = "operator-s%41cret@/#";

class MinioServer {
 public:
  // With buckets and objects in them, unless `filled` is "no".
  MinioServer(E2eFixture& fixture, const std::string& what, const std::string& filled = "yes",
              const Strings& options = {});

  const std::string& container() const { return container_; }
  // What the operator's environment holds.
  static std::map<std::string, std::string> alias() { return {{"MINIO_MC_ALIAS", "local"}}; }
  // MC_HOST_local.
  static std::string credentials();

  // Its own client.
  Ended mc(const Strings& arguments, const std::string& input = {}) const;
  // One line for each object, by bucket and key: size and MD5 of the content.
  std::map<std::string, std::string> objects() const;
  Strings buckets() const;

 private:
  std::string container_;
};

// One server for all tests of a program that do not change it. It has a bucket of keys that are
// hard to write in a shell, too.
const MinioServer& shared_minio();

}  // namespace e2e
