#include "restore.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "client.hpp"

namespace bba::services::minio {

namespace {

using service::quoted;

// tar and JSON escape names differently, so in both lists each run of other than the plainest
// characters becomes one '?' before they are compared. Sizes and the rest of the keys stay.
constexpr const char* fold = R"sed(s#(\\u[0-9a-fA-F]{4}|\\[0-7]{3}|\\.|[^A-Za-z0-9._/\-])+#?#g)sed";
// SIZE/BUCKET/KEY of each object, from `tar -tv` and from `mc ls --json`.
constexpr const char* from_tar =
    R"sed(/^-/!d; s#^-[^ ]* +[^ ]+ +([0-9]+) [^ ]+ [^ ]+ objects/#\1/#; )sed";
constexpr const char* from_listing = R"sed(/"key":"/!d; h; s#.*"size":([0-9]+).*#\1/#; x; )sed"
                                     R"sed(s#.*"key":"(([^"\\]|\\.)*)".*#\1#; x; G; s#\n##; )sed";

std::string fold_lines(const std::string& which, const char* parse) {
  return "LC_ALL=C sed -E " + quoted(std::string(parse) + fold + "; s#^#" + which + " #");
}

class RestoreObjects : public service::RestoreStep {
 public:
  RestoreObjects(std::string alias, std::vector<wire::EnvVar> env)
      : alias_(std::move(alias)), env_(std::move(env)) {}

  void print(service::ShellScript& script, const store::ArtifactRecord& record,
             std::size_t) const override {
    // To mc a word that is not an alias is a directory of the container, and all would go there.
    script.conditions.push_back(
        mc({"alias", "list", "--json", alias_}) +
        " >/dev/null || { echo \"the mc in $TARGET does not know the alias " + alias_ +
        ": set MC_HOST_" + alias_ +
        "=http://KEY:SECRET@127.0.0.1:9000 in your environment\" >&2; " + "exit 1; }");
    script.conditions.push_back(
        service::docker_exec({.argv = {"sh", "-c", "[ ! -e /tmp/objects ]"}}, false) +
        " || { echo \"$TARGET has a /tmp/objects: remove it first\" >&2; exit 1; }");

    const std::string clean_up =
        service::docker_exec({.argv = {"rm", "-rf", "/tmp/objects"}, .user = "0"}, false);
    script.undo.push_back("echo \"$TARGET keeps the objects that it has got until now\" >&2\n" +
                          clean_up);
    script.finish.push_back(clean_up);

    script.lines.push_back(service::unpack(record.file) + " | docker cp - \"$TARGET\":/tmp");
    const std::string upload =
        "set -e; ls /tmp/objects >/dev/null; for b in /tmp/objects/*/; do [ -d \"$b\" ] || "
        "continue; b=${b%/}; b=${b##*/}; mc --quiet mb --ignore-existing \"" +
        alias_ +
        "/$b\"; [ -z \"$(ls -A \"/tmp/objects/$b\")\" ] || mc --quiet cp --recursive "
        "\"/tmp/objects/$b/\" \"" +
        alias_ + "/$b/\"; done";
    script.lines.push_back(
        service::docker_exec({.argv = {"sh", "-c", upload}, .env = env_}, false));
    print_comparison(script, record);
  }

  void carry_out(service::RestoreTarget& target) const override {
    target.put_tree(restored_objects);
  }

 private:
  std::string mc(const std::vector<std::string>& arguments) const {
    return service::docker_exec(with_arguments({.argv = {"mc", "--quiet"}, .env = env_}, arguments),
                                false);
  }

  // Each object of the artifact has to be listed with its size. The target may have others.
  void print_comparison(service::ShellScript& script, const store::ArtifactRecord& record) const {
    const std::string count =
        "$1 == \"artifact\" { n++; left[$2]++ } $1 == \"target\" { left[$2]-- } END { if (n != " +
        std::to_string(size_member(record.found, "objects").value_or(0)) +
        ") print \"the artifact could not be read\"; for (one in left) if (left[one] > 0 && "
        "shown++ < 10) print one }";
    script.lines.push_back("missing=$({ " + service::unpack(record.file) +
                           " | LC_ALL=C tar -tv --numeric-owner --quoting-style=escape "
                           "--warning=no-unknown-keyword -f - | " +
                           fold_lines("artifact", from_tar) + "; " +
                           mc({"ls", "--recursive", "--json", alias_}) + " | " +
                           fold_lines("target", from_listing) + "; } | awk " + quoted(count) + ")");
    script.lines.emplace_back(
        "[ -z \"$missing\" ] || { printf '%s\\n' \"$TARGET does not list what it should have got "
        "(SIZE/BUCKET/KEY):\" \"$missing\" >&2; exit 1; }");
  }

  std::string alias_;
  std::vector<wire::EnvVar> env_;  // the names
};

}  // namespace

service::Restore restore_objects(const store::Manifest& manifest,
                                 const store::ArtifactRecord& record) {
  // Older manifests name it only there.
  constexpr std::string_view before = "objects of ";
  const std::string alias =
      string_member(manifest.facts, "alias")
          .value_or(record.source.starts_with(before) ? record.source.substr(before.size()) : "");
  if (!valid_alias(alias)) {
    throw Error(ErrorKind::artifact,
                fmt::format("the manifest says that it is of {}, which is not an alias of mc",
                            printable(record.source)));
  }
  const std::string variable = "MC_HOST_" + alias;
  service::Restore restore;
  const Json* names = member(manifest.facts, "mc_environment");
  std::vector<wire::EnvVar> env =
      names != nullptr && names->is_array()
          ? service::recorded_environment(manifest.facts, "mc_environment")
          : std::vector<wire::EnvVar>{{variable, ""}};
  // Where the container's own mc knew the alias, it may know it again.
  const bool lent = names != nullptr && std::any_of(env.begin(), env.end(), [&](const auto& one) {
                      return one.name == variable;
                    });
  if (lent) {
    restore.steps.push_back(
        service::require_variable(variable, "http://KEY:SECRET@127.0.0.1:9000 of the target"));
  }
  restore.steps.push_back(std::make_shared<RestoreObjects>(alias, std::move(env)));
  return restore;
}

}  // namespace bba::services::minio
