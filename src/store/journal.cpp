#include "bba/store/journal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::store {

namespace {

constexpr ErrorKind storage = ErrorKind::storage;
constexpr std::string_view suffix = ".journal";
constexpr std::size_t most_bytes = 16 << 20;

constexpr std::array<std::pair<CleanupKind, std::string_view>, 5> kinds{
    {{CleanupKind::paused, "paused"},
     {CleanupKind::stopped, "stopped"},
     {CleanupKind::exec, "exec"},
     {CleanupKind::scratch, "scratch"},
     {CleanupKind::restore, "restore"}}};

std::optional<CleanupKind> kind_named(std::string_view text) {
  for (const auto& [kind, kind_name] : kinds) {
    if (kind_name == text) return kind;
  }
  return std::nullopt;
}

// Each record begins a line of its own, so that a torn one before it spoils nothing; and it is an
// object, so that no part of one is mistaken for the whole.
void append(int fd, const Json& record, const std::string& path) {
  write_all(fd, as_bytes('\n' + dump_json(record)), storage, "writing " + path);
  if (::fdatasync(fd) != 0) throw system_error(storage, "syncing " + path, errno);
}

// On disk the verb is "owe" for a recorded entry, "settle" for a completed one.
Json record_of(std::string_view verb, const JournalEntry& entry) {
  Json record{
      {std::string(verb), std::string(name(entry.kind))}, {"id", entry.id}, {"name", entry.name}};
  if (!entry.details.is_null()) record["details"] = entry.details;
  return record;
}

std::optional<JournalEntry> entry_of(const Json& record, std::string_view verb) {
  const auto text = string_member(record, verb);
  const auto kind = text ? kind_named(*text) : std::nullopt;
  const auto id = string_member(record, "id");
  if (!kind || !id) return std::nullopt;
  const Json* details = member(record, "details");
  return JournalEntry{*kind, *id, string_member(record, "name").value_or(""),
                      details == nullptr ? Json() : *details};
}

void remove_entry(std::vector<JournalEntry>& open, const JournalEntry& entry) {
  const auto found = std::find(open.begin(), open.end(), entry);
  if (found != open.end()) open.erase(found);
}

void add_entry(std::vector<JournalEntry>& open, const JournalEntry& entry) {
  remove_entry(open, entry);
  open.push_back(entry);
}

void replay(std::string_view content, AbandonedJournal& journal) {
  for (const std::string_view line : split(content, '\n')) {
    const auto record = parse_json(line);
    if (!record) continue;
    if (const auto host = string_member(*record, "host")) journal.host = *host;
    if (const auto entry = entry_of(*record, "owe")) add_entry(journal.entries, *entry);
    if (const auto entry = entry_of(*record, "settle")) remove_entry(journal.entries, *entry);
  }
}

// Whether the run that made the journal has ended. A process that only waits for its parent to
// notice (a zombie) holds nothing any more.
bool run_has_ended(const std::string& path) {
  const std::string name = base_name(path);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || *end != '-') return false;
  const Fd file(::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT;
  char text[1024];
  const ssize_t length = ::read(file.get(), text, sizeof text);
  if (length < 0) return errno == ESRCH;
  // "PID (NAME) STATE ...", where NAME may hold anything.
  const std::string_view stat(text, static_cast<std::size_t>(length));
  const std::string_view state = stat.substr(std::min(stat.rfind(')'), stat.size()));
  return state.starts_with(") Z") || state.starts_with(") X");
}

// Locks a journal; nullopt where a run that is alive, or another recover, holds it, or it is gone.
std::optional<Fd> take_over(const std::string& path, bool& held) {
  Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    throw system_error(storage, path, errno);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw system_error(storage, "locking " + path, errno);
    held = true;
    return std::nullopt;
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_error(storage, path, errno);
  if (status.st_nlink == 0) return std::nullopt;
  return file;
}

// The entries of a dead run that are open; nullopt where there are none, or the run still lives.
std::optional<AbandonedJournal> abandoned_in(const std::string& path,
                                             std::vector<std::string>* being_undone) {
  bool held = false;
  std::optional<Fd> lock = take_over(path, held);
  if (held && being_undone != nullptr && run_has_ended(path)) being_undone->push_back(path);
  if (!lock) return std::nullopt;
  AbandonedJournal journal{path, {}, {}, std::move(*lock), {}};
  replay(read_rest(journal.lock.get(), most_bytes, storage, path), journal);
  if (!journal.entries.empty()) return journal;
  forget(journal);
  return std::nullopt;
}

std::vector<std::string> journals_in(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    std::string path = it->path().string();
    if (path.ends_with(suffix)) paths.push_back(std::move(path));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw system_error(storage, directory, error.value());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::string_view name(CleanupKind kind) {
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [kind](const auto& one) { return one.first == kind; });
  return found->second;
}

Journal::Journal(const std::string& state_directory, const std::string& host) {
  const OwnedDirectory directory = OwnedDirectory::open_or_create(state_directory);
  const auto start = std::chrono::system_clock::now().time_since_epoch().count();
  const std::string file_name = fmt::format("{}-{}{}", ::getpid(), start, suffix);
  path_ = directory.path() + '/' + file_name;
  // It gets its name once it is locked: to abandoned_journals() a journal without a lock is a dead
  // one.
  ArtifactFile file(directory);
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) throw system_error(storage, path_, errno);
  file.write(as_bytes(dump_json(Json{{"host", host}})));
  host_bytes_ = file.bytes();
  file.sync();
  file.publish(file_name);
  directory.sync();
  fd_ = Fd(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));  // shares the lock and the position
  if (!fd_) throw system_error(ErrorKind::internal, "dup", errno);
}

Journal::~Journal() {
  if (open_.empty()) ::unlink(path_.c_str());
}

void Journal::record(const JournalEntry& entry) {
  append(fd_.get(), record_of("owe", entry), path_);
  add_entry(open_, entry);
}

void Journal::complete(const JournalEntry& entry) {
  remove_entry(open_, entry);
  if (!open_.empty()) {
    return append(fd_.get(), record_of("settle", {entry.kind, entry.id, entry.name}), path_);
  }
  // Back to the line of the host, so that the journal of a long run does not grow. A run that is
  // killed before this leaves an entry that was undone already, and undoing it twice does no harm.
  const auto end = static_cast<off_t>(host_bytes_);
  if (::ftruncate(fd_.get(), end) != 0 || ::lseek(fd_.get(), end, SEEK_SET) != end ||
      ::fdatasync(fd_.get()) != 0) {
    throw system_error(storage, "writing " + path_, errno);
  }
}

std::vector<AbandonedJournal> abandoned_journals(const std::string& state_directory,
                                                 std::vector<std::string>* being_undone) {
  std::vector<AbandonedJournal> found;
  for (const std::string& path : journals_in(state_directory)) {
    try {
      if (auto journal = abandoned_in(path, being_undone)) found.push_back(std::move(*journal));
    } catch (const Error& error) {
      found.push_back({path, {}, {}, {}, error.what()});
    }
  }
  return found;
}

void complete(const AbandonedJournal& journal, const JournalEntry& entry) {
  const Fd file(::open(journal.path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!file) throw system_error(storage, "writing " + journal.path, errno);
  append(file.get(), record_of("settle", {entry.kind, entry.id, entry.name}), journal.path);
}

void forget(const AbandonedJournal& journal) {
  if (::unlink(journal.path.c_str()) != 0 && errno != ENOENT) {
    throw system_error(storage, "removing " + journal.path, errno);
  }
}

}  // namespace bba::store
