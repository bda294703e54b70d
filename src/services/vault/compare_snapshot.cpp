// Class C: a raft snapshot is sealed. What can be proven without the unseal keys was proven when
// verify read it just before: there is nothing to restore it into that could say more.
#include "bba/base/text.hpp"
#include "bba/restore/scratch.hpp"

namespace bba::ops {

PartReport drill_snapshot(const store::ArtifactRecord& record) {
  PartReport report;
  for (const char* key : {"index", "term", "state_bytes"}) {
    report.compared[key] = size_member(record.found, key).value_or(0);
  }
  report.lines.push_back(fmt::format(
      "index {}, term {}: the snapshot's own sums hold for {} of state",
      size_member(record.found, "index").value_or(0), size_member(record.found, "term").value_or(0),
      format_bytes(size_member(record.found, "state_bytes").value_or(0))));
  report.not_proven.push_back(
      "that it unseals, and the secrets in it: both need the unseal keys, which no backup has");
  report.not_proven.push_back("that a server takes it: it was not restored into one");
  return report;
}

}  // namespace bba::ops
