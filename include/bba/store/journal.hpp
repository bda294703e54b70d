// What a run has changed and must undo: containers paused or stopped, execs started, scratch
// containers made. Each change is recorded before it is made, and completed once it is undone, so
// that `recover` can finish the work of a run that was killed together with its
// guard. One file for each run: <state-dir>/<pid>-<start>.journal, held with flock while the run
// lives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/fd.hpp"
#include "bba/base/json.hpp"

namespace bba::store {

enum class CleanupKind { paused, stopped, exec, scratch, restore };
std::string_view name(CleanupKind kind);

struct JournalEntry {
  CleanupKind kind;
  std::string id;    // container or exec id, scratch container's name
  std::string name;  // for messages
  // What a restore has to know to be finished or undone; null of all others.
  Json details = nullptr;
  // Whether both are of one thing, however far the one and the other have come.
  friend bool operator==(const JournalEntry& a, const JournalEntry& b) {
    return a.kind == b.kind && a.id == b.id && a.name == b.name;
  }
};

class Journal {
 public:
  // Opens a new journal, locked. `host` is the engine's address, noted in it.
  Journal(const std::string& state_directory, const std::string& host);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();  // removes the file where every entry is complete; otherwise it stays for recover

  // On disk when it returns. An entry of the same thing takes the place of the earlier one: so a
  // restore records how far it has come.
  void record(const JournalEntry& entry);
  void complete(const JournalEntry& entry);  // the same; an entry that is not open is not an error
  const std::vector<JournalEntry>& open() const noexcept { return open_; }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  Fd fd_;
  std::uint64_t host_bytes_ = 0;  // the length of the journal while no entry is open
  std::vector<JournalEntry> open_;
};

struct AbandonedJournal {
  std::string path;
  std::string host;
  std::vector<JournalEntry> entries;
  Fd lock;              // while this lives, no other run is shown the same journal
  std::string trouble;  // why it cannot be read: what its run left is then not known
};
// Journals whose run is dead and that have open entries; those without are removed. A torn
// line (the machine died, or the disk was full, while it was written) is not an error, and one
// journal that cannot be read does not hide the others. Error{storage} where the directory cannot
// be read. Into `being_undone` go the paths of those that a guard holds, as it is undoing them.
std::vector<AbandonedJournal> abandoned_journals(const std::string& state_directory,
                                                 std::vector<std::string>* being_undone = nullptr);
// Notes in the journal that the entry was undone, so that nobody undoes it once more.
void complete(const AbandonedJournal& journal, const JournalEntry& entry);
void forget(const AbandonedJournal& journal);

}  // namespace bba::store
