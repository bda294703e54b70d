#include "exchange.hpp"

#include <sstream>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>

#include "bba/base/text.hpp"

namespace beast = boost::beast;
namespace http = beast::http;

namespace bba::docker {

namespace {

// What is read from the socket at once, at most; and how much of it is waited for while more is
// already there, so that chunks are large when the engine is fast.
constexpr std::size_t buffer_size = 256 << 10;
constexpr std::size_t worth_parsing = 128 << 10;
constexpr std::uint32_t header_limit = 64 << 10;

std::string head_of(const Request& request) {
  http::request<http::empty_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.version(11);
  message.set(http::field::host, "docker");
  message.set(http::field::user_agent, "backup-before-apply/" BBA_VERSION);
  if (request.upgrade) {
    message.set(http::field::connection, "Upgrade");
    message.set(http::field::upgrade, "tcp");
  } else {
    message.set(http::field::connection, "close");
  }
  if (request.chunked) {
    message.set(http::field::content_type, "application/x-tar");
    message.set(http::field::transfer_encoding, "chunked");
  } else if (request.method == "POST" || request.method == "PUT") {
    if (!request.body.empty()) message.set(http::field::content_type, "application/json");
    message.set(http::field::content_length, std::to_string(request.body.size()));
  }
  std::ostringstream text;
  text << message.base();
  return std::move(text).str();
}

ByteView unread(const beast::flat_buffer& buffer) {
  return {static_cast<const std::byte*>(buffer.data().data()), buffer.data().size()};
}

}  // namespace

struct Exchange::Impl {
  Impl(const Terms& terms, const Request& request)
      : connection(terms,
                   request.method + " " + request.target.substr(0, request.target.find('?'))) {
    parser.header_limit(header_limit);
    parser.body_limit(boost::none);
    if (request.method == "HEAD") parser.skip(true);
  }

  // Takes more of the answer from the socket. With `wait`, at least a byte or the end; without,
  // what is there, which may be nothing.
  void fill(bool wait) {
    const auto room = [this] {
      const auto space = input.prepare(input.max_size() - input.size());
      return std::span(static_cast<std::byte*>(space.data()), space.size());
    };
    if (input.size() == input.max_size()) {
      throw connection.failure("the engine's answer has a line that is too long");
    }
    if (wait) took(connection.read(room()));
    while (!ended && input.size() < worth_parsing) {
      const std::optional<std::size_t> size = connection.read_now(room());
      if (!size) break;
      took(*size);
    }
  }

  void took(std::size_t size) {
    input.commit(size);
    if (size == 0) ended = true;
  }

  // The bytes of the body that `input` holds, which is consumed as far as possible; may be empty.
  Chunk parse() {
    if (raw) {
      Chunk chunk = Chunk::copy_of(unread(input));
      input.consume(input.size());
      return chunk;
    }
    const std::size_t capacity = input.size();
    auto bytes = std::make_shared_for_overwrite<std::byte[]>(capacity);
    http::buffer_body::value_type& body = parser.get().body();
    body.data = bytes.get();
    body.size = capacity;
    beast::error_code error;
    input.consume(parser.put(input.data(), error));
    if (error && error != http::error::need_more) {
      throw connection.failure("the engine's answer is not valid HTTP: " + error.message());
    }
    const std::size_t size = capacity - body.size;
    received += size;
    return {std::move(bytes), size};
  }

  bool finished() const { return raw ? ended && input.size() == 0 : parser.is_done(); }

  // The connection ended: is that the end of the body?
  void finish_at_close() {
    beast::error_code error;
    parser.put_eof(error);
    if (!error) return;
    const auto left = parser.content_length_remaining();
    throw connection.failure(
        left ? fmt::format("the answer ended early: {} bytes came, {} are missing", received, *left)
             : fmt::format("the answer ended early: {} bytes came, and no last chunk", received),
        "see the engine's log: the engine or the container may have ended");
  }

  // The next bytes of the body. Without `wait`, nullopt may also mean that none are there.
  std::optional<Chunk> next(bool wait) {
    while (!finished()) {
      if (input.size() > 0) {
        Chunk chunk = parse();
        if (!chunk.empty()) return chunk;
        if (finished()) break;
      }
      if (ended) {
        finish_at_close();
        break;
      }
      const std::size_t before = input.size();
      fill(wait);
      if (!wait && input.size() == before) break;
    }
    return std::nullopt;
  }

  bool answered() {
    const std::size_t before = input.size();
    fill(false);
    return ended || input.size() > before;
  }

  Connection connection;
  http::response_parser<http::buffer_body> parser;
  beast::flat_buffer input{buffer_size};
  std::uint64_t received = 0;  // bytes of the body
  bool ended = false;          // the engine closed its end
  bool raw = false;            // 101: what follows is not HTTP
};

Exchange::Exchange(const Terms& terms, const Request& request)
    : impl_(std::make_unique<Impl>(terms, request)) {
  impl_->connection.allow_silence(terms.limits.silence + request.grace);
  // An engine that closes at once may have said why: the answer is read in any case.
  const std::string message = head_of(request) + request.body;
  impl_->connection.write(as_bytes(message), nullptr);
}

Exchange::~Exchange() = default;

bool Exchange::write_chunk(ByteView bytes) {
  // An empty chunk would mean the end.
  if (bytes.empty()) return true;
  // Whatever the engine answers before the end of the request is final.
  const auto undecided = [this] { return !impl_->answered(); };
  const auto send = [&](ByteView part) { return impl_->connection.write(part, undecided); };
  return undecided() && send(as_bytes(fmt::format("{:x}\r\n", bytes.size()))) && send(bytes) &&
         send(as_bytes("\r\n"));
}

bool Exchange::write_last_chunk() {
  return impl_->connection.write(as_bytes("0\r\n\r\n"), nullptr);
}

void Exchange::read_header() {
  auto& parser = impl_->parser;
  while (!parser.is_header_done()) {
    if (impl_->input.size() > 0) {
      beast::error_code error;
      impl_->input.consume(parser.put(impl_->input.data(), error));
      if (error && error != http::error::need_more) {
        throw impl_->connection.failure("the answer is not HTTP: " + error.message(),
                                        "is this the socket of a Docker Engine?");
      }
      if (parser.is_header_done()) break;
    }
    if (impl_->ended) {
      throw impl_->connection.failure(parser.got_some()
                                          ? "the answer ended inside its header"
                                          : "the engine closed the connection without an answer",
                                      "see the engine's log");
    }
    impl_->fill(true);
  }
  impl_->raw = status() == 101;
  parser.eager(true);
}

int Exchange::status() const {
  return static_cast<int>(impl_->parser.get().result_int());
}

std::string Exchange::reason() const {
  return std::string(impl_->parser.get().reason());
}

std::optional<Chunk> Exchange::read_body() {
  return impl_->next(true);
}

std::string Exchange::read_all(std::size_t limit) {
  std::string text;
  while (const std::optional<Chunk> chunk = read_body()) {
    if (chunk->size() > limit - text.size()) {
      throw failure(fmt::format("the answer is longer than {}", format_bytes(limit)));
    }
    text += chunk->text();
  }
  return text;
}

std::string Exchange::read_some_of(std::size_t limit) {
  std::string text;
  try {
    while (text.size() < limit) {
      const std::optional<Chunk> chunk = read_body();
      if (!chunk) break;
      text += chunk->text().substr(0, limit - text.size());
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::engine) throw;
  }
  return text;
}

bool Exchange::write_raw(ByteView bytes, const std::function<void(Chunk)>& output) {
  const auto drain = [&] {
    while (std::optional<Chunk> chunk = impl_->next(false)) output(std::move(*chunk));
    return !impl_->ended;
  };
  return impl_->connection.write(bytes, drain);
}

void Exchange::close_write() noexcept {
  impl_->connection.close_write();
}

void Exchange::close() noexcept {
  impl_->connection.close();
}

Error Exchange::failure(std::string_view cause, std::string hint) {
  return impl_->connection.failure(cause, std::move(hint));
}

}  // namespace bba::docker
