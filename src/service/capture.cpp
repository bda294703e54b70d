#include "bba/service/capture.hpp"

#include <algorithm>
#include <array>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/service/service.hpp"

namespace bba::service {

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

void add(std::vector<std::string>& to, const std::vector<std::string>& lines) {
  to.insert(to.end(), lines.begin(), lines.end());
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

std::string Part::source() const {
  return std::visit(Match{[](const ExecDump& dump) { return shell_quoted(dump.exec.argv); },
                          [](const PathArchive& archive) { return archive.path; },
                          [](const HostDirectory& directory) { return "host:" + directory.path; },
                          [](const ServicePart& part) { return part.source; }},
                    what);
}

std::string Part::label() const {
  if (const auto* dump = std::get_if<ExecDump>(&what)) {
    return base_name(dump->exec.argv.front());
  }
  return source();
}

std::vector<std::string> Part::left_out() const {
  if (const auto* archive = std::get_if<PathArchive>(&what)) {
    std::vector<std::string> all = archive->excludes;
    add(all, archive->nested);
    return all;
  }
  if (const auto* directory = std::get_if<HostDirectory>(&what)) return directory->excludes;
  return {};
}

Capture as_fallback(Capture capture, const std::string& reason) {
  capture.fallback = reason;
  capture.warnings.push_back(
      fmt::format("{} instead of the class's own procedure: {}", capture.strategy, reason));
  return capture;
}

Json environment_names(const std::vector<wire::EnvVar>& environment) {
  Json names = Json::array();
  for (const wire::EnvVar& variable : environment) names.push_back(variable.name);
  return names;
}

std::vector<wire::EnvVar> recorded_environment(const Json& facts, std::string_view key) {
  std::vector<wire::EnvVar> environment;
  const Json* names = member(facts, key);
  if (names == nullptr || !names->is_array()) return environment;
  for (const Json& name : *names) {
    if (name.is_string()) environment.push_back({name.get<std::string>(), ""});
  }
  return environment;
}

std::string exec_request(const Capture& capture, wire::ExecConfig program,
                         const std::vector<std::string>& arguments) {
  std::string line = fmt::format("POST /containers/{}/exec", capture.target.container.name);
  if (!program.user.empty()) line += " as " + program.user;
  std::vector<std::string> names;
  for (const wire::EnvVar& variable : program.env) names.push_back(variable.name);
  if (!names.empty()) line += fmt::format(" with {}", join(names, ", "));
  add(program.argv, arguments);
  return line + ": " + shell_quoted(program.argv);
}

std::vector<std::string> requests(const Capture& capture) {
  const std::string& container = capture.target.container.name;
  std::vector<std::string> lines = capture.service->requests_before(capture);
  const bool stops = capture.consistency == Consistency::stop;
  for (const Quiesced& one : capture.quiesce) {
    lines.push_back(fmt::format("POST /containers/{}/{}", one.name, stops ? "stop" : "pause"));
  }
  for (const Part& part : capture.parts) {
    std::visit(
        Match{[&](const ExecDump& dump) { lines.push_back(exec_request(capture, dump.exec)); },
              [&](const PathArchive& archive) {
                lines.push_back(fmt::format("GET /containers/{}/archive?path={}", container,
                                            wire::percent_encoded(archive.path)));
              },
              [&](const HostDirectory& directory) {
                lines.push_back(fmt::format("read {} on this host", directory.path));
              },
              [&](const ServicePart& own) {
                add(lines, capture.service->requests_of(capture, own));
              }},
        part.what);
  }
  for (auto one = capture.quiesce.rbegin(); one != capture.quiesce.rend(); ++one) {
    lines.push_back(fmt::format("POST /containers/{}/{}", one->name, stops ? "start" : "unpause"));
  }
  add(lines, capture.service->requests_after(capture));
  return lines;
}

}  // namespace bba::service
