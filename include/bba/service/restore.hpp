// The restore of one artifact as a value: steps, each of which can be printed as commands for a
// shell and carried out in a container. `drill` carries them out in a scratch container; the
// manifest has them printed. So what is used is what was proven.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bba/conf/config.hpp"
#include "bba/docker/engine.hpp"
#include "bba/pipe/stage.hpp"
#include "bba/store/manifest.hpp"

namespace bba::service {

// ---- a target that is being restored into

// How a program that was fed through its stdin ended.
struct FeedResult {
  std::int64_t exit_code = 0;
  bool took_everything = true;  // false: it ended before it had read all of its input
  std::string out;
  std::string err;  // the end of it
};

// A program that is fed piece by piece. It is ended where this is destroyed before finish().
class OpenFeed {
 public:
  virtual ~OpenFeed() = default;
  // What it has not read any more is left out: finish() tells.
  virtual void write(ByteView bytes) = 0;
  virtual FeedResult finish() = 0;
};

// Makes a stage between the artifact's bytes and who takes them, given the next stage.
using StageMaker = std::function<std::unique_ptr<pipe::Stage>(pipe::Stage& next)>;

// What was restored and compared.
struct PartReport {
  Json compared = Json::object();       // counts, for the receipt
  std::vector<std::string> lines;       // for people
  std::vector<std::string> not_proven;  // what this cannot say
};

class RestoreTarget {
 public:
  virtual ~RestoreTarget() = default;

  virtual const store::Manifest& manifest() const = 0;
  virtual const store::ArtifactRecord& record() const = 0;
  // The container that was backed up or the one with its name, and the one that is restored into.
  virtual const wire::Container& live() const = 0;
  virtual wire::Container container() = 0;
  // The engine for requests that may be silent for hours, as while a large index is made.
  virtual docker::Engine& engine() = 0;
  virtual const std::string& id() const = 0;
  virtual void note(const std::string& text) = 0;

  // Starts the container and waits until `answers` says so. Throws Error{capture} with the last
  // lines of its log where it ends or takes too long.
  virtual void start(const std::function<bool()>& answers,
                     std::chrono::seconds patience = std::chrono::minutes(10)) = 0;
  // Runs a program to its end.
  virtual docker::ExecResult run(const wire::ExecConfig& program) = 0;
  // Feeds it the artifact, decompressed, through `filter`; or a text.
  virtual FeedResult feed(const wire::ExecConfig& program, const StageMaker& filter) = 0;
  virtual FeedResult feed_text(const wire::ExecConfig& program, const std::string& text) = 0;
  // Starts a program of a container that is not a scratch one: it is ended whatever becomes of this
  // run.
  virtual std::unique_ptr<OpenFeed> open_feed(const wire::ExecConfig& program) = 0;
  // Every byte of the artifact, decompressed, through a stage.
  virtual void read_artifact(const StageMaker& stage) = 0;
  // The same into a stage that takes its time: it is called by the thread that asks, with progress.
  virtual void pass_artifact(pipe::Stage& stage) = 0;
  // Puts the artifact, a tar, where its first entry becomes `path`, and compares what is there then
  // entry by entry. Throws Error{artifact} that names the first difference.
  virtual void put_tree(const std::string& path) = 0;
  // Puts a file of the artifact, a tar, once more into the container, which does not run, under
  // another name.
  virtual void copy_file(const std::string& from, const std::string& to) = 0;
  // The value of the first of `names` that the container's environment holds, itself or as a file
  // (NAME_FILE).
  virtual std::optional<std::string> secret(const std::vector<std::string>& names) = 0;
  // The operator's configuration for the module, and the operator's environment.
  virtual const conf::ModuleSettings& settings() const = 0;
  virtual const std::map<std::string, std::string>& operator_environment() const = 0;

  // What the steps and the comparison have to say.
  PartReport report;
};

// ---- steps

// What the lines of a script for a shell are made of. Written for a POSIX shell with docker,
// GNU tar, find and coreutils on the Docker host, run as root in the directory of the artifacts.
struct ShellScript {
  // What has to hold, and be known, before anything is touched.
  std::vector<std::string> conditions;
  // Commands, in order.
  std::vector<std::string> lines;
  // What brings back what the lines moved aside, where a later one fails.
  std::vector<std::string> undo;
  // What is done once everything is restored: what was moved aside is removed.
  std::vector<std::string> finish;
  // The host's directories, as shell words, whose users are stopped first and started last.
  std::vector<std::string> places;
};

class RestoreStep {
 public:
  virtual ~RestoreStep() = default;
  // `number` is the artifact's in its set: for names of its own in the script.
  virtual void print(ShellScript& script, const store::ArtifactRecord& record,
                     std::size_t number) const = 0;
  virtual void carry_out(RestoreTarget& target) const = 0;
};

// A volume of a container that is made for a restore.
struct FreshVolume {
  std::string destination;
  bool copy_image_content = false;  // as a fresh volume gets it
};

// How to make an empty container that is like the one that was backed up.
struct FreshTarget {
  bool data_volumes = false;  // fresh ones for all that the live container keeps its data in
  std::vector<FreshVolume> volumes = {};  // beside or instead of those
  std::vector<std::string> without = {};  // of the live container's mounts: nothing there or below
  std::map<std::string, std::string> set_env = {};
  std::set<std::string> unset_env = {};
  bool lend_configuration = false;  // the read-only binds and single files of the live container
};

// Of one artifact.
struct Restore {
  std::vector<std::shared_ptr<const RestoreStep>> steps;
};

}  // namespace bba::service
