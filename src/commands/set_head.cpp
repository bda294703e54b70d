#include "bba/commands/set_head.hpp"

#include "bba/store/proof.hpp"

namespace bba::commands {

SetHead head_of(const store::BackupSet& set) {
  const store::Manifest& manifest = set.manifest;
  SetHead head;
  head.module = manifest.module;
  head.module_class = manifest.module_class;
  head.strategy = manifest.strategy;
  head.fallback = manifest.fallback;
  head.purpose = manifest.purpose;
  head.changed_while_read = store::changed_while_read(manifest);
  head.incomplete = manifest.incomplete;
  head.started = manifest.started;
  head.manifest_file = set.manifest_file;
  return head;
}

Json to_json(const SetHead& head) {
  return {{"module", head.module},
          {"class", head.module_class},
          {"strategy", head.strategy},
          {"fallback", head.fallback ? Json(*head.fallback) : Json()},
          {"purpose", head.purpose.empty() ? Json() : Json(head.purpose)},
          {"changed_while_read", head.changed_while_read},
          {"incomplete", head.incomplete},
          {"started", format_rfc3339(head.started)}};
}

}  // namespace bba::commands
