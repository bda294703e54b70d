// What every command works with: the settings in force, the engine, the request to stop, and where
// to report to the operator.
#pragma once

#include <map>
#include <string>

#include "bba/base/reporter.hpp"
#include "bba/base/stop.hpp"
#include "bba/conf/config.hpp"
#include "bba/docker/engine.hpp"

namespace bba::run {

// The settings in force: command line over configuration over defaults.
struct Settings {
  conf::Config config;
  std::string platform_root;
  std::string backup_dir;
  std::string state_dir;
  std::string proof_dir;
  std::string host;  // the engine's address, unix:///...
  docker::Limits limits;
  std::map<std::string, std::string>
      environment;  // the operator's: VAULT_TOKEN, MINIO_MC_ALIAS, ...
};

struct Session {
  Settings settings;
  const Stop& stop;
  Reporter& reporter;
  docker::Engine engine;
};

}  // namespace bba::run
