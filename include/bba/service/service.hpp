// What the program asks of a service and of an artifact kind. services/ has one folder for each of
// them, and registry.cpp there is the only list: no other room knows one by its name, its letter or
// its kinds.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/reporter.hpp"
#include "bba/base/stop.hpp"
#include "bba/docker/engine.hpp"
#include "bba/service/capture.hpp"
#include "bba/service/in_place.hpp"
#include "bba/service/mounts.hpp"
#include "bba/service/restore.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"
#include "bba/tree/tar_against_walk.hpp"

namespace bba::service {

// ---- what an artifact holds

// A format check through which the bytes of an artifact pass, uncompressed, when it is taken and
// when it is read again.
class ContentCheck {
 public:
  virtual ~ContentCheck() = default;
  virtual pipe::Stage& stage() = 0;
  // After finish(): must be the same as ArtifactRecord::found, key by key. Throws Error{artifact}
  // where something that must be in it was not seen.
  virtual Json found() const = 0;
  // For people: "5 databases, 81234 rows".
  virtual std::string summary() const = 0;
  // How `said`, of the manifest, differs from `counted`, both of the same key of found().
  virtual std::string difference(const std::string& key, const Json& said,
                                 const Json& counted) const;
};

// What a restore exchanges: a mount of the live container.
struct ExchangePlace {
  const wire::Container& live;
  const store::ArtifactRecord& record;
  std::string destination;  // of the mount, in the container
  std::string host_path;    // its source on this host
  // Whether the present server goes with its container: `live` is then the one that was recorded.
  bool is_replaced = false;
};

class ArtifactKind {
 public:
  virtual ~ArtifactKind() = default;

  // --- names ---
  virtual std::string_view name() const = 0;    // ArtifactRecord::kind
  virtual std::string_view suffix() const = 0;  // of the file, less the compression's own
  // False: its bytes are compressed already, and stored as they are.
  virtual bool compressible() const { return true; }
  // The kind to record for this `found`: an archive may lack what its kind is named after.
  virtual std::string_view recorded_name(const Json& found) const;

  // --- proof ---
  // What ArtifactRecord::found must hold for verify to count it again, and what it cannot hold.
  virtual std::vector<std::string> required_found() const = 0;
  virtual std::vector<std::string> foreign_found() const { return {}; }
  virtual std::unique_ptr<ContentCheck> content_check(const Json& found) const = 0;
  // Looks into the files of an archive as it passes; null where nothing in it is checked.
  virtual std::unique_ptr<tree::FileCheck> file_check(const PathArchive& archive) const;

  // --- restore ---
  // Whether a drill restores it into a container. Otherwise compare() is all of the drill.
  virtual bool needs_target() const { return true; }
  virtual FreshTarget fresh_target(const wire::Container& live, const store::Manifest& manifest,
                                   const store::ArtifactRecord& record) const = 0;
  virtual Restore restore(const store::Manifest& manifest,
                          const store::ArtifactRecord& record) const = 0;
  // The mount of the live container, by its destination, that a restore exchanges as a whole for a
  // directory that was built beside it; nullopt where the artifact goes back in place, by the
  // service's own means. Throws Error{container} where no mount holds the data, or the artifact
  // holds but a part of one.
  virtual std::optional<std::string> exchanged_mount(const wire::Container& live,
                                                     const store::ArtifactRecord& record) const;
  // Whether what the service has at this path of the container today is kept in what was built, as
  // no artifact of this kind holds it.
  virtual bool carries_over(const ExchangePlace& place, const std::string& path) const;
  // Throws Error{container} where something of the service would not survive the exchange.
  virtual void require_exchangeable(const ExchangePlace&, RestoreTarget*) const {}
  // Before compare(), with the server of the built directory up. Throws Error{capture} where the
  // service could not run on what was built.
  virtual void require_fit(const ExchangePlace&, RestoreTarget&) const {}
  // Once the service runs on what was restored: whether it answers by now, nullopt where it has no
  // way to. Throws Error{capture} where it lacks what the record says.
  virtual std::optional<bool> serves(RestoreTarget&) const { return std::nullopt; }
  // Whether it goes back into the service while that runs, by the service's own means, with
  // in_place().
  virtual bool goes_in_place() const { return false; }
  // Asks the server of `live`. `present` is a capture of what it has now, of this kind: its client
  // is the one to use. Both outlive what is returned. Throws Error{container} or Error{config}
  // where the artifact cannot go back.
  virtual std::unique_ptr<InPlace> in_place(RestoreTarget& live, const Capture& present,
                                            const InPlaceOptions& options) const;
  // Whether directories may come back that the artifact does not name, only what lies in them.
  virtual bool implies_directories() const { return false; }
  // Once every step was carried out: that the target holds what the record says. Adds to
  // target.report; throws Error{artifact} at the first thing that differs.
  virtual void compare(RestoreTarget& target) const = 0;
};

// ---- planning

// What a service plans with.
struct PlanInputs {
  docker::Engine& engine;
  Reporter& reporter;
  const conf::Config& config;
  const std::map<std::string, std::string>& environment;  // the operator's
  const Target& target;
  const std::vector<wire::ContainerSummary>& all;  // of the engine
  std::vector<MountChoice> mounts;
  Consistency wanted;

  // Whether its server can be asked.
  bool answers() const { return target.container.running && !target.container.paused; }
  // A variable of the operator's environment that is set and not empty.
  std::optional<std::string> operator_variable(const std::string& name) const;
};

// ---- carrying out a capture

// What a service may use while its capture is carried out.
struct PartContext {
  docker::Engine& engine;
  Reporter& reporter;
  const Stop& stop;
  const Capture& capture;
  const store::OwnedDirectory& directory;
  // Runs a program in the target's container and streams its stdout through the stage, which is
  // finished only once the exit status is known to be 0. Throws Error{capture} with the program's
  // own words.
  std::function<void(const wire::ExecConfig&, pipe::Stage&, const ProgressFn&)> stream_exec;
};

// The service will not do its own procedure; the capture's if_refused is to be done instead.
class Refused : public Error {
 public:
  explicit Refused(std::string_view reason) : Error(ErrorKind::capture, reason) {}
};

// What was found in a part: ArtifactRecord::found, what to warn of, and what is known to be
// missing.
struct PartFindings {
  Json found;
  std::vector<std::string> warnings = {};
  std::vector<std::string> incomplete = {};
};

// ---- audit

enum class Ready {
  yes,
  partly,   // a backup would work, but not by the class's own procedure, or only for now
  unknown,  // no engine answered
  no,
};

// What audit knows of a module; nothing is asked of a container for it.
struct ReadinessInputs {
  const Target& target;
  std::string state;  // of the container; empty where there is none, or no engine
  const std::map<std::string, std::string>& environment;  // the operator's
};

struct ReadinessNote {
  std::string text;
  Ready ready = Ready::yes;
};

struct Readiness {
  std::vector<ReadinessNote> notes;
  bool files_only = false;  // the mounted data is all that would be taken
};

class Service {
 public:
  virtual ~Service() = default;

  // --- what it is ---
  virtual char letter() const = 0;             // of its class
  virtual std::string_view title() const = 0;  // "PostgreSQL: pg_dumpall"
  // Globs of the module ids and the images that are of this class unless the configuration says
  // otherwise.
  virtual conf::ClassRule default_rule() const = 0;

  // --- backup ---
  // Asks the server what it is and what it allows. Only reads.
  virtual Capture plan(const PlanInputs& inputs) const = 0;
  // What is done right before the first part is read, and with the containers still running. What
  // it returns is handed to after_parts(), once the containers run again.
  virtual Json before_parts(const PartContext& context) const;
  virtual void after_parts(const PartContext& context, const Json& before,
                           std::vector<store::ArtifactRecord>& artifacts) const;
  // The bytes of a part that the service streams itself, all checked, through `out`, finished.
  virtual PartFindings stream_part(const PartContext& context, const ServicePart& part,
                                   pipe::Stage& out, const ProgressFn& moved) const;
  // Called for a dump that failed: may give it a better hint, or throw Refused.
  virtual void explain(Error& error, const Capture& capture) const;
  // The requests that before_parts(), stream_part() and after_parts() make, for the plan.
  virtual std::vector<std::string> requests_before(const Capture& capture) const;
  virtual std::vector<std::string> requests_of(const Capture& capture,
                                               const ServicePart& part) const;
  virtual std::vector<std::string> requests_after(const Capture& capture) const;

  // --- audit ---
  virtual Readiness readiness(const ReadinessInputs& inputs) const = 0;
  // Whether its class lives in a compose root of its own, which is archived with the data.
  virtual bool has_compose_root() const { return false; }
  // Whether a first run may well be one of this class: it only reads files.
  virtual bool suits_first_run() const { return false; }
};

}  // namespace bba::service
