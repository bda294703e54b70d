// What the tests of this room share: short limits and the catching of errors.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "bba/docker/engine.hpp"
#include "fake_engine.hpp"

namespace bba::test {

using namespace std::chrono_literals;

// Long enough for a busy machine.
inline docker::Limits patient() {
  return {.connect = 20s, .silence = 20s};
}

struct Caught {
  ErrorKind kind;
  std::string what;
  std::string hint;
  int status = 0;  // of an ApiError
};

template <class Action>
Caught caught(Action&& action) {
  try {
    action();
  } catch (const docker::ApiError& error) {
    return {error.kind(), error.what(), error.hint(), error.status()};
  } catch (const Error& error) {
    return {error.kind(), error.what(), error.hint()};
  }
  FAIL("no Error was thrown");
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// All of a Body, or of what an Attached prints.
template <class Stream>
std::string read_all(Stream& stream) {
  std::string text;
  while (const std::optional<Chunk> piece = stream.read()) {
    REQUIRE_FALSE(piece->empty());
    text += piece->text();
  }
  return text;
}

// Bytes that differ, so that a loss or a repetition is noticed.
inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(static_cast<unsigned char>(state >> 24));
  }
  return text;
}

}  // namespace bba::test
