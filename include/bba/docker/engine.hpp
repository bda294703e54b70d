// A client of the Docker Engine over its unix socket: the program's only network code.
//
// Calls block, and a call ends early in three ways only: its time limit (Error{timeout}), a Stop
// that is due (its error, the connection closed at once), or an engine that breaks
// off (Error{engine}). Every call opens a connection of its own, so an Engine may be used while one
// of its bodies is being read. An answer that is an HTTP error throws ApiError with the engine's
// message. Each Engine, and what it handed out, belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bba/base/bytes.hpp"
#include "bba/base/error.hpp"
#include "bba/base/stop.hpp"
#include "bba/wire/message.hpp"

namespace bba::docker {

// An HTTP status of 400 or more: 404 no such object, 409 conflict (paused, not running), 5xx ...
class ApiError : public Error {
 public:
  ApiError(ErrorKind kind, std::string_view cause, std::string hint, int status)
      : Error(kind, cause, std::move(hint)), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

struct Limits {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds silence{60'000};  // without a byte, on any answer or body
};

// "unix:///path", or a bare absolute path, as a socket's path. Throws Error{usage} for another
// scheme.
std::string socket_path(const std::string& host);

class Exchange;  // a request and its answer; inside of this room

// A response body that is being streamed.
class Body {
 public:
  explicit Body(std::unique_ptr<Exchange> exchange);
  Body(Body&&) noexcept;
  Body& operator=(Body&&) noexcept;
  ~Body();  // closes the connection

  // The next bytes; nullopt at the end that HTTP itself proves (last chunk, Content-Length) or,
  // where the engine frames by closing, at the close. Throws where the body ends before that.
  std::optional<Chunk> read();
  // Closes the connection now: the engine then releases the container.
  void close() noexcept;

 private:
  std::unique_ptr<Exchange> exchange_;
};

// A started exec with stdin: the connection after "101 UPGRADED".
class Attached {
 public:
  explicit Attached(std::unique_ptr<Exchange> exchange);
  Attached(Attached&&) noexcept;
  Attached& operator=(Attached&&) noexcept;
  ~Attached();

  // Writes all of `bytes` to stdin. What the program prints meanwhile is handed to `output` (raw
  // frames), so that a program that prints while it reads never blocks both sides. A program
  // that ends before it has read everything is an Error{capture}; read() still gives what it
  // printed last.
  void write(ByteView bytes, const std::function<void(Chunk)>& output);
  // Half-closes: the program sees the end of its stdin.
  void close_stdin();
  // As Body::read().
  std::optional<Chunk> read();
  void close() noexcept;

 private:
  std::unique_ptr<Exchange> exchange_;
};

struct ExecResult {
  std::int64_t exit_code = 0;
  std::string out;
  std::string err;
};

class Engine {
 public:
  // `stop` may be null (a cleanup that must run to its end); otherwise it must outlive the Engine.
  // Nothing is sent yet. The first call negotiates the API version.
  Engine(std::string socket_path, Limits limits, const Stop* stop);
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  // The same engine for what must be done even after a request to stop.
  Engine unstoppable(Limits limits) const;

  wire::Version version();
  wire::Info info();
  // `filters`: {"label": ["k=v"], ...}; all = stopped ones too.
  std::vector<wire::ContainerSummary> list(const Json& filters = Json::object(), bool all = true);
  wire::Container inspect(const std::string& container);
  // The same, and nullopt where there is no such container, or no name.
  std::optional<wire::Container> find(const std::string& container);
  wire::Image inspect_image(const std::string& image);

  std::string create_exec(const std::string& container, const wire::ExecConfig& config);
  Body start_exec(const std::string& exec);       // Tty false: the body is frames (wire/frame.hpp)
  Attached attach_exec(const std::string& exec);  // for ExecConfig::attach_stdin
  wire::ExecStatus inspect_exec(const std::string& exec);
  // The exit status of an exec whose stream ended: polls for at most `patience` for Running:false
  // with a non-null ExitCode. nullopt: it is not known.
  std::optional<std::int64_t> exit_code(const std::string& exec,
                                        std::chrono::milliseconds patience);
  // Runs a small command to its end. Output beyond `output_limit` bytes for each of stdout and
  // stderr is an Error{capture}; an exit status that is not known is an Error{engine}; any known
  // one is returned.
  ExecResult run(const std::string& container, const wire::ExecConfig& config,
                 std::size_t output_limit = 4 << 20);
  // The same for an exec that was created before; `program` is its name, for errors.
  ExecResult run_exec(const std::string& exec, const std::string& program,
                      std::size_t output_limit = 4 << 20);

  Body get_archive(const std::string& container, const std::string& path);
  bool has_path(const std::string& container, const std::string& path);
  // Extracts the tar that `source` yields (nullopt ends it) below `path`.
  void put_archive(const std::string& container, const std::string& path,
                   const std::function<std::optional<Chunk>()>& source);

  void pause(const std::string& container);
  void unpause(const std::string& container);
  void start(const std::string& container);  // 304, already started, is success
  void stop(const std::string& container, std::chrono::seconds grace);
  std::string create_container(const std::string& name, const Json& body);
  // Removes with its anonymous volumes, running or not; 404 is success.
  void remove_container(const std::string& container);
  // The same, and its anonymous volumes stay.
  void remove_container_alone(const std::string& container);
  void rename_container(const std::string& container, const std::string& name);
  // `endpoint` is an EndpointSettings of the API.
  void connect_network(const std::string& network, const std::string& container,
                       const Json& endpoint);
  // Changes what the engine does once the container ends: HostConfig.RestartPolicy as it was read.
  void set_restart_policy(const std::string& container, const Json& policy);
  // The last lines of a container's log, for error messages.
  std::string logs(const std::string& container, int lines);

  // --- volumes ---
  std::optional<wire::Volume> find_volume(const std::string& name);
  // Made by the local driver; one of that name that is there already is success.
  wire::Volume create_volume(const std::string& name, const wire::Labels& labels);
  // 404 is success; 409 where a container refers to it.
  void remove_volume(const std::string& name);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::docker
