// A service, an artifact kind and a target of a restore that belong to no real service.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bba/base/error.hpp"
#include "bba/service/service.hpp"
#include "unit/service/support.hpp"

namespace bba::test {

// Text that has to end with "complete\n".
class TextKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "text"; }
  std::string_view suffix() const override { return "txt"; }
  std::vector<std::string> required_found() const override { return {"bytes"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    class EndCheck : public service::ContentCheck, private pipe::Stage {
     public:
      pipe::Stage& stage() override { return *this; }
      Json found() const override { return {{"bytes", text_.size()}}; }
      std::string summary() const override { return "text"; }

     private:
      void write(const Chunk& chunk) override { text_ += chunk.text(); }
      void finish() override {
        if (!text_.ends_with("complete\n")) throw Error(ErrorKind::artifact, "it is not complete");
      }
      std::string text_;
    };
    return std::make_unique<EndCheck>();
  }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord&) const override {
    return {};
  }
  service::Restore restore(const store::Manifest&, const store::ArtifactRecord&) const override {
    class PrintedStep : public service::RestoreStep {
     public:
      void print(service::ShellScript& script, const store::ArtifactRecord& record,
                 std::size_t number) const override {
        script.lines.push_back("restore " + record.file + " as number " + std::to_string(number));
      }
      void carry_out(service::RestoreTarget&) const override {}
    };
    return {{std::make_shared<PrintedStep>()}};
  }
  void compare(service::RestoreTarget&) const override {}
};

// A step that changes nothing, and prints where it would.
class PlainService : public service::Service {
 public:
  char letter() const override { return 'T'; }
  std::string_view title() const override { return "a test"; }
  conf::ClassRule default_rule() const override { return {'T', {}, {}}; }
  service::Capture plan(const service::PlanInputs&) const override { return {}; }
  std::vector<std::string> requests_before(const service::Capture&) const override {
    return before;
  }
  std::vector<std::string> requests_of(const service::Capture&,
                                       const service::ServicePart& part) const override {
    return {"stream " + part.subject};
  }
  std::vector<std::string> requests_after(const service::Capture&) const override { return after; }
  service::Readiness readiness(const service::ReadinessInputs&) const override { return {}; }

  std::vector<std::string> before, after;
};

// Records what steps ask of it. It has no engine.
class RecordingTarget : public service::RestoreTarget {
 public:
  const store::Manifest& manifest() const override { return manifest_; }
  const store::ArtifactRecord& record() const override { return record_; }
  const wire::Container& live() const override { return live_; }
  wire::Container container() override { return live_; }
  docker::Engine& engine() override { throw std::logic_error("there is no engine"); }
  const std::string& id() const override { return id_; }
  void note(const std::string&) override {}
  void start(const std::function<bool()>&, std::chrono::seconds) override {
    asked.push_back("start");
  }
  docker::ExecResult run(const wire::ExecConfig&) override { return {}; }
  service::FeedResult feed(const wire::ExecConfig& program,
                           const service::StageMaker& filter) override {
    program_run = program;
    asked.push_back(filter ? "feed, filtered" : "feed");
    return result;
  }
  service::FeedResult feed_text(const wire::ExecConfig& program, const std::string& text) override {
    program_run = program;
    asked.push_back("feed text: " + text);
    return result;
  }
  std::unique_ptr<service::OpenFeed> open_feed(const wire::ExecConfig&) override {
    throw std::logic_error("there is no engine");
  }
  void read_artifact(const service::StageMaker&) override {}
  void pass_artifact(pipe::Stage&) override {}
  void put_tree(const std::string& path) override { asked.push_back("put " + path); }
  void copy_file(const std::string&, const std::string&) override {}
  std::optional<std::string> secret(const std::vector<std::string>& names) override {
    return names.front() == "KNOWN" ? std::optional<std::string>("hunter2") : std::nullopt;
  }
  const conf::ModuleSettings& settings() const override { return settings_; }
  const std::map<std::string, std::string>& operator_environment() const override {
    return environment_;
  }

  std::vector<std::string> asked;
  wire::ExecConfig program_run;
  service::FeedResult result;

 private:
  store::Manifest manifest_;
  store::ArtifactRecord record_;
  wire::Container live_;
  std::string id_ = "target";
  conf::ModuleSettings settings_;
  std::map<std::string, std::string> environment_;
};

}  // namespace bba::test
