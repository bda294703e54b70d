#include "minio.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/asking.hpp"
#include "bba/services/files.hpp"
#include "client.hpp"
#include "compare_objects.hpp"
#include "put_objects.hpp"
#include "restore.hpp"
#include "stream_objects.hpp"

namespace bba::services::minio {

namespace {

using service::Capture;
using service::PlanInputs;

// --- what an archive of objects holds

// Files below objects/<bucket>/, as stream_objects writes them.
class ObjectsContent : public files::TarCheck {
 public:
  Json found() const override {
    Json found = TarCheck::found();
    found["objects"] = counts().files;
    found["object_bytes"] = counts().content_bytes;
    found["buckets"] = buckets_;
    return found;
  }

 private:
  bool entry(const pipe::TarEntry& entry) override {
    // Those below a bucket are keys that end in a slash.
    if (entry.type == pipe::TarType::directory &&
        std::count(entry.path.begin(), entry.path.end(), '/') == 1) {
      ++buckets_;
    }
    return TarCheck::entry(entry);
  }

  std::uint64_t buckets_ = 0;
};

class ObjectsKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "objects"; }
  std::string_view suffix() const override { return "tar"; }
  std::vector<std::string> required_found() const override {
    std::vector<std::string> keys = files::counted_keys();
    keys.insert(keys.end(), {"objects", "object_bytes", "buckets"});
    return keys;
  }
  std::vector<std::string> foreign_found() const override { return {"rdb_file"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<ObjectsContent>();
  }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord&) const override {
    service::FreshTarget fresh;
    fresh.data_volumes = true;
    fresh.volumes = {{service::scratch_place}};
    fresh.lend_configuration = true;
    return fresh;
  }
  service::Restore restore(const store::Manifest& manifest,
                           const store::ArtifactRecord& record) const override {
    return restore_objects(manifest, record);
  }
  bool goes_in_place() const override { return true; }
  std::unique_ptr<service::InPlace> in_place(
      service::RestoreTarget& live, const Capture& present,
      const service::InPlaceOptions& options) const override {
    return put_objects(live, present, options);
  }
  bool implies_directories() const override { return true; }
  void compare(service::RestoreTarget& target) const override { compare_objects(target); }
};

// --- which buckets there are

// The buckets that a MinIO server keeps in `directory`. nullopt where this host cannot read it, or
// where it is not a MinIO server's.
std::optional<std::set<std::string>> buckets_in(const std::filesystem::path& directory) {
  std::error_code failed;
  if (!std::filesystem::is_directory(directory / ".minio.sys", failed)) return std::nullopt;
  std::set<std::string> buckets;
  std::filesystem::directory_iterator next(directory, failed);
  while (!failed && next != std::filesystem::directory_iterator()) {
    const std::string name = next->path().filename().string();
    std::error_code gone;
    if (valid_bucket(name) && next->is_directory(gone)) buckets.insert(name);
    next.increment(failed);
  }
  if (failed) return std::nullopt;
  return buckets;
}

// Of all data mounts: each of a server's drives has all of its buckets.
std::optional<std::set<std::string>> buckets_in_mounts(const PlanInputs& inputs) {
  std::optional<std::set<std::string>> all;
  for (const service::MountChoice& choice : inputs.mounts) {
    if (!choice.taken || choice.mount.source.empty()) continue;
    if (const auto buckets = buckets_in(choice.mount.source)) {
      if (!all) all.emplace();
      all->insert(buckets->begin(), buckets->end());
    }
  }
  return all;
}

// Those that were there before and after a listing: what is made or deleted meanwhile is not
// missed.
std::optional<std::set<std::string>> in_both(const std::optional<std::set<std::string>>& before,
                                             const std::optional<std::set<std::string>>& after) {
  if (!before || !after) return std::nullopt;
  std::set<std::string> both;
  std::set_intersection(before->begin(), before->end(), after->begin(), after->end(),
                        std::inserter(both, both.end()));
  return both;
}

// --- the service

class Minio : public service::Service {
 public:
  char letter() const override { return 'D'; }
  std::string_view title() const override { return "MinIO: objects through mc"; }
  conf::ClassRule default_rule() const override {
    return {letter(), {"minio"}, {"minio", "*/minio"}};
  }

  Capture plan(const PlanInputs& inputs) const override {
    const service::Target& target = inputs.target;
    const auto alias = inputs.operator_variable("MINIO_MC_ALIAS");
    if (!alias) {
      return files::files_instead(
          inputs, "no objects through mc, as MINIO_MC_ALIAS is not set in your environment" +
                      service::dropped_by_sudo(inputs, "MINIO_MC_ALIAS"));
    }
    if (!valid_alias(*alias)) {
      throw Error(ErrorKind::config, fmt::format("MINIO_MC_ALIAS '{}' is not an alias", *alias),
                  "an alias is a letter, then letters, digits, '-' and '_'");
    }
    if (!inputs.answers()) {
      return files::files_instead(
          inputs, "no objects through mc, as the container is " + target.container.state);
    }
    const auto user = service::container_secret(inputs, user_variables());
    const auto password = service::container_secret(inputs, password_variables());
    const wire::ExecConfig mc = client(target, *alias, inputs.environment, user, password);
    const auto ask = [&](const std::vector<std::string>& arguments) {
      return docker::run_or_end(inputs.engine, target.container.id, with_arguments(mc, arguments));
    };
    const docker::ExecResult known = ask({"alias", "list", "--json", *alias});
    if (docker::not_started(known)) {
      return files::files_instead(inputs, "no objects through mc, as mc could not be started: " +
                                              docker::failure_output(known, mc.env));
    }
    if (const auto why = alias_unknown_because(known.out, *alias)) {
      const std::string variable = "MC_HOST_" + *alias;
      throw Error(ErrorKind::capture,
                  fmt::format("mc does not know the alias {} of MINIO_MC_ALIAS: {}", *alias,
                              docker::without_secrets(*why, mc.env).substr(0, 300)),
                  fmt::format("set {}=http://KEY:SECRET@127.0.0.1:9000 in your environment{}; "
                              "without MINIO_MC_ALIAS the files are archived instead",
                              variable, service::dropped_by_sudo(inputs, variable)));
    }
    const auto before = buckets_in_mounts(inputs);
    const std::set<std::string> shown = shown_buckets(ask({"ls", "--json", *alias}), mc, *alias);
    ServerBuckets server;
    server.directories = in_both(before, buckets_in_mounts(inputs));
    if (!server.directories) {
      server.count = bucket_count(ask({"admin", "info", "--json", *alias}).out);
    }
    Capture capture = objects_capture(target, mc, *alias);
    capture.parts.front().kind = &objects_kind();
    note_hidden_buckets(capture, *alias, shown, server);
    return capture;
  }

  service::PartFindings stream_part(const service::PartContext& context,
                                    const service::ServicePart& part, pipe::Stage& out,
                                    const ProgressFn& moved) const override {
    return stream_objects(context, part, out, moved);
  }

  std::vector<std::string> requests_of(const Capture& capture,
                                       const service::ServicePart& part) const override {
    const std::string& alias = part.subject;
    const auto request = [&](const std::vector<std::string>& arguments) {
      return service::exec_request(capture, part.program, arguments);
    };
    return {
        request({"ls", "--json", alias}),
        request({"ls", "--recursive", "--summarize", "--json", alias}),
        request({"cat", alias + "/KEY..."}) +
            " (many small objects at once; a large one, or one whose etag is not an MD5, alone)",
        request({"ls", "--json", alias + "/KEY"}) +
            " (after reading one whose etag is not an MD5, or that did not come as it is listed)"};
  }

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    service::Readiness readiness = service::stopped_server(inputs, service::Ready::partly);
    const auto alias = inputs.environment.find("MINIO_MC_ALIAS");
    if (alias == inputs.environment.end() || alias->second.empty()) {
      service::note_fallback(readiness, "MINIO_MC_ALIAS");
    }
    return readiness;
  }

 private:
  // From the answer to `mc ls --json ALIAS`.
  static std::set<std::string> shown_buckets(const docker::ExecResult& answer,
                                             const wire::ExecConfig& mc, const std::string& alias) {
    std::set<std::string> shown;
    try {
      ObjectListing listing(ObjectListing::End::anywhere, [&](const ObjectEntry& entry) {
        shown.insert(entry.key.substr(0, entry.key.find('/')));
      });
      listing.add(docker::without_secrets(answer.out, mc.env));
      listing.end();
      if (answer.exit_code != 0) {
        throw Error(ErrorKind::capture, docker::failure_output(answer, mc.env));
      }
    } catch (Error& error) {
      error.in(fmt::format("mc ls {} failed", alias));
      error.with_hint("check MINIO_MC_ALIAS and MC_HOST_" + alias +
                      "; without MINIO_MC_ALIAS the files are archived instead");
      throw;
    }
    return shown;
  }
};

}  // namespace

const service::Service& minio() {
  static const Minio service;
  return service;
}

const service::ArtifactKind& objects_kind() {
  static const ObjectsKind kind;
  return kind;
}

}  // namespace bba::services::minio
