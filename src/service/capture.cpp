#include "bba/service/capture.hpp"

#include <algorithm>
#include <array>

#include "bba/base/text.hpp"
#include "bba/service/mounted_archive.hpp"

namespace bba::classes {

namespace {

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Match(Cases...) -> Match<Cases...>;

struct ConsistencyName {
  Consistency consistency;
  std::string_view name;
};
constexpr std::array consistency_names{
    ConsistencyName{Consistency::automatic, "auto"}, ConsistencyName{Consistency::pause, "pause"},
    ConsistencyName{Consistency::stop, "stop"}, ConsistencyName{Consistency::live, "live"}};

std::string exec_line(const std::string& container, const wire::ExecConfig& exec) {
  std::string line = fmt::format("POST /containers/{}/exec", container);
  if (!exec.user.empty()) line += " as " + exec.user;
  std::vector<std::string> names;
  for (const wire::EnvVar& variable : exec.env) names.push_back(variable.name);
  if (!names.empty()) line += fmt::format(" with {}", join(names, ", "));
  return line + ": " + shell_quoted(exec.argv);
}

// `text` as a basic regular expression between slashes that matches it alone.
std::string sed_literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\/.[]*^$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string unpack(const std::string& file) {
  const std::string quoted = shell_quoted(std::array{file});
  if (file.ends_with(".gz")) return "gunzip -c -- " + quoted;
  if (file.ends_with(".zst")) return "zstd -dc -- " + quoted;
  return "cat -- " + quoted;
}

std::vector<std::string> archived_paths(const Capture& capture) {
  std::vector<std::string> paths;
  for (const Part& part : capture.parts) {
    if (const auto* archive = std::get_if<PathArchive>(&part.what)) paths.push_back(archive->path);
  }
  return paths;
}

}  // namespace

std::string_view name(Consistency consistency) {
  for (const ConsistencyName& one : consistency_names) {
    if (one.consistency == consistency) return one.name;
  }
  return "auto";
}

std::optional<Consistency> consistency_by_name(std::string_view text) {
  for (const ConsistencyName& one : consistency_names) {
    if (one.name == text) return one.consistency;
  }
  return std::nullopt;
}

std::string Part::kind() const {
  return std::visit(Match{[](const ExecDump& dump) -> std::string {
                            return dump.format == ExecDump::Format::sql ? "sql" : "raft-snapshot";
                          },
                          [](const PathArchive& archive) -> std::string {
                            return archive.rdb_file.empty() ? "tar" : "rdb-directory";
                          },
                          [](const HostDirectory&) -> std::string { return "host-directory"; },
                          [](const ObjectMirror&) -> std::string { return "objects"; }},
                    what);
}

std::string Part::source() const {
  return std::visit(Match{[](const ExecDump& dump) { return shell_quoted(dump.exec.argv); },
                          [](const PathArchive& archive) { return archive.path; },
                          [](const HostDirectory& directory) { return "host:" + directory.path; },
                          [](const ObjectMirror& mirror) { return "objects of " + mirror.alias; }},
                    what);
}

std::string Part::label() const {
  if (const auto* dump = std::get_if<ExecDump>(&what)) {
    const std::string& program = dump->exec.argv.front();
    return program.substr(program.find_last_of('/') + 1);
  }
  return source();
}

std::vector<std::string> requests(const Capture& capture) {
  const std::string& container = capture.target.container.name;
  std::vector<std::string> lines;
  const auto with_arguments = [&](wire::ExecConfig exec,
                                  std::initializer_list<std::string> arguments) {
    exec.argv.insert(exec.argv.end(), arguments);
    return exec_line(container, exec);
  };
  if (capture.save_first) {
    const wire::ExecConfig& cli = capture.save_first->cli;
    lines.push_back(with_arguments(cli, {"INFO"}));
    lines.push_back(with_arguments(cli, {"BGSAVE"}) +
                    " (BGSAVE SCHEDULE where the append-only file is being rewritten)");
    lines.push_back(with_arguments(cli, {"INFO"}) + " (until it says that the save is done)");
  }
  const bool stops = capture.consistency == Consistency::stop;
  for (const Quiesced& one : capture.quiesce) {
    lines.push_back(fmt::format("POST /containers/{}/{}", one.name, stops ? "stop" : "pause"));
  }
  for (const Part& part : capture.parts) {
    std::visit(
        Match{[&](const ExecDump& dump) { lines.push_back(exec_line(container, dump.exec)); },
              [&](const PathArchive& archive) {
                lines.push_back(fmt::format("GET /containers/{}/archive?path={}", container,
                                            wire::percent_encoded(archive.path)));
              },
              [&](const HostDirectory& directory) {
                lines.push_back(fmt::format("read {} on this host", directory.path));
              },
              [&](const ObjectMirror& mirror) {
                const std::string& alias = mirror.alias;
                lines.push_back(with_arguments(mirror.mc, {"ls", "--json", alias}));
                lines.push_back(with_arguments(
                    mirror.mc, {"ls", "--recursive", "--summarize", "--json", alias}));
                lines.push_back(with_arguments(mirror.mc, {"cat", alias + "/KEY..."}) +
                                " (many small objects at once; a large one, or one whose etag is "
                                "no MD5, alone)");
                lines.push_back(with_arguments(mirror.mc, {"ls", "--json", alias + "/KEY"}) +
                                " (after reading one whose etag is no MD5, or that did not come as "
                                "it is listed)");
              }},
        part.what);
  }
  for (auto one = capture.quiesce.rbegin(); one != capture.quiesce.rend(); ++one) {
    lines.push_back(fmt::format("POST /containers/{}/{}", one->name, stops ? "start" : "unpause"));
  }
  if (capture.save_first) {
    lines.push_back(with_arguments(capture.save_first->cli, {"INFO"}) +
                    " (where what was read may be newer than the save)");
  }
  return lines;
}

std::vector<std::string> restore_commands(const Capture& capture, const Part& part,
                                          const std::string& file) {
  const std::string target = "TARGET=${TARGET:-" + capture.target.container.name + "}";
  return std::visit(
      Match{[&](const ExecDump& dump) -> std::vector<std::string> {
              if (dump.format == ExecDump::Format::raft_snapshot) {
                // The operator's token is one of the server that is restored into.
                std::string options = "-e VAULT_TOKEN ";
                for (const wire::EnvVar& variable : dump.exec.env) {
                  if (variable.name != "VAULT_TOKEN") options += "-e " + variable.name + " ";
                }
                return {target, "docker exec -i " + options + "\"$TARGET\" " +
                                    dump.exec.argv.front() +
                                    " operator raft snapshot restore -force /dev/stdin < " +
                                    shell_quoted(std::array{file})};
              }
              const std::string role = string_member(capture.facts, "role").value_or("postgres");
              // A fresh cluster has its superuser already; the one line that makes it again is left
              // out.
              std::string options = dump.exec.user.empty() ? "" : "-u " + dump.exec.user + " ";
              // From the operator's environment: where it is not set, this says nothing.
              const auto& env = dump.exec.env;
              if (std::any_of(env.begin(), env.end(),
                              [](const auto& one) { return one.name == "PGPASSWORD"; })) {
                options += "-e PGPASSWORD ";
              }
              const std::string script = "1,/^\\\\connect /{/^CREATE ROLE \"\\{0,1\\}" +
                                         sed_literal(role) + "\"\\{0,1\\};$/d}";
              return {target, unpack(file) + " | sed " + shell_quoted(std::array{script}) +
                                  " | docker exec -i " + options +
                                  "\"$TARGET\" psql -X -q -v ON_ERROR_STOP=1 -U " +
                                  shell_quoted(std::array{role}) + " -d postgres"};
            },
            [&](const PathArchive& archive) -> std::vector<std::string> {
              // Between two archives the service would start on half of its data.
              std::vector<std::string> commands{target};
              if (archive.path == archived_paths(capture).front()) {
                commands.push_back("docker stop \"$TARGET\"");
              }
              commands.push_back(unpack(file) + " | docker cp - \"$TARGET\":" +
                                 shell_quoted(std::array{parent_of(archive.path)}));
              if (archive.path == archived_paths(capture).back()) {
                commands.push_back("docker start \"$TARGET\"");
              }
              return commands;
            },
            [&](const HostDirectory& directory) -> std::vector<std::string> {
              return {unpack(file) + " | tar -x --numeric-owner -p -C " +
                      shell_quoted(std::array{parent_of(directory.path)})};
            },
            [&](const ObjectMirror& mirror) -> std::vector<std::string> {
              std::vector<std::string> commands{target};
              std::string options;
              for (const wire::EnvVar& variable : mirror.mc.env) {
                options += "-e " + variable.name + " ";
                if (!variable.name.starts_with("MC_HOST_")) continue;
                commands.push_back("env | grep -q '^" + variable.name + "=' || echo 'set " +
                                   variable.name +
                                   "=http://KEY:SECRET@127.0.0.1:9000 of the target in your "
                                   "environment' >&2");
              }
              const std::string script =
                  "set -e; mc --quiet alias list " + mirror.alias +
                  " >/dev/null; for b in /tmp/objects/*/; do [ -d \"$b\" ] || continue; b=${b%/}; "
                  "b=${b##*/}; mc --quiet mb --ignore-existing \"" +
                  mirror.alias +
                  "/$b\"; [ -z \"$(ls -A \"/tmp/objects/$b\")\" ] || mc --quiet cp --recursive "
                  "\"/tmp/objects/$b/\" \"" +
                  mirror.alias + "/$b/\"; done; rm -r /tmp/objects";
              commands.push_back(unpack(file) + " | docker cp - \"$TARGET\":/tmp");
              commands.push_back("docker exec " + options + "\"$TARGET\" sh -c " +
                                 shell_quoted(std::array{script}));
              return commands;
            }},
      part.what);
}

}  // namespace bba::classes
