#include "bba/service/asking.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"

namespace bba::service {

void require_running(const Target& target, const std::string& why, std::string_view otherwise) {
  const wire::Container& container = target.container;
  if (container.running && !container.paused && !container.restarting) return;
  throw Error(ErrorKind::container,
              fmt::format("container {} is {}: {}", container.name, container.state, why),
              fmt::format("{} it first, or {}", container.paused ? "unpause" : "start", otherwise));
}

std::optional<std::string> container_secret(docker::Engine& engine,
                                            const wire::Container& container,
                                            const std::vector<std::string>& names,
                                            Reporter& reporter) {
  for (const std::string& name : names) {
    if (auto value = wire::env_value(container, name); value && !value->empty()) return value;
    const auto file = wire::env_value(container, name + "_FILE");
    if (!file || file->empty()) continue;
    wire::ExecConfig read;
    read.argv = {"cat", *file};
    const docker::ExecResult result = docker::run_or_end(engine, container.id, read, 64 << 10);
    if (result.exit_code == 0) return std::string(trimmed(result.out));
    reporter.detail(fmt::format("{}_FILE: cat {}: {}", name, *file, trimmed(result.err)));
  }
  return std::nullopt;
}

std::optional<std::string> container_secret(const PlanInputs& inputs,
                                            const std::vector<std::string>& names) {
  return container_secret(inputs.engine, inputs.target.container, names, inputs.reporter);
}

std::string dropped_by_sudo(const PlanInputs& inputs, const std::string& name) {
  if (!inputs.operator_variable("SUDO_USER")) return {};
  return fmt::format("; sudo drops it without --preserve-env={}", name);
}

Readiness stopped_server(const ReadinessInputs& inputs, Ready ready) {
  Readiness readiness;
  if (inputs.state.empty() || inputs.state == "running") return readiness;
  const bool unsteady = inputs.state == "restarting" || inputs.state == "removing";
  readiness.notes.push_back({"container is " + inputs.state, unsteady ? Ready::no : ready});
  return readiness;
}

void note_fallback(Readiness& readiness, std::string_view without) {
  readiness.notes.push_back(
      {fmt::format("no {} in your environment: falls back to files", without), Ready::partly});
  readiness.files_only = true;
}

}  // namespace bba::service
