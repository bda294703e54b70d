// One HTTP request and its answer, on a connection of its own. The only place that speaks HTTP.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bba/base/bytes.hpp"
#include "connection.hpp"

namespace bba::docker {

struct Request {
  std::string method;
  std::string target;
  std::string body{};             // JSON, where there is one
  bool upgrade = false;           // asks for a raw connection in both directions
  bool chunked = false;           // the body follows through Exchange::write_chunk()
  std::chrono::seconds grace{0};  // how much longer than usual the engine may think about it
};

class Exchange {
 public:
  // Connects and sends the request.
  Exchange(const Terms& terms, const Request& request);
  ~Exchange();

  // The body of a chunked request. false: the engine answered, or broke off, before its end.
  bool write_chunk(ByteView bytes);
  bool write_last_chunk();

  // Waits for the header of the answer. Everything below is for after that.
  void read_header();
  int status() const;
  std::string reason() const;

  // The next bytes of the body; nullopt at its proven end.
  std::optional<Chunk> read_body();
  // The whole of a body that is expected to be small.
  std::string read_all(std::size_t limit);
  // Up to `limit` bytes of a body; never throws Error{engine} for what is missing.
  std::string read_some_of(std::size_t limit);

  // After "101 Switching Protocols", or a 200 that means the same: raw bytes to the other end. What
  // comes meanwhile is handed to `output`. false: the other end closed.
  bool write_raw(ByteView bytes, const std::function<void(Chunk)>& output);
  void close_write() noexcept;

  void close() noexcept;
  // Closes, and returns the error to throw.
  Error failure(std::string_view cause, std::string hint = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::docker
