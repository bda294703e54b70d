#include "bba/docker/engine.hpp"

#include <algorithm>
#include <poll.h>
#include <thread>
#include <utility>

#include "bba/base/text.hpp"
#include "bba/wire/frame.hpp"
#include "exchange.hpp"

namespace bba::docker {

namespace {

constexpr std::string_view our_api_version = "1.51";
constexpr std::size_t answer_limit = 64 << 20;
constexpr std::size_t error_limit = 64 << 10;
constexpr std::size_t log_limit = 256 << 10;
constexpr std::chrono::seconds exit_code_patience{10};

using ExchangePtr = std::unique_ptr<Exchange>;

std::string container_path(const std::string& container, std::string_view rest = {}) {
  // The engine would clean such a path, and answer about something else.
  if (container.empty() || container.starts_with('.')) {
    throw Error(ErrorKind::container,
                fmt::format("'{}' cannot be the name of a container", container));
  }
  return fmt::format("/containers/{}{}", wire::percent_encoded(container), rest);
}

// Throws what an answer of 400 or more means.
[[noreturn]] void refuse(Exchange& exchange, const Request& request) {
  const int status = exchange.status();
  std::string message = wire::error_message(exchange.read_some_of(error_limit));
  if (message.empty()) message = exchange.reason();
  const bool about_container = request.target.find("/containers/") != std::string::npos;
  const ErrorKind kind = about_container && (status == 404 || status == 409) ? ErrorKind::container
                                                                             : ErrorKind::engine;
  std::string hint;
  if (status == 404 && message.starts_with("No such container")) {
    hint = "docker ps --all lists the containers";
  } else if (status >= 500) {
    hint = "see the engine's log";
  }
  const Error error = exchange.failure(fmt::format("{} (status {})", message, status));
  throw ApiError(kind, error.what(), std::move(hint), status);
}

// Waits for `span`, or for a request to stop, which is thrown.
void rest(const Stop* stop, std::chrono::milliseconds span) {
  if (stop == nullptr) {
    std::this_thread::sleep_for(span);
    return;
  }
  pollfd wanted{.fd = stop->fd(), .events = POLLIN, .revents = 0};
  ::poll(&wanted, 1, static_cast<int>(span.count()));
  stop->throw_if_requested();
}

}  // namespace

std::string socket_path(const std::string& host) {
  constexpr std::string_view scheme = "unix://";
  const std::string path = host.starts_with(scheme) ? host.substr(scheme.size()) : host;
  if (!path.starts_with('/')) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not the address of a unix socket", host),
                "an engine is addressed as unix:///var/run/docker.sock; remote ones cannot be "
                "used");
  }
  return path;
}

// ---- what streams

Body::Body(ExchangePtr exchange) : exchange_(std::move(exchange)) {}
Body::Body(Body&&) noexcept = default;
Body& Body::operator=(Body&&) noexcept = default;
Body::~Body() = default;
std::optional<Chunk> Body::read() {
  return exchange_->read_body();
}
void Body::close() noexcept {
  exchange_->close();
}

Attached::Attached(ExchangePtr exchange) : exchange_(std::move(exchange)) {}
Attached::Attached(Attached&&) noexcept = default;
Attached& Attached::operator=(Attached&&) noexcept = default;
Attached::~Attached() = default;
void Attached::write(ByteView bytes, const std::function<void(Chunk)>& output) {
  if (!exchange_->write_raw(bytes, output)) {
    throw Error(ErrorKind::capture, "the program ended before it had read all of its input");
  }
}
void Attached::close_stdin() {
  exchange_->close_write();
}
std::optional<Chunk> Attached::read() {
  return exchange_->read_body();
}
void Attached::close() noexcept {
  exchange_->close();
}

// ---- what every request goes through

struct Engine::Impl {
  Terms terms;
  std::string prefix;  // "/v1.41", once it is negotiated

  // `also`: a status that is success besides 2xx.
  static void require_success(Exchange& exchange, const Request& request, int also = 0) {
    exchange.read_header();
    const int status = exchange.status();
    if (status >= 400 && status != also) refuse(exchange, request);
    if ((status < 200 || status > 299) && status != also) {
      throw exchange.failure(fmt::format("unexpected status {} {}", status, exchange.reason()));
    }
  }

  ExchangePtr send(Request& request) {
    if (prefix.empty()) version();
    request.target.insert(0, prefix);
    return std::make_unique<Exchange>(terms, request);
  }

  ExchangePtr call(Request request, int also = 0) {
    ExchangePtr exchange = send(request);
    require_success(*exchange, request, also);
    return exchange;
  }

  template <class Parse>
  auto get(std::string target, Parse parse) {
    return parsed(*call({.method = "GET", .target = std::move(target)}), parse);
  }

  template <class Parse>
  static auto parsed(Exchange& exchange, Parse parse) {
    auto value = parse(exchange.read_all(answer_limit));
    if (!value) {
      throw exchange.failure("the answer is not what the Docker Engine API promises",
                             "is this the socket of a Docker Engine?");
    }
    return *std::move(value);
  }

  void post(std::string target, std::chrono::seconds grace = {}, int also = 0) {
    const ExchangePtr exchange =
        call({.method = "POST", .target = std::move(target), .grace = grace}, also);
    exchange->read_all(answer_limit);
  }

  // 404, gone already, is success.
  void remove(std::string target) {
    const ExchangePtr exchange = call({.method = "DELETE", .target = std::move(target)}, 404);
    exchange->read_all(answer_limit);
  }

  wire::Version version() {
    const Request request{.method = "GET", .target = "/version"};
    Exchange exchange(terms, request);
    require_success(exchange, request);
    const wire::Version version = parsed(exchange, wire::parse_version);
    if (wire::compare_api_versions(version.min_api_version, our_api_version) > 0) {
      throw Error(ErrorKind::engine,
                  fmt::format("the engine wants API version {} or newer, this program speaks {}",
                              version.min_api_version, our_api_version),
                  "update backup-before-apply");
    }
    const bool older = wire::compare_api_versions(version.api_version, our_api_version) < 0;
    prefix = fmt::format("/v{}", older ? std::string_view(version.api_version) : our_api_version);
    return version;
  }
};

Engine::Engine(std::string socket_path, Limits limits, const Stop* stop)
    : Engine(std::make_unique<Impl>(Impl{Terms{std::move(socket_path), limits, stop}, {}})) {}
Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::unstoppable(Limits limits) const {
  return Engine(std::make_unique<Impl>(
      Impl{Terms{impl_->terms.socket_path, limits, nullptr}, impl_->prefix}));
}

// ---- what there is

wire::Version Engine::version() {
  return impl_->version();
}

wire::Info Engine::info() {
  return impl_->get("/info", wire::parse_info);
}

std::vector<wire::ContainerSummary> Engine::list(const Json& filters, bool all) {
  return impl_->get(fmt::format("/containers/json?all={}&filters={}", all ? 1 : 0,
                                wire::percent_encoded(dump_json(filters))),
                    wire::parse_container_list);
}

std::optional<wire::Container> Engine::find(const std::string& container) {
  if (container.empty()) return std::nullopt;
  try {
    return inspect(container);
  } catch (const ApiError& error) {
    if (error.status() == 404) return std::nullopt;
    throw;
  }
}

wire::Container Engine::inspect(const std::string& container) {
  return impl_->get(container_path(container, "/json"), wire::parse_container);
}

wire::Image Engine::inspect_image(const std::string& image) {
  return impl_->get(fmt::format("/images/{}/json", wire::percent_encoded(image)),
                    wire::parse_image);
}

// ---- exec

std::string Engine::create_exec(const std::string& container, const wire::ExecConfig& config) {
  const ExchangePtr exchange = impl_->call({.method = "POST",
                                            .target = container_path(container, "/exec"),
                                            .body = wire::to_body(config)});
  return Impl::parsed(*exchange, wire::parse_id);
}

namespace {

Request start_request(const std::string& exec, bool upgrade) {
  return {.method = "POST",
          .target = fmt::format("/exec/{}/start", wire::percent_encoded(exec)),
          .body = R"({"Detach":false,"Tty":false})",
          .upgrade = upgrade};
}

}  // namespace

Body Engine::start_exec(const std::string& exec) {
  return Body(impl_->call(start_request(exec, false)));
}

Attached Engine::attach_exec(const std::string& exec) {
  return Attached(impl_->call(start_request(exec, true), 101));
}

wire::ExecStatus Engine::inspect_exec(const std::string& exec) {
  return impl_->get(fmt::format("/exec/{}/json", wire::percent_encoded(exec)),
                    wire::parse_exec_status);
}

std::optional<std::int64_t> Engine::exit_code(const std::string& exec,
                                              std::chrono::milliseconds patience) {
  const Stop::Clock::time_point until = Stop::Clock::now() + patience;
  std::chrono::milliseconds pause{5};
  for (;;) {
    const wire::ExecStatus status = inspect_exec(exec);
    if (!status.running && status.exit_code) return status.exit_code;
    if (Stop::Clock::now() >= until) return std::nullopt;
    rest(impl_->terms.stop, pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(250));
  }
}

ExecResult Engine::run(const std::string& container, const wire::ExecConfig& config,
                       std::size_t output_limit) {
  return run_exec(create_exec(container, config), config.argv.empty() ? "" : config.argv.front(),
                  output_limit);
}

ExecResult Engine::run_exec(const std::string& exec, const std::string& program,
                            std::size_t output_limit) {
  ExecResult result;
  wire::FrameParser frames;
  Body body = start_exec(exec);
  while (const std::optional<Chunk> chunk = body.read()) {
    const auto take = [&](const wire::FrameParser::Piece& piece) {
      std::string& text = piece.stream == wire::FrameStream::err ? result.err : result.out;
      if (piece.length > output_limit - text.size()) {
        throw Error(ErrorKind::capture,
                    fmt::format("{} printed more than {}", program, format_bytes(output_limit)));
      }
      text += chunk->text().substr(piece.offset, piece.length);
    };
    if (frames.feed(chunk->bytes(), take) != wire::FrameError::none) break;
  }
  if (frames.finish() != wire::FrameError::none) {
    throw Error(ErrorKind::engine,
                fmt::format("the output of {} is not whole: {} (at byte {})", program,
                            wire::describe(frames.error()), frames.offset()),
                "see the engine's log: the engine or the container may have ended");
  }
  const std::optional<std::int64_t> code = exit_code(exec, exit_code_patience);
  if (!code) {
    throw Error(ErrorKind::engine, fmt::format("the exit status of {} is unknown", program),
                "see the engine's log");
  }
  result.exit_code = *code;
  return result;
}

// ---- archive

namespace {

std::string archive_path(const std::string& container, const std::string& path) {
  return container_path(container, "/archive?path=" + wire::percent_encoded(path));
}

}  // namespace

Body Engine::get_archive(const std::string& container, const std::string& path) {
  return Body(impl_->call({.method = "GET", .target = archive_path(container, path)}));
}

bool Engine::has_path(const std::string& container, const std::string& path) {
  try {
    impl_->call({.method = "HEAD", .target = archive_path(container, path)});
    return true;
  } catch (const ApiError& error) {
    if (error.status() == 404) return false;
    throw;
  }
}

void Engine::put_archive(const std::string& container, const std::string& path,
                         const std::function<std::optional<Chunk>()>& source) {
  Request request{.method = "PUT", .target = archive_path(container, path), .chunked = true};
  const ExchangePtr exchange = impl_->send(request);
  bool whole = true;
  while (whole) {
    const std::optional<Chunk> chunk = source();
    if (!chunk) break;
    whole = exchange->write_chunk(chunk->bytes());
  }
  if (whole) whole = exchange->write_last_chunk();
  Impl::require_success(*exchange, request);
  if (!whole) throw exchange->failure("the engine answered before it had read the whole archive");
  exchange->read_all(answer_limit);
}

// ---- what changes a container

void Engine::pause(const std::string& container) {
  impl_->post(container_path(container, "/pause"));
}

void Engine::unpause(const std::string& container) {
  impl_->post(container_path(container, "/unpause"));
}

void Engine::start(const std::string& container) {
  impl_->post(container_path(container, "/start"), {}, 304);
}

void Engine::stop(const std::string& container, std::chrono::seconds grace) {
  impl_->post(container_path(container, fmt::format("/stop?t={}", grace.count())), grace, 304);
}

std::string Engine::create_container(const std::string& name, const Json& body) {
  const ExchangePtr exchange =
      impl_->call({.method = "POST",
                   .target = "/containers/create?name=" + wire::percent_encoded(name),
                   .body = dump_json(body)});
  return Impl::parsed(*exchange, wire::parse_id);
}

void Engine::remove_container(const std::string& container) {
  impl_->remove(container_path(container, "?force=1&v=1"));
}

void Engine::remove_container_alone(const std::string& container) {
  impl_->remove(container_path(container, "?force=1&v=0"));
}

void Engine::rename_container(const std::string& container, const std::string& name) {
  impl_->post(container_path(container, "/rename?name=" + wire::percent_encoded(name)));
}

void Engine::connect_network(const std::string& network, const std::string& container,
                             const Json& endpoint) {
  const ExchangePtr exchange = impl_->call(
      {.method = "POST",
       .target = "/networks/" + wire::percent_encoded(network) + "/connect",
       .body = dump_json(Json{{"Container", container}, {"EndpointConfig", endpoint}})});
  exchange->read_all(answer_limit);
}

void Engine::set_restart_policy(const std::string& container, const Json& policy) {
  const ExchangePtr exchange = impl_->call({.method = "POST",
                                            .target = container_path(container, "/update"),
                                            .body = dump_json(Json{{"RestartPolicy", policy}})});
  exchange->read_all(answer_limit);
}

std::string Engine::logs(const std::string& container, int lines) {
  const ExchangePtr exchange = impl_->call(
      {.method = "GET",
       .target = container_path(container, fmt::format("/logs?stdout=1&stderr=1&tail={}", lines))});
  const std::string log = exchange->read_some_of(log_limit);
  std::string text;
  const auto take = [&](const wire::FrameParser::Piece& piece) {
    text += std::string_view(log).substr(piece.offset, piece.length);
  };
  // A container with a terminal has no frames in its log.
  return wire::FrameParser().feed(as_bytes(log), take) == wire::FrameError::none ? text : log;
}

// ---- volumes

std::optional<wire::Volume> Engine::find_volume(const std::string& name) {
  try {
    return impl_->get("/volumes/" + wire::percent_encoded(name), wire::parse_volume);
  } catch (const ApiError& error) {
    if (error.status() == 404) return std::nullopt;
    throw;
  }
}

wire::Volume Engine::create_volume(const std::string& name, const wire::Labels& labels) {
  const ExchangePtr exchange = impl_->call(
      {.method = "POST",
       .target = "/volumes/create",
       .body = dump_json(Json{{"Name", name}, {"Driver", "local"}, {"Labels", labels}})});
  return Impl::parsed(*exchange, wire::parse_volume);
}

void Engine::remove_volume(const std::string& name) {
  impl_->remove("/volumes/" + wire::percent_encoded(name));
}

}  // namespace bba::docker
