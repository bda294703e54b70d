// Directories to read from, and the errors that reading them ends in.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

namespace test {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "bba-conf-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

  // Both make the directories above.
  void write(const std::string& name, std::string_view content) const {
    std::ofstream(prepared(name), std::ios::binary) << content;
  }
  void link(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, prepared(name));
  }

 private:
  std::filesystem::path prepared(const std::string& name) const {
    const std::filesystem::path path = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(path.parent_path());
    return path;
  }

  std::string path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The message of the Error{config} that `action` throws, "" where it throws nothing.
template <class Action>
std::string config_error(Action&& action) {
  try {
    action();
  } catch (const bba::Error& error) {
    CHECK(error.kind() == bba::ErrorKind::config);
    return error.what();
  }
  return {};
}

}  // namespace test
