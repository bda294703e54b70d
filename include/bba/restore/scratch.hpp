// The scratch container of a drill: a clone of the one that was backed up, without network, ports
// or binds. It carries out an artifact's Restore, and is removed with its volumes whatever happens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bba/run/cleanup.hpp"
#include "bba/run/restore_record.hpp"
#include "bba/run/session.hpp"
#include "bba/service/service.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"

namespace bba::restore {

struct ScratchContext {
  run::Session& session;
  run::Cleanup& cleanup;
  const store::OwnedDirectory& directory;
  const store::Manifest& manifest;
  const wire::Container& live;  // what the scratch container is a clone of
  std::string image;            // the one that was backed up, as this engine knows it
  std::uint64_t memory = 0;     // bytes that it may use
  std::vector<std::string>& needs_hand;
  // Where a restore lets it keep its data, instead of in volumes that go with it.
  std::vector<run::BuiltPlace> places = {};
};

// Restores one artifact into a scratch container of its own and compares. Throws Error{artifact} at
// the first thing that does not come back as the record says.
service::PartReport drill_artifact(const ScratchContext& context, const service::ArtifactKind& kind,
                                   const store::ArtifactRecord& record);

// The same into the context's place for `place`'s mount, which stays, as the directory of a server
// that has ended cleanly.
service::PartReport build_artifact(const ScratchContext& context, const service::ArtifactKind& kind,
                                   const service::ExchangePlace& place);

// Throws Error{storage} where the disk of the engine's volumes, if it is one of this host's, has no
// room for `bytes` more: the live containers' data lies there as well.
void require_room(run::Session& session, std::uint64_t bytes);

// --- for drill_artifact()

// The body of POST /containers/create.
Json scratch_body(const ScratchContext& context, const service::FreshTarget& fresh);

// Makes a scratch container, runs `action` with its id, and removes it: it is in the journal by
// its name before it is made, so that the guard or `recover` removes it where this process
// cannot.
void with_scratch(const ScratchContext& context, const service::FreshTarget& fresh,
                  const std::function<void(const std::string& scratch)>& action);

}  // namespace bba::restore
