#include "bba/commands/list.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/store/manifest_checksum.hpp"
#include "bba/store/proof.hpp"

namespace bba::commands {

namespace {

std::string error_of(const store::OwnedDirectory& directory, const store::BackupSet& set) {
  if (const std::string fault = store::checksum_error(set.manifest_text); !fault.empty()) {
    return set.manifest_file + ": " + fault;
  }
  if (!set.missing.empty()) return set.missing.front() + " is missing";
  for (const store::ArtifactRecord& artifact : set.manifest.artifacts) {
    struct stat status {};
    if (::fstatat(directory.fd(), artifact.file.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        static_cast<std::uint64_t>(status.st_size) != artifact.bytes) {
      return fmt::format("{} has {} bytes, not {}", artifact.file, status.st_size, artifact.bytes);
    }
  }
  return {};
}

ListedSet listed(const store::OwnedDirectory& directory, const store::BackupSet& set) {
  ListedSet row;
  static_cast<SetHead&>(row) = head_of(set);
  for (const store::ArtifactRecord& artifact : set.manifest.artifacts) {
    row.artifacts.push_back(artifact.file);
    row.bytes += artifact.bytes;
  }
  row.content_bytes = store::content_bytes(set.manifest);
  row.broken = error_of(directory, set);
  row.failed = store::failed_drill(set).value_or("");
  row.proof = !row.broken.empty()   ? "broken"
              : !row.failed.empty() ? "failed"
                                    : name(store::proof_level(set));
  return row;
}

// How much smaller the artifacts are than what they hold; 1 for an empty set.
double ratio(const ListedSet& row) {
  if (row.content_bytes == 0) return 1;
  return static_cast<double>(row.bytes) / static_cast<double>(row.content_bytes);
}

std::string age_text(Timestamp at, Timestamp started) {
  return started > at ? "in the future" : format_duration(at - started);
}

// Behind the strategy of a set that is no backup.
std::string what_for(const ListedSet& row) {
  if (row.purpose.empty()) return {};
  return row.purpose == store::before_restore ? ", safety set: before a restore"
                                              : ", no backup: " + printable(row.purpose);
}

// What to know of a set, a line each below its row.
std::vector<std::string> remarks(const ListedSet& row) {
  std::vector<std::string> lines;
  if (!row.broken.empty()) lines.push_back("broken: " + row.broken);
  if (!row.failed.empty()) lines.push_back("failed: " + row.failed);
  if (row.fallback) lines.push_back("fallback: " + *row.fallback);
  if (row.changed_while_read > 0) {
    lines.push_back(
        fmt::format("changed: {} entries changed while they were read", row.changed_while_read));
  }
  for (const std::string& lacked : row.incomplete) lines.push_back("incomplete: " + lacked);
  return lines;
}

}  // namespace

Listing list(const run::Session& session, const std::string& module) {
  if (!module.empty()) require_module_id(module);
  const auto directory = store::OwnedDirectory::open_copy(session.settings.backup_dir);
  store::Catalogue catalogue = store::read_catalogue(directory, module);
  Listing listing;
  for (const store::BackupSet& set : catalogue.sets) {
    listing.sets.push_back(listed(directory, set));
  }
  listing.orphans = std::move(catalogue.orphans);
  try {
    listing.parked = run::parked_states(session.settings.state_dir, module);
  } catch (const Error& error) {
    // Only its owner may look into the state directory.
    session.reporter.detail(
        fmt::format("what restores have parked is not known: {}", error.what()));
  }
  return listing;
}

std::string list_text(const Listing& listing, Timestamp at) {
  std::size_t module_width = std::string_view("MODULE").size();
  std::size_t age_width = std::string_view("AGE").size();
  for (const ListedSet& row : listing.sets) {
    module_width = std::max(module_width, row.module.size());
    age_width = std::max(age_width, age_text(at, row.started).size());
  }
  std::string text;
  if (!listing.sets.empty()) {
    text = fmt::format("{:<{}}  {:<20}  {:<5}  {:>10}  {:>5}  {:<8}  {:<{}}  {}\n", "MODULE",
                       module_width, "TIME", "CLASS", "SIZE", "RATIO", "PROOF", "AGE", age_width,
                       "STRATEGY");
  }
  for (const ListedSet& row : listing.sets) {
    text += fmt::format("{:<{}}  {:<20}  {:<5}  {:>10}  {:>5.2f}  {:<8}  {:<{}}  {}\n", row.module,
                        module_width, format_rfc3339(row.started), row.module_class,
                        format_bytes(row.bytes), ratio(row), row.proof, age_text(at, row.started),
                        age_width, printable(row.strategy) + what_for(row));
    for (const std::string& remark : remarks(row)) {
      text += fmt::format("{:<{}}  {}\n", "", module_width, printable(remark));
    }
  }
  for (const store::Orphan& orphan : listing.orphans) {
    text += fmt::format("orphan  {}  {}\n", printable(orphan.file), printable(orphan.why));
  }
  for (const run::ParkedState& parked : listing.parked) {
    text += fmt::format("parked  {}  {}: {}\n", parked.module, format_rfc3339(parked.time),
                        parked.failed ? "what was restored, and the service did not take"
                                      : "what it had before the restore, for `restore --undo`");
  }
  return text;
}

Json list_json(const Listing& listing, Timestamp at) {
  Json sets = Json::array();
  for (const ListedSet& row : listing.sets) {
    Json one = to_json(row);
    one.update({{"age_seconds", (at - row.started).count()},
                {"bytes", row.bytes},
                {"content_bytes", row.content_bytes},
                {"ratio", ratio(row)},
                {"proof", row.proof},
                {"broken", row.broken},
                {"failed", row.failed},
                {"manifest", row.manifest_file},
                {"artifacts", row.artifacts}});
    sets.push_back(std::move(one));
  }
  Json orphans = Json::array();
  for (const store::Orphan& orphan : listing.orphans) {
    orphans.push_back({{"file", orphan.file}, {"why", orphan.why}});
  }
  Json parked = Json::array();
  for (const run::ParkedState& one : listing.parked) {
    Json places = Json::array();
    for (const run::BuiltPlace& place : one.places) {
      places.push_back({{"destination", place.destination},
                        {"volume", place.volume},
                        {"directory", place.directory}});
    }
    parked.push_back({{"module", one.module},
                      {"time", format_rfc3339(one.time)},
                      {"set", one.set},
                      {"failed", one.failed},
                      {"places", std::move(places)},
                      {"keeper", one.keeper}});
  }
  return {
      {"sets", std::move(sets)}, {"orphans", std::move(orphans)}, {"parked", std::move(parked)}};
}

}  // namespace bba::commands
