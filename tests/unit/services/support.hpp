// What a service needs to plan a capture, on a scripted engine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bba/service/service.hpp"
#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::test {

struct PlanFixture {
  service::Capture plan(const service::Service& service, const service::Target& target,
                        std::vector<service::MountChoice> mounts = {},
                        const std::vector<wire::ContainerSummary>& all = {}) {
    return service.plan({engine, reporter, config, environment, target, all, std::move(mounts),
                         service::Consistency::automatic});
  }
  // Every program in the container prints this and ends with exit code 0.
  void programs_print(const std::string& container_id, const std::string& text) {
    fake.on("POST /containers/" + container_id + "/exec", {send(answer(201, R"({"Id":"e1"})"))});
    fake.on("POST /exec/e1/start", {send(stream_header), send(frame(1, text))});
    fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":false,"ExitCode":0,"Pid":0})"))});
  }

  FakeEngine fake;
  Stop stop;
  RecordingReporter reporter;
  docker::Engine engine{fake.socket_path(), {}, &stop};
  conf::Config config;
  std::map<std::string, std::string> environment;
};

}  // namespace bba::test
