// The pieces of a drill; drill.cpp puts them together. One file for each kind of artifact.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"
#include "bba/wire/message.hpp"

namespace bba::ops {

struct DrillContext {
  Session& session;
  Debts& debts;
  const store::BackupDirectory& directory;
  const store::Manifest& manifest;
  const wire::Container& live;  // what the scratch container is a clone of
  std::string image;            // the one that was backed up, as this engine knows it
  std::uint64_t memory = 0;
  std::vector<std::string>& needs_hand;
};

// ---- the scratch container

struct ScratchVolume {
  std::string destination;
  bool copy_image_content = false;  // as a fresh volume gets it
};

struct ScratchSpec {
  std::vector<ScratchVolume> volumes;
  std::map<std::string, std::string> set_env = {};
  std::set<std::string> unset_env = {};
};

// The body of POST /containers/create: what the live container runs, and nothing of the world
// around it: no network, no ports, no binds.
Json scratch_body(const DrillContext& context, const ScratchSpec& spec);

// Throws Error{storage} where the disk of the engine's volumes, if it is one of this host's, has no
// room for the set once more: the live containers' data lies there as well.
void require_room(Session& session, const store::Manifest& manifest);

// Makes a scratch container, runs `action` with its id, and removes it with its volumes whatever
// happens: it is owed from before it is made, by its name, so that the guard or `recover` removes
// it where this process cannot.
void with_scratch(const DrillContext& context, const ScratchSpec& spec,
                  const std::function<void(const std::string& scratch)>& action);

// Starts it and waits until `answers` says so. Throws Error{capture} with the last lines of its log
// where it ends, or where it takes too long: a first start makes a database cluster, or loads a
// large file, on a busy disk.
void start_scratch(const DrillContext& context, const std::string& scratch,
                   const std::function<bool()>& answers,
                   std::chrono::seconds patience = std::chrono::minutes(10));

// The engine for what is silent while it works, as the making of a large index is: what ends it is
// a request to stop, the time limit, or the container's end.
docker::Engine patient_engine(const DrillContext& context);

// Fresh volumes for what a live container keeps its data in.
std::vector<ScratchVolume> data_volumes(const wire::Container& live);

// Copies what the live container has from outside of its image and is no data, its configuration
// and secrets, into a scratch container that is not started yet; nothing at or below `without`.
void lend_configuration(const DrillContext& context, const std::string& scratch,
                        const std::vector<std::string>& without = {});

// The value of the first of `names` that the scratch container's environment holds, itself or as a
// file (NAME_FILE).
std::optional<std::string> scratch_secret(const DrillContext& context, const std::string& scratch,
                                          const std::vector<std::string>& names);

// ---- what is compared

struct PartReport {
  Json compared = Json::object();       // counts, for the receipt
  std::vector<std::string> lines;       // for people
  std::vector<std::string> not_proven;  // what this drill cannot say
};

PartReport drill_archive(const DrillContext& context, const store::ArtifactRecord& record);
PartReport drill_objects(const DrillContext& context, const store::ArtifactRecord& record);
PartReport drill_rdb(const DrillContext& context, const store::ArtifactRecord& record);
PartReport drill_snapshot(const store::ArtifactRecord& record);
PartReport drill_sql(const DrillContext& context, const store::ArtifactRecord& record);

// ---- archives

// Where an archive artifact is restored to.
struct RestorePlace {
  std::string path;    // where its first entry comes to be
  std::string volume;  // the destination of the fresh volume that holds it; empty: none
};
// As the manifest's own restore commands have it. Throws Error{artifact} where the manifest does
// not say a place.
RestorePlace place_of(const store::ArtifactRecord& record);

// Puts an archive artifact into a scratch container, reads it again, and compares every entry with
// the artifact's: type, size, mode, owner, time, link, device, capabilities, content. Throws
// Error{artifact} that names the first difference, or where the engine cannot extract it.
PartReport restore_archive(const DrillContext& context, const std::string& scratch,
                           const RestorePlace& place, const store::ArtifactRecord& record);

}  // namespace bba::ops
