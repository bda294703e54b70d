// What a prune did, for people and for programs (JSON).
#include "bba/base/text.hpp"
#include "bba/commands/prune/prune.hpp"

namespace bba::commands {

std::string pruning_text(const Pruning& pruning) {
  const std::string_view goes = pruning.dry_run ? "would go" : "removed";
  std::string text;
  std::uint64_t bytes = 0;
  // How many of them go.
  const auto add_rows = [&](const auto& rows, auto file_of) {
    std::size_t count = 0;
    for (const auto& row : rows) {
      text += fmt::format("{:<8}  {}  {:>10}  {}\n", row.kept ? "kept" : goes, file_of(row),
                          format_bytes(row.bytes), printable(row.why));
      if (row.kept) continue;
      bytes += row.bytes;
      ++count;
    }
    return count;
  };
  const std::size_t sets =
      add_rows(pruning.sets, [](const auto& row) { return row.manifest_file; });
  const std::size_t orphans =
      add_rows(pruning.orphans, [](const auto& row) { return printable(row.file); });
  for (const PrunedParked& parked : pruning.parked) {
    // Of a restore in place nothing is removed yet.
    text +=
        parked.removed.empty()
            ? fmt::format("{:<8}  the undo of the restore of {} {}: {}\n", goes, parked.module,
                          format_rfc3339(parked.time), parked.what)
            : fmt::format("{:<8}  parked by the restore of {} {}: {} ({})\n", goes, parked.module,
                          format_rfc3339(parked.time), parked.what, join(parked.removed, ", "));
  }
  return text + fmt::format("{} set{}{} {}, {}\n", sets, sets == 1 ? "" : "s",
                            orphans == 0
                                ? ""
                                : fmt::format(" and {} orphan{}", orphans, orphans == 1 ? "" : "s"),
                            goes, format_bytes(bytes));
}

Json pruning_json(const Pruning& pruning) {
  Json sets = Json::array();
  for (const PrunedSet& set : pruning.sets) {
    sets.push_back({{"module", set.module},
                    {"class", set.module_class},
                    {"started", format_rfc3339(set.started)},
                    {"manifest", set.manifest_file},
                    {"bytes", set.bytes},
                    {"kept", set.kept},
                    {"why", set.why}});
  }
  Json orphans = Json::array();
  for (const PrunedOrphan& orphan : pruning.orphans) {
    orphans.push_back({{"file", orphan.file},
                       {"bytes", orphan.bytes},
                       {"kept", orphan.kept},
                       {"why", orphan.why}});
  }
  Json parked = Json::array();
  for (const PrunedParked& one : pruning.parked) {
    parked.push_back({{"module", one.module},
                      {"time", format_rfc3339(one.time)},
                      {"what", one.what},
                      {"removed", one.removed}});
  }
  return {{"dry_run", pruning.dry_run},
          {"sets", std::move(sets)},
          {"orphans", std::move(orphans)},
          {"parked", std::move(parked)}};
}

}  // namespace bba::commands
