// A scratch container as the target of a Restore.
#pragma once

#include <optional>

#include "bba/restore/scratch.hpp"

namespace bba::restore {

class ContainerTarget : public service::RestoreTarget {
 public:
  ContainerTarget(const ScratchContext& context, const std::string& scratch,
                  const store::ArtifactRecord& record, bool implied_directories);

  const store::Manifest& manifest() const override { return context_.manifest; }
  const store::ArtifactRecord& record() const override { return record_; }
  const wire::Container& live() const override { return context_.live; }
  wire::Container container() override { return engine().inspect(id_); }
  docker::Engine& engine() override;
  const std::string& id() const override { return id_; }
  void note(const std::string& text) override { context_.session.reporter.note(text); }

  void start(const std::function<bool()>& answers, std::chrono::seconds patience) override;
  docker::ExecResult run(const wire::ExecConfig& program) override;
  service::FeedResult feed(const wire::ExecConfig& program,
                           const service::StageMaker& filter) override;
  service::FeedResult feed_text(const wire::ExecConfig& program, const std::string& text) override;
  std::unique_ptr<service::OpenFeed> open_feed(const wire::ExecConfig& program) override;
  void read_artifact(const service::StageMaker& stage) override;
  void pass_artifact(pipe::Stage& stage) override;
  void put_tree(const std::string& path) override;
  void copy_file(const std::string& from, const std::string& to) override;
  std::optional<std::string> secret(const std::vector<std::string>& names) override;
  const conf::ModuleSettings& settings() const override { return settings_; }
  const std::map<std::string, std::string>& operator_environment() const override {
    return context_.session.settings.environment;
  }

 private:
  const ScratchContext& context_;
  std::string id_;
  const store::ArtifactRecord& record_;
  bool implied_directories_;  // of the artifact's tar: see tree::TreeComparer
  conf::ModuleSettings settings_;
  std::optional<docker::Engine> engine_;  // made once it is needed
};

}  // namespace bba::restore
