#include "e2e/support.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>

namespace e2e {

namespace fs = std::filesystem;

namespace {

std::runtime_error failed_call(const std::string& what) {
  return std::runtime_error(what + ": " + std::strerror(errno));
}

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::string all_of(int fd) {
  std::string text;
  char buffer[64 * 1024];
  ssize_t length = 0;
  while ((length = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<std::size_t>(length));
  }
  return text;
}

Fd memory_file(const std::string& content = {}) {
  Fd file(::memfd_create("e2e", MFD_CLOEXEC));
  if (!file) throw failed_call("memfd_create");
  write_all(file.get(), as_bytes(content), ErrorKind::internal, "memfd");
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

// The numbers of all processes.
std::vector<pid_t> processes() {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

std::string link_target(const std::string& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

// Empty where it has ended: processes come and go while they are looked at.
std::string file_of_process(pid_t pid, const std::string& name) {
  const Fd file(::open(fmt::format("/proc/{}/{}", pid, name).c_str(), O_RDONLY | O_CLOEXEC));
  return file ? all_of(file.get()) : std::string();
}

Strings argv_of(pid_t pid) {
  const std::string text = file_of_process(pid, "cmdline");
  Strings argv;
  for (const std::string_view word : split(text, '\0')) argv.emplace_back(word);
  return argv;
}

}  // namespace

bool engine_is_there() {
  const std::string missing = environment_value("BBA_TEST_HOST").empty()     ? "BBA_TEST_HOST"
                              : environment_value("BBA_TEST_BINARY").empty() ? "BBA_TEST_BINARY"
                                                                             : "";
  if (missing.empty()) return true;
  std::printf("SKIP: %s is not set\n", missing.c_str());
  return false;
}

std::string host() {
  return environment_value("BBA_TEST_HOST");
}

std::chrono::duration<double> wait_until(const std::string& what, std::chrono::milliseconds limit,
                                         const std::function<bool()>& predicate) {
  const auto start = Clock::now();
  while (!predicate()) {
    if (Clock::now() - start > limit) {
      throw std::runtime_error(fmt::format("not within {} ms: {}", limit.count(), what));
    }
    std::this_thread::sleep_for(5ms);
  }
  return Clock::now() - start;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

bool any_has(const Json& list, const std::string& part) {
  return std::any_of(list.begin(), list.end(),
                     [&](const Json& one) { return has(one.get<std::string>(), part); });
}

// --- programs ------------------------------------------------------------------------------------

Process::Process(const Strings& argv, const Setting& setting)
    : out_(memory_file()), err_(memory_file()) {
  const Fd input = memory_file(setting.input);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  pid_ = ::fork();
  if (pid_ < 0) throw failed_call("fork");
  if (pid_ == 0) {
    // Should the tests be killed, nobody else would end it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(input.get(), STDIN_FILENO);
    ::dup2(out_.get(), STDOUT_FILENO);
    ::dup2(err_.get(), STDERR_FILENO);
    for (const auto& [name, value] : setting.environment) ::setenv(name.c_str(), value.c_str(), 1);
    if (setting.directory.empty() || ::chdir(setting.directory.c_str()) == 0) {
      ::execvp(words.front(), words.data());
    }
    std::perror(words.front());
    ::_exit(127);
  }
  // Not by glibc 2.36's own pidfd_open, which C++ cannot link.
  pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) throw failed_call("pidfd_open");
}

Process::~Process() {
  if (!pidfd_) return;  // waited for, or moved from
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Process::running() const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  return ::poll(&ended, 1, 0) == 0;
}

void Process::signal(int number) const {
  if (::kill(pid_, number) != 0) throw failed_call("kill");
}

std::string Process::out() const {
  return all_of(out_.get());
}

std::string Process::err() const {
  return all_of(err_.get());
}

Ended Process::wait(std::chrono::seconds limit) {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  const bool in_time =
      ::poll(&ended, 1, static_cast<int>(std::chrono::milliseconds(limit).count())) == 1;
  if (!in_time) ::kill(pid_, SIGKILL);
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, 0, &usage) != pid_) throw failed_call("wait4");
  pidfd_.reset();
  if (!in_time) {
    throw std::runtime_error(
        fmt::format("still running after {} s; it said: {}{}", limit.count(), out(), err()));
  }
  const int code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return {code, out(), err(), static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
}

Ended run(const Strings& argv, const Setting& setting) {
  return Process(argv, setting).wait();
}

std::string docker(const Strings& arguments, const std::string& input) {
  Strings argv{"docker", "-H", host()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Setting setting;
  setting.input = input;
  const Ended ended = run(argv, setting);
  if (ended.exit_code != 0) {
    throw std::runtime_error(
        fmt::format("docker {}: {}: {}", join(arguments, " "), ended.exit_code, ended.err));
  }
  return std::string(trimmed(ended.out));
}

// --- this host -----------------------------------------------------------------------------------

Strings names_in(const std::string& directory) {
  Strings names;
  if (!fs::exists(directory)) return names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw failed_call(path);
  return all_of(file.get());
}

void write_file(const std::string& path, std::string_view content) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) throw failed_call(path);
  write_all(file.get(), as_bytes(content), ErrorKind::internal, path);
}

namespace {

// FNV-1a: no library, and nobody attacks the test.
std::uint64_t content_digest(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw failed_call(path);
  std::uint64_t digest = 0xcbf29ce484222325;
  std::vector<unsigned char> buffer(1 << 20);
  ssize_t length = 0;
  while ((length = ::read(file.get(), buffer.data(), buffer.size())) > 0) {
    for (ssize_t i = 0; i < length; ++i) {
      digest = (digest ^ buffer[static_cast<std::size_t>(i)]) * 0x100000001b3;
    }
  }
  return digest;
}

std::string capability_of(const std::string& path) {
  char value[256];
  const ssize_t length = ::lgetxattr(path.c_str(), "security.capability", value, sizeof value);
  std::string hex;
  for (ssize_t i = 0; i < length; ++i) {
    hex += fmt::format("{:02x}", static_cast<unsigned char>(value[i]));
  }
  return hex;
}

}  // namespace

std::map<std::string, std::string> inventory(const std::string& root) {
  std::map<std::string, std::string> lines;
  std::map<ino_t, std::string> first_names;
  Strings paths{""};
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    paths.push_back(entry.path().string().substr(root.size() + 1));
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const std::string full = path.empty() ? root : root + "/" + path;
    struct stat status {};
    if (::lstat(full.c_str(), &status) != 0) throw failed_call(full);
    if (S_ISSOCK(status.st_mode)) continue;
    std::string line =
        fmt::format("{:o} {}:{} {} {}", status.st_mode, status.st_uid, status.st_gid,
                    S_ISDIR(status.st_mode) ? 0 : status.st_size, status.st_mtim.tv_sec);
    if (S_ISLNK(status.st_mode)) line += " -> " + link_target(full);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
      line += " is " + first_names.emplace(status.st_ino, path).first->second;
    }
    if (S_ISREG(status.st_mode)) line += fmt::format(" {:016x}", content_digest(full));
    const std::string capability = capability_of(full);
    if (!capability.empty()) line += " cap " + capability;
    lines.emplace(path, line);
  }
  return lines;
}

std::string difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after) {
  std::string text;
  for (const auto& [path, line] : before) {
    const auto found = after.find(path);
    if (found == after.end()) {
      text += fmt::format("missing: {} ({})\n", printable(path), line);
    } else if (found->second != line) {
      text += fmt::format("{}: {} became {}\n", printable(path), line, found->second);
    }
  }
  for (const auto& [path, line] : after) {
    if (before.count(path) == 0) text += fmt::format("new: {} ({})\n", printable(path), line);
  }
  return text;
}

std::optional<std::uint64_t> read_position(const std::string& path) {
  struct stat wanted {};
  if (::stat(path.c_str(), &wanted) != 0) throw failed_call(path);
  std::optional<std::uint64_t> farthest;
  for (const pid_t pid : processes()) {
    if (pid == ::getpid()) continue;
    std::error_code error;
    for (fs::directory_iterator it(fmt::format("/proc/{}/fd", pid), error), end;
         !error && it != end; it.increment(error)) {
      struct stat status {};
      if (::stat(it->path().c_str(), &status) != 0 || status.st_ino != wanted.st_ino ||
          status.st_dev != wanted.st_dev) {
        continue;
      }
      const std::string info = file_of_process(pid, "fdinfo/" + it->path().filename().string());
      std::uint64_t position = 0;
      if (std::sscanf(info.c_str(), "pos: %lu", &position) == 1) {
        farthest = std::max(farthest.value_or(0), position);
      }
    }
  }
  return farthest;
}

// --- containers ----------------------------------------------------------------------------------

Json inspect(const std::string& container) {
  const auto json = parse_json(docker({"inspect", "--type", "container", container}));
  if (!json || !json->is_array() || json->empty()) throw std::runtime_error("docker inspect");
  return json->front();
}

// Not with inspect, which waits for an archive that is under way.
bool paused(const std::string& container) {
  return docker({"ps", "--all", "--filter", "name=^/" + container + "$", "--format",
                 "{{.State}}"}) == "paused";
}

std::string life_of(const std::string& container) {
  return docker({"inspect", "--format",
                 "{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}",
                 container});
}

namespace {

std::optional<pid_t> first_process_if_any(const std::string& container) {
  const pid_t pid = std::stoi(docker({"inspect", "--format", "{{.State.Pid}}", container}));
  return pid > 0 ? std::optional(pid) : std::nullopt;
}

}  // namespace

pid_t first_process_of(const std::string& container) {
  const auto pid = first_process_if_any(container);
  // A signal to process 0 would go to the tests themselves.
  if (!pid) throw std::runtime_error(container + " has no process");
  return *pid;
}

std::string seen_from_here(const std::string& container, const std::string& path) {
  return fmt::format("/proc/{}/root{}", first_process_of(container), path);
}

std::string volume_path(const std::string& volume) {
  return docker({"volume", "inspect", "--format", "{{.Mountpoint}}", volume});
}

Strings command_lines_in(const std::string& container) {
  Strings lines;
  const auto first = first_process_if_any(container);
  if (!first) return lines;
  const std::string space = link_target(fmt::format("/proc/{}/ns/pid", *first));
  for (const pid_t pid : processes()) {
    if (link_target(fmt::format("/proc/{}/ns/pid", pid)) == space && !space.empty()) {
      lines.push_back(join(argv_of(pid), " "));
    }
  }
  return lines;
}

bool dump_runs_in(const std::string& container) {
  const Strings lines = command_lines_in(container);
  return std::any_of(lines.begin(), lines.end(),
                     [](const std::string& line) { return line.find("pg_dump") != line.npos; });
}

namespace {

std::int64_t nanoseconds_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::string event_time(std::int64_t nanoseconds) {
  return fmt::format("{}.{:09}", nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000);
}

}  // namespace

EventLog::EventLog(Strings containers)
    : containers_(std::move(containers)),
      // The stream begins some time after this line; what was in between comes from the engine's
      // memory of the last 256 events, which is why it has to be a stream.
      stream_({"docker", "-H", host(), "events", "--since", event_time(nanoseconds_now()),
               "--format", "{{json .}}"}) {}

Strings EventLog::events() const {
  // Events come in order: where this one has come, all before it have.
  static std::atomic<int> count{0};
  const std::string mark = fmt::format("e2e-{}-mark-{}", ::getpid(), ++count);
  docker({"volume", "create", "--label", "bba.fixture=1", mark});
  docker({"volume", "rm", mark});
  wait_until("the engine's event of " + mark, 30s,
             [&] { return stream_.out().find(mark) != std::string::npos; });
  Strings events;
  const std::string text = stream_.out();
  for (const std::string_view line : split(text, '\n')) {
    if (line.find(mark) != line.npos) return events;
    const auto event = parse_json(line);
    if (!event || event->at("Type") != "container") continue;
    const auto& attributes = event->at("Actor").at("Attributes");
    const std::string name = attributes.value("name", "");
    if (std::find(containers_.begin(), containers_.end(), name) == containers_.end()) continue;
    events.push_back(event->at("Action").get<std::string>() + " " + name);
  }
  throw std::runtime_error("the stream of events has lost a line");
}

// --- a case --------------------------------------------------------------------------------------

E2eFixture::E2eFixture() {
  std::string form = "/tmp/bba-e2e-XXXXXX";
  if (::mkdtemp(form.data()) == nullptr) throw failed_call("mkdtemp");
  root_ = form;
  write_file(path("default.yaml"), "");
}

E2eFixture::~E2eFixture() {
  try {
    if (!containers_.empty()) {
      Strings arguments{"rm", "--force", "--volumes"};
      arguments.insert(arguments.end(), containers_.begin(), containers_.end());
      docker(arguments);
    }
    for (const std::string& volume : volumes_) docker({"volume", "rm", "--force", volume});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleaning up: %s\n", error.what());
  }
  if (mounted_) ::umount2(backups().c_str(), MNT_DETACH);
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string E2eFixture::name(const std::string& what) {
  static std::atomic<int> count{0};
  return fmt::format("e2e-{}-{}-{}", ::getpid(), ++count, what);
}

std::string E2eFixture::volume(const std::string& what) {
  volumes_.push_back(name(what));
  return docker({"volume", "create", "--label", "bba.fixture=1", volumes_.back()});
}

std::string E2eFixture::make(const std::string& verb, const std::string& what,
                             const Strings& options, const std::string& image,
                             const Strings& command) {
  containers_.push_back(name(what));
  Strings arguments{verb};
  if (verb == "run") arguments.emplace_back("--detach");
  arguments.insert(arguments.end(),
                   {"--name", containers_.back(), "--network", "none", "--label", "bba.fixture=1"});
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(image);
  arguments.insert(arguments.end(), command.begin(), command.end());
  docker(arguments);
  return containers_.back();
}

std::string E2eFixture::start(const std::string& what, const Strings& options,
                              const std::string& image, const Strings& command) {
  return make("run", what, options, image, command);
}

std::string E2eFixture::create(const std::string& what, const Strings& options,
                               const std::string& image, const Strings& command) {
  return make("create", what, options, image, command);
}

void E2eFixture::small_backup_directory(const std::string& size) {
  fs::create_directory(backups());
  const std::string options = "mode=0700,size=" + size;
  if (::mount("e2e", backups().c_str(), "tmpfs", 0, options.c_str()) != 0) {
    throw failed_call("mounting a tmpfs");
  }
  mounted_ = true;
}

Strings E2eFixture::command(const Strings& arguments) const {
  Strings argv{environment_value("BBA_TEST_BINARY"),
               "--host",
               host(),
               "--platform-root",
               root_,
               "--backup-dir",
               backups(),
               "--state-dir",
               state(),
               "--proof-dir",
               path("proofs")};
  // Never the configuration of the machine that the tests run on.
  if (std::find(arguments.begin(), arguments.end(), "--config") == arguments.end()) {
    argv.insert(argv.end(), {"--config", path("default.yaml")});
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

Ended E2eFixture::bba(const Strings& arguments, const Setting& setting) const {
  return run(command(arguments), setting);
}

Json E2eFixture::manifest() const {
  std::optional<Json> manifest;
  for (const std::string& name : names_in(backups())) {
    if (!name.ends_with(".manifest.json")) continue;
    if (manifest) throw std::runtime_error("more than one manifest");
    manifest = parse_json(read_file(backups() + "/" + name));
  }
  if (!manifest) throw std::runtime_error("no manifest in " + backups());
  return *manifest;
}

Ended E2eFixture::restore_by_hand(const std::string& target,
                                  const std::map<std::string, std::string>& environment) const {
  Setting setting;
  setting.environment = environment;
  setting.environment["TARGET"] = target;
  setting.environment["DOCKER_HOST"] = host();
  setting.directory = backups();
  setting.input = "set -e\n";
  const Json all = manifest();
  for (const Json& artifact : all.at("artifacts")) {
    for (const Json& line : artifact.at("restore")) {
      setting.input += line.get<std::string>() + "\n";
    }
  }
  // As a script: read from stdin, it would be eaten by the commands in it.
  write_file(path("restore.sh"), setting.input);
  setting.input.clear();
  return run({"sh", path("restore.sh")}, setting);
}

Strings E2eFixture::journals() const {
  Strings journals;
  for (const std::string& name : names_in(state())) {
    if (name.ends_with(".journal")) journals.push_back(name);
  }
  return journals;
}

std::optional<pid_t> E2eFixture::guard() const {
  for (const pid_t pid : processes()) {
    const Strings argv = argv_of(pid);
    if (argv.size() > 2 && argv[1] == "__guard" && argv[2] == state()) return pid;
  }
  return std::nullopt;
}

void E2eFixture::wait_for_guard_to_end() const {
  // It may wait for a slow engine, and prints nothing in that time.
  wait_until("the guard ends", 60s, [&] { return !guard(); });
}

void E2eFixture::check_nothing_left() const {
  CHECK(names_in(backups()) == Strings{});
  CHECK(journals() == Strings{});
}

}  // namespace e2e
