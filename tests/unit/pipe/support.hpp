// What the tests of the stages share: a stage that collects, ways to feed one, and ways to break
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/pipe/compress.hpp"
#include "bba/pipe/stage.hpp"

namespace bba::pipe::test {

class Collector : public Stage {
 public:
  void write(const Chunk& chunk) override {
    text += chunk.text();
    ++chunks;
  }
  void finish() override { finished = true; }

  std::string text;
  std::size_t chunks = 0;
  bool finished = false;
};

// Takes `good_writes` chunks, then throws.
class FailingStage : public Stage {
 public:
  explicit FailingStage(std::size_t good_writes) : left_(good_writes) {}
  void write(const Chunk&) override {
    if (left_ == 0) throw Error(ErrorKind::storage, "the disk is full");
    --left_;
  }
  void finish() override {}

 private:
  std::size_t left_;
};

// Writes everything in chunks of `step` bytes, then finishes.
inline void feed(Stage& stage, std::string_view text, std::size_t step) {
  for (std::size_t at = 0; at < text.size(); at += step) {
    stage.write(Chunk::copy_of(text.substr(at, step)));
  }
  stage.finish();
}

// Writes two chunks, cut at `split`, then finishes.
inline void feed_split(Stage& stage, std::string_view text, std::size_t split) {
  stage.write(Chunk::copy_of(text.substr(0, split)));
  stage.write(Chunk::copy_of(text.substr(split)));
  stage.finish();
}

// The message of the bba::Error that `action` throws, which must be of `kind`; "" where it throws
// none.
inline std::string error_of(const std::function<void()>& action,
                            ErrorKind kind = ErrorKind::artifact) {
  try {
    action();
    return {};
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline std::string compressed(Compression compression, std::string_view text,
                              std::size_t step = 4096) {
  Collector collector;
  feed(*make_compressor(compression, collector), text, step);
  return collector.text;
}

inline std::string decompressed(Compression compression, std::string_view text,
                                std::size_t step = 4096) {
  Collector collector;
  feed(*make_decompressor(compression, collector), text, step);
  return collector.text;
}

inline std::string random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Lines that compress as a dump does.
inline std::string random_lines(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < size) {
    text +=
        std::to_string(random() % 1'000'000) + "\tuser-" + std::to_string(random() % 100) + "\n";
  }
  text.resize(size);
  return text;
}

// One random change of a kind that disks, networks and people make.
inline std::string mutated(std::string text, std::mt19937_64& random) {
  const auto pick = [&](std::size_t below) {
    return below == 0 ? std::size_t{0} : static_cast<std::size_t>(random() % below);
  };
  const std::size_t at = pick(text.size());
  const std::size_t length = pick(text.size() - at) % 600;
  switch (random() % 6) {
    case 0:
      if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
      break;
    case 1:
      if (!text.empty()) text[at] = static_cast<char>(random());
      break;
    case 2:
      text.resize(at);
      break;
    case 3:
      text.erase(at, length);
      break;
    case 4:
      text.insert(at, text.substr(pick(text.size()), length));
      break;
    default:
      text.replace(at, length, length, '\0');
  }
  return text;
}

class TempDir {
 public:
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "bba-pipe-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  REQUIRE(file.good());
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string fixture(std::string_view name) {
  return read_file(std::string(BBA_SOURCE_DIR "/fixtures/") + std::string(name));
}

struct Ran {
  int status = -1;
  std::string output;
  std::string errors;
};

// Runs a shell command with `input` on its stdin.
inline Ran run(const std::string& command, std::string_view input = {}) {
  const TempDir dir;
  write_file(dir / "in", input);
  const int status = std::system(  // NOLINT
      ("( " + command + " ) <" + dir / "in" + " >" + dir / "out" + " 2>" + dir / "err").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(dir / "out"),
          read_file(dir / "err")};
}

// For the first line of a test case: without the program it says so, and counts as skipped.
inline bool has_program(const std::string& name) {
  if (std::system(("command -v " + name + " >/dev/null").c_str()) == 0) return true;  // NOLINT
  std::printf("SKIP: %s is not installed\n", name.c_str());
  return false;
}

}  // namespace bba::pipe::test
