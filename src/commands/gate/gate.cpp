#include "bba/commands/gate/gate.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/commands/verify/verify.hpp"
#include "bba/conf/platform.hpp"
#include "bba/run/target.hpp"

namespace bba::commands {

namespace {

constexpr const char* program = "backup-before-apply ";

// ---- which of the two is asked

// Artifacts are their owner's alone, so a directory of somebody else is closed even where it can be
// listed.
bool may_read_backups(const std::string& path) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno != EACCES && errno != EPERM;
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) return false;
  return ::geteuid() == 0 || status.st_uid == ::geteuid();
}

// What the one or the other yields: something to judge, or why there is nothing.
struct Evidence {
  std::optional<store::Proof> proof;
  std::vector<Refusal> refusals;
  std::optional<std::string> failed_drill;  // why its last drill failed
};

Refusal no_set(const std::string& module, const std::string& why) {
  return {"set", why, program + ("backup " + module)};
}

Refusal bad_reference(const GateRequest& request, const std::string& why) {
  return {"reference", fmt::format("{} {}", *request.reference, why),
          fmt::format("{}list {}", program, request.module)};
}

// ---- judged by the backup directory

bool same_directory(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// What is wrong with the reference by its name alone, before any set is looked at.
std::optional<Refusal> name_refusal(const run::Session& session, const GateRequest& request) {
  const auto file = file_reference(session, *request.reference);
  const auto parsed = file ? store::parse_name(file->file) : std::nullopt;
  if (!parsed) return bad_reference(request, "is not called like an artifact or a manifest");
  if (parsed->module != request.module) {
    return bad_reference(request,
                         fmt::format("is of module {}, not of {}", parsed->module, request.module));
  }
  return std::nullopt;
}

// The set that the reference belongs to.
std::optional<std::size_t> referred_set(const run::Session& session, const GateRequest& request,
                                        const std::vector<store::BackupSet>& sets,
                                        Evidence& evidence) {
  const auto file = *file_reference(session, *request.reference);
  const bool bare = request.reference->find('/') == std::string::npos;
  if (!bare && !same_directory(file.directory, session.settings.backup_dir)) {
    evidence.refusals.push_back(
        bad_reference(request, "is not in the backup directory " + session.settings.backup_dir));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (belongs_to(sets[i], file.file)) return i;
  }
  evidence.refusals.push_back(
      bad_reference(request, "belongs to no complete set: no manifest names it"));
  return std::nullopt;
}

// A manifest that cannot be read may be that of a newer backup, which an older one must not hide.
std::optional<Refusal> newer_unreadable(const store::Catalogue& catalogue,
                                        const std::string& module) {
  for (const store::Orphan& orphan : catalogue.orphans) {
    const auto parsed = store::parse_name(orphan.file);
    if (!parsed || parsed->rest != "manifest.json") continue;
    if (!catalogue.sets.empty() && parsed->time < catalogue.sets.front().manifest.started) continue;
    return Refusal{"set", fmt::format("the newest manifest, {}: {}", orphan.file, orphan.why),
                   program + ("backup " + module)};
  }
  return std::nullopt;
}

std::string nothing_there(const run::Session& session, const std::string& module) {
  std::string text =
      fmt::format("there is no backup of module {} in {}", module, session.settings.backup_dir);
  try {
    const auto known = conf::load_module(session.settings.platform_root, module);
    if (known && known->statefulness == conf::Statefulness::sidecar_bound) {
      text += fmt::format("; its data is backed up with {}: ask the gate for that",
                          join(known->backup_ref_modules, ", "));
    }
  } catch (const Error&) {
    // Only a better sentence was wanted of the platform's files.
  }
  return text;
}

Evidence ask_directory(run::Session& session, const GateRequest& request) {
  Evidence evidence;
  struct stat status {};
  if (::stat(session.settings.backup_dir.c_str(), &status) != 0 && errno == ENOENT) {
    evidence.refusals.push_back(no_set(request.module, nothing_there(session, request.module)));
    return evidence;
  }
  const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, request.module);
  std::size_t index = 0;
  if (request.reference) {
    const auto referred = referred_set(session, request, catalogue.sets, evidence);
    if (!referred) return evidence;
    index = *referred;
  } else {
    if (auto refusal = newer_unreadable(catalogue, request.module)) {
      evidence.refusals.push_back(std::move(*refusal));
      return evidence;
    }
    if (catalogue.sets.empty()) {
      evidence.refusals.push_back(no_set(request.module, nothing_there(session, request.module)));
      return evidence;
    }
  }
  const store::BackupSet& set = catalogue.sets[index];
  evidence.proof = store::proof_of(directory, catalogue.sets, index, request.at);
  evidence.failed_drill = store::failed_drill(set);
  const SetVerdict verdict = verify_set(session, directory, set);
  if (!verdict.good()) {
    evidence.refusals.push_back({"whole",
                                 "the backup does not pass verify: " + verdict.first_broken(),
                                 program + ("backup " + request.module)});
  }
  return evidence;
}

// ---- judged by the public proof

bool proof_names(const store::Proof& proof, const std::string& reference) {
  const bool bare = reference.find('/') == std::string::npos;
  std::error_code nowhere;
  const std::filesystem::path asked =
      std::filesystem::absolute(reference, nowhere).lexically_normal();
  const auto is_it = [&](const std::string& path) {
    const std::filesystem::path named(path);
    if (bare) return named.filename() == reference;
    return asked == named || (asked.filename() == named.filename() &&
                              same_directory(asked.parent_path(), named.parent_path()));
  };
  return is_it(proof.manifest) ||
         std::any_of(proof.artifacts.begin(), proof.artifacts.end(), is_it);
}

Evidence ask_proof(const run::Session& session, const GateRequest& request) {
  Evidence evidence;
  try {
    evidence.proof = store::read_proof(session.settings.proof_dir, request.module);
  } catch (const Error& error) {
    evidence.refusals.push_back(
        {"set", fmt::format("the public proof says nothing: {}", error.what()),
         error.hint().empty() ? program + ("verify " + request.module) : error.hint()});
    return evidence;
  }
  if (!evidence.proof) {
    evidence.refusals.push_back(
        {"set",
         fmt::format("{} may not be read, and there is no public proof {}/{}.json",
                     session.settings.backup_dir, session.settings.proof_dir, request.module),
         program + ("backup " + request.module)});
    return evidence;
  }
  if (request.reference && !proof_names(*evidence.proof, *request.reference)) {
    evidence.refusals.push_back(bad_reference(
        request,
        "is not in the public proof, which is of the newest set: " + evidence.proof->manifest));
  }
  return evidence;
}

// ---- the conditions

std::optional<Refusal> clock_refusal(const store::Proof& proof, const GateRequest& request) {
  const Timestamp latest = std::max({proof.started, proof.finished, proof.proven});
  if (latest <= request.at) return std::nullopt;
  const bool of_the_future = proof.started > request.at;
  return Refusal{
      "clock",
      fmt::format("the backup is of {}, and the clock says {}: one of the two is wrong, so its age "
                  "is not known",
                  format_rfc3339(latest), format_rfc3339(request.at)),
      of_the_future
          ? fmt::format("set the clock right; where it is, move {} and its artifacts away, as it "
                        "stays the newest, or judge another set with --ref",
                        proof.manifest)
          : "set the clock right, then take a new backup: " +
                (program + ("backup " + request.module))};
}

std::optional<Refusal> age_refusal(const store::Proof& proof, const GateRequest& request) {
  const std::chrono::seconds age = request.at - proof.started;
  if (age <= request.max_age) return std::nullopt;
  return Refusal{"age",
                 fmt::format("the backup is {} old, and no more than {} is allowed",
                             format_duration(age), format_duration(request.max_age)),
                 program + ("backup " + request.module)};
}

// What to do about a set that is not all that it should be.
std::string again_or(const store::Proof& proof, const std::string& how, const std::string& option) {
  return fmt::format("{}backup {}{}; or allow it with {}", program, proof.module, how, option);
}

std::optional<Refusal> fallback_refusal(const store::Proof& proof, const GateRequest& request) {
  if (!proof.fallback || request.accept_fallback) return std::nullopt;
  return Refusal{"fallback",
                 fmt::format("the backup is a fallback ({}): {}", proof.strategy, *proof.fallback),
                 again_or(proof, ", once that is put right", "--accept-fallback")};
}

std::optional<Refusal> changed_refusal(const store::Proof& proof, const GateRequest& request) {
  if (proof.changed_while_read == 0 || request.accept_fallback) return std::nullopt;
  return Refusal{"changed",
                 fmt::format("entries that changed while they were read, and may be torn: {}",
                             proof.changed_while_read),
                 again_or(proof, " --consistency pause", "--accept-fallback")};
}

std::optional<Refusal> incomplete_refusal(const store::Proof& proof, const GateRequest& request) {
  if (proof.incomplete.empty() || request.accept_incomplete) return std::nullopt;
  return Refusal{"incomplete", "the backup is known not to hold: " + join(proof.incomplete, "; "),
                 again_or(proof, ", once it can hold that", "--accept-incomplete")};
}

std::optional<Refusal> level_refusal(const store::Proof& proof, const GateRequest& request,
                                     const std::optional<std::string>& failed_drill) {
  if (failed_drill) {
    return Refusal{"proof", "the last drill of this backup failed: " + *failed_drill,
                   program + ("backup " + request.module)};
  }
  if (proof.level >= request.require) return std::nullopt;
  return Refusal{"proof", "the backup was not restored in a drill, and that is asked for",
                 program + ("drill " + request.module)};
}

std::optional<Refusal> size_refusal(const store::Proof& proof, const GateRequest& request) {
  std::vector<std::uint64_t> before = proof.content_bytes_before;
  if (before.empty()) return std::nullopt;
  std::sort(before.begin(), before.end());
  const std::size_t middle = before.size() / 2;
  const double median =
      before.size() % 2 == 1
          ? static_cast<double>(before[middle])
          : (static_cast<double>(before[middle - 1]) + static_cast<double>(before[middle])) / 2;
  if (static_cast<double>(proof.content_bytes) >= (1 - request.max_shrink) * median) {
    return std::nullopt;
  }
  return Refusal{
      "size",
      fmt::format("the backup holds {}, and the median of the {} before it is {}: data may be gone",
                  format_bytes(proof.content_bytes), before.size(),
                  format_bytes(static_cast<std::uint64_t>(median))),
      "look at the service; where it is right that it shrank, allow it with --max-shrink 100%"};
}

// The container that was backed up; where it was replaced since, the one that has its place.
wire::Container live_container(run::Session& session, const store::Proof& proof) {
  const auto recorded = session.engine.find(proof.container_id);
  if (recorded && recorded->running) return *recorded;
  const run::LookupClues clues =
      run::clues_of(session.settings.config, session.settings.platform_root, proof.module);
  try {
    return session.engine.inspect(run::find_container(clues, session.engine.list()).container.id);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::container && recorded) return *recorded;
    throw;
  }
}

std::optional<Refusal> image_refusal(run::Session& session, const store::Proof& proof) {
  try {
    const wire::Container container = live_container(session, proof);
    if (container.image == proof.image_id) return std::nullopt;
    return Refusal{
        "image",
        fmt::format("container {} runs image {} ({}), and the backup is of {} ({})", container.name,
                    container.config_image, container.image, proof.image, proof.image_id),
        program + ("backup " + proof.module)};
  } catch (const Error& error) {
    // The run's own time limit is not an answer about the image; an engine that is silent is.
    session.stop.throw_if_requested();
    switch (error.kind()) {
      case ErrorKind::engine:
      case ErrorKind::timeout:
        return Refusal{
            "image",
            fmt::format("the Docker Engine cannot be asked which image runs now: {}", error.what()),
            "run it where the engine can be reached, or leave this condition out with "
            "--skip-image-check"};
      default:
        return Refusal{"image",
                       fmt::format("it is not known which container to compare: {}", error.what()),
                       error.hint().empty() ? "see `docker ps -a`" : error.hint()};
    }
  }
}

GateVerdict judge(run::Session& session, const GateRequest& request) {
  if (!valid_module_id(request.module)) {
    throw Error(ErrorKind::config, fmt::format("'{}' is not a module id", request.module));
  }
  GateVerdict verdict;
  verdict.module = request.module;
  verdict.by_proof = !may_read_backups(session.settings.backup_dir);
  if (request.reference) {
    if (auto refusal = name_refusal(session, request)) {
      verdict.refusals.push_back(std::move(*refusal));
      return verdict;
    }
  }
  Evidence evidence =
      verdict.by_proof ? ask_proof(session, request) : ask_directory(session, request);
  verdict.proof = std::move(evidence.proof);
  verdict.refusals = std::move(evidence.refusals);
  if (!verdict.proof) return verdict;

  const store::Proof& proof = *verdict.proof;
  const auto require = [&](std::optional<Refusal> refusal) {
    if (refusal) verdict.refusals.push_back(std::move(*refusal));
  };
  verdict.age = request.at - proof.started;
  require(fallback_refusal(proof, request));
  require(changed_refusal(proof, request));
  require(incomplete_refusal(proof, request));
  require(clock_refusal(proof, request));
  require(age_refusal(proof, request));
  require(level_refusal(proof, request, evidence.failed_drill));
  require(size_refusal(proof, request));
  if (!request.skip_image_check) require(image_refusal(session, proof));
  return verdict;
}

// Who may not read the backups may not list them either, nor make one.
void speak_to_the_unprivileged(GateVerdict& verdict) {
  for (Refusal& refusal : verdict.refusals) {
    if (refusal.condition == "reference") {
      refusal.run = verdict.proof ? fmt::format("give the newest, {}, or leave --ref out",
                                                verdict.reference())
                                  : "give an artifact of the newest set, or leave --ref out";
    } else if (refusal.run.starts_with(program)) {
      refusal.run = "sudo " + refusal.run;
    }
  }
}

}  // namespace

std::string GateVerdict::reference() const {
  if (!proof) return {};
  return proof->artifacts.empty() ? proof->manifest : proof->artifacts.front();
}

GateVerdict gate(run::Session& session, const GateRequest& request) {
  GateVerdict verdict = judge(session, request);
  if (verdict.by_proof) speak_to_the_unprivileged(verdict);
  return verdict;
}

std::string gate_text(const GateVerdict& verdict) {
  if (!verdict.proof) return {};
  const store::Proof& proof = *verdict.proof;
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    text += fmt::format("{:<10} {}\n", label, printable(value));
  };
  line("reference", verdict.reference());
  line("manifest", "sha256:" + proof.manifest_sha256);
  line("strategy", proof.strategy);
  // What was accepted is said, for whoever reads the log of the deploy.
  if (proof.fallback) line("fallback", *proof.fallback);
  if (proof.changed_while_read > 0) {
    line("changed", fmt::format("{} while read", proof.changed_while_read));
  }
  for (const std::string& lacked : proof.incomplete) line("incomplete", lacked);
  line("proof", fmt::format("{}, by the {}", name(proof.level),
                            verdict.by_proof ? "public proof" : "backup directory"));
  line("age", format_duration(*verdict.age));
  return text;
}

Json gate_json(const GateVerdict& verdict) {
  Json refusals = Json::array();
  for (const Refusal& refusal : verdict.refusals) {
    refusals.push_back(
        {{"condition", refusal.condition}, {"why", refusal.why}, {"run", refusal.run}});
  }
  Json json = {{"passed", verdict.passed()}, {"module", verdict.module}};
  const std::optional<store::Proof>& proof = verdict.proof;
  json["class"] = proof ? Json(proof->module_class) : Json();
  json["strategy"] = proof ? Json(proof->strategy) : Json();
  json["fallback"] = proof && proof->fallback ? Json(*proof->fallback) : Json();
  json["changed_while_read"] = proof ? Json(proof->changed_while_read) : Json();
  json["incomplete"] = proof ? Json(proof->incomplete) : Json();
  json["reference"] = proof ? Json(verdict.reference()) : Json();
  json["manifest"] = proof ? Json(proof->manifest) : Json();
  json["manifest_sha256"] = proof ? Json(proof->manifest_sha256) : Json();
  json["proof"] = proof ? Json(name(proof->level)) : Json();
  json["age_seconds"] = verdict.age ? Json(verdict.age->count()) : Json();
  json["source"] = verdict.by_proof ? "proof" : "directory";
  json["refusals"] = std::move(refusals);
  return json;
}

Error gate_error(const GateVerdict& verdict) {
  const Refusal& first = verdict.refusals.front();
  return Error(ErrorKind::gate, first.why, first.run).in("the gate refuses " + verdict.module);
}

}  // namespace bba::commands
