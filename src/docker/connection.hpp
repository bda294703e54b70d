// A connection to the engine's socket that keeps the time limits and obeys a request to stop. It
// knows no HTTP. Reads and writes never block in the kernel: all waiting is done in one place,
// where the socket, the limits and the Stop are waited for together.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bba/base/bytes.hpp"
#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/stop.hpp"
#include "bba/docker/engine.hpp"

namespace bba::docker {

// What every connection of one Engine has in common.
struct Terms {
  std::string socket_path;
  Limits limits;
  const Stop* stop;  // may be null
};

class Connection {
 public:
  // Connects. `purpose` names the request in messages: "GET /info".
  Connection(const Terms& terms, std::string purpose);

  // The longest silence from here on; the engine is allowed to think longer about some requests.
  void allow_silence(std::chrono::milliseconds limit);

  // At least one byte, once there is one; 0 at the end of the stream.
  std::size_t read(std::span<std::byte> buffer);
  // What is there now; nullopt where nothing is, 0 at the end of the stream.
  std::optional<std::size_t> read_now(std::span<std::byte> buffer);

  // Writes all of `bytes`. While the engine takes nothing, `on_readable` (may be empty) is called
  // whenever there is something to read. false: on_readable said so, or the engine closed its end;
  // what it said before can still be read.
  bool write(ByteView bytes, const std::function<bool()>& on_readable);
  void close_write() noexcept;

  void close() noexcept;
  // Closes, and returns the error to throw: "<purpose>: <cause>".
  Error failure(std::string_view cause, std::string hint = {});

 private:
  // Throws where a stop is due, after closing, and where the connection is closed already.
  void check();
  // Waits until the socket is ready for one of `events` of poll(2), and returns for which; 0 once
  // `limit` has passed. Without events it only waits for that. A stop ends it as in check().
  short wait(short events, Stop::Clock::time_point limit);
  // The same, with the silence that is allowed as the limit; throws once that has passed.
  short wait_for_engine(short events);

  Terms terms_;
  std::string purpose_;
  std::chrono::milliseconds silence_;
  Fd socket_;
};

}  // namespace bba::docker
