// What `verify` found, as text and as JSON.
#include "bba/commands/verify/verify_text.hpp"

#include <algorithm>

#include "bba/base/text.hpp"

namespace bba::commands {

std::string advice(const Verification& verification) {
  const auto& sets = verification.sets;
  const auto is_good = [](const SetVerdict& set) { return set.good(); };
  const auto broken = std::find_if_not(sets.begin(), sets.end(), is_good);
  if (broken == sets.end()) return {};
  const std::string do_not = "do not rely on " + broken->manifest_file;
  // The newest of the same module: what to restore instead.
  const auto other = std::find_if(sets.begin(), sets.end(), [&](const SetVerdict& set) {
    return set.good() && set.module == broken->module && set.purpose.empty();
  });
  if (other == sets.end()) {
    return do_not +
           (sets.size() == 1 ? "; `list " + broken->module + "` shows whether there is another"
                             : "; no other that was read is good") +
           ", else take a new backup";
  }
  return fmt::format("{}; {} of {} sets are good, the newest of {} is {}", do_not,
                     std::count_if(sets.begin(), sets.end(), is_good), sets.size(), broken->module,
                     other->manifest_file);
}

std::string verification_text(const Verification& verification) {
  std::size_t width = 0;
  for (const SetVerdict& set : verification.sets) {
    for (const ArtifactVerdict& one : set.artifacts) width = std::max(width, one.file.size());
  }
  std::string text;
  for (const SetVerdict& set : verification.sets) {
    if (!set.broken.empty()) {
      text += fmt::format("BAD  {}: {}\n", set.manifest_file, printable(set.broken));
    }
    for (const ArtifactVerdict& one : set.artifacts) {
      text += one.broken.empty() ? fmt::format("ok   {:<{}}  {:>10}  {}\n", one.file, width,
                                               format_bytes(one.bytes), printable(one.holds))
                                 : fmt::format("BAD  {}: {}\n", one.file, printable(one.broken));
    }
    if (set.broken.empty() && set.artifacts.empty()) {
      text += fmt::format("ok   {}  its parts are the sets of other modules\n", set.manifest_file);
    }
  }
  return text;
}

Json verification_json(const Verification& verification) {
  Json sets = Json::array();
  for (const SetVerdict& set : verification.sets) {
    Json artifacts = Json::array();
    for (const ArtifactVerdict& one : set.artifacts) {
      artifacts.push_back({{"file", one.file},
                           {"kind", one.kind},
                           {"bytes", one.bytes},
                           {"good", one.broken.empty()},
                           {"holds", one.holds},
                           {"broken", one.broken}});
    }
    Json one = to_json(set);
    one.update({{"manifest", set.manifest_file},
                {"manifest_sha256", set.manifest_sha256},
                {"good", set.good()},
                {"broken", set.broken},
                {"artifacts", std::move(artifacts)}});
    sets.push_back(std::move(one));
  }
  return sets;
}

}  // namespace bba::commands
