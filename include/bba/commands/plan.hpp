// From a module id to the Capture that would back it up: finds the container, chooses the class,
// asks the service for its plan. Reads only. `plan` shows what this returns, `backup` executes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/run/session.hpp"
#include "bba/service/capture.hpp"

namespace bba::commands {

// What the operator asks for, for one module; empty means "as configured".
struct BackupRequest {
  std::string module;
  std::optional<std::string> container;
  std::optional<char> module_class;
  std::optional<std::string> consistency;
  std::vector<std::string> paths;
};

// The modules that a backup of `module` must take: itself, or for a sidecar-bound one those that
// its backup_ref_modules name. Throws Error{config} for an invalid id, a stateless module, a
// cycle.
std::vector<std::string> modules_to_back_up(const run::Session& session,
                                            const BackupRequest& request);

service::Capture make_capture(run::Session& session, const BackupRequest& request);

// About how many bytes the capture will read; nullopt where that is not known.
std::optional<std::uint64_t> expected_bytes(const service::Capture& capture);

// The plan for people, and as JSON.
std::string plan_text(const service::Capture& capture, const run::Session& session);
Json plan_json(const service::Capture& capture, const run::Session& session);

}  // namespace bba::commands
