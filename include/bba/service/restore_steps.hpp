// The steps that several services restore with. Those of one service alone stand in its folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bba/service/restore.hpp"

namespace bba::service {

using StepPtr = std::shared_ptr<const RestoreStep>;

// The operator's environment has to hold a variable; in a scratch container the program's own way
// to its credentials takes its place.
StepPtr require_variable(const std::string& name, const std::string& meaning);

// The container's server is started, unless it runs, and answers `ready` with exit code 0.
StepPtr start_server(const wire::ExecConfig& ready);

// A program in the container. Of its env only the names are printed: there they are the operator's
// own variables. In a scratch container each of `secrets` has the value of the first of the
// container's variables that it names.
struct Program {
  wire::ExecConfig exec;
  std::map<std::string, std::vector<std::string>> secrets = {};
};

// A program in the container that has to end with exit code 0, fed with `input`. `undo_input` is
// what it is fed with where a later step fails.
struct Script {
  Program program;
  std::string input;
  std::string undo_input = {};
  // Said in an error: "renaming the databases that are there".
  std::string purpose;
};
StepPtr run_script(Script script);

// Rewrites each line from the first to the one that begins with `until`, where it begins with
// `prefix` and ends with `suffix`: it becomes the pieces of `instead`, with what was between prefix
// and suffix in each gap.
struct LineRewrite {
  std::string until;
  std::string prefix;
  std::string suffix;
  std::vector<std::string> instead;
};
std::unique_ptr<pipe::Stage> rewrite_lines(const LineRewrite& rewrite, pipe::Stage& next);

// The artifact, decompressed, is fed to a program in the container. `judge` is the service's:
// it throws where the program failed.
struct Feed {
  Program program;
  std::optional<LineRewrite> rewrite = {};
  std::function<void(const FeedResult&)> judge;
};
StepPtr feed_program(Feed feed);

// What is at `path` of the container, which is stopped with all who share it, is replaced by the
// archive: moved aside on the same filesystem first, and removed only once what came is the same as
// the archive. `left_out`: globs on the container's paths that the archive does not hold; they
// stay.
struct ReplaceTree {
  std::string path;
  bool is_file = false;
  std::vector<std::string> left_out;
};
StepPtr replace_tree(ReplaceTree tree);
// The same for a directory of the host. In a scratch container it is put into a volume.
StepPtr replace_host_tree(ReplaceTree tree);

// Where an archive of a directory of the host, or of objects, is put in a scratch container.
inline constexpr const char* scratch_place = "/bba-drill";

// With the secret that the target's container holds.
wire::ExecConfig resolved(const Program& program, RestoreTarget& target);

// One word, for a shell.
std::string quoted(const std::string& word);
// `argv` with the container's name in "$TARGET", for a shell: docker exec [-i] [-u USER] [-e
// NAME]...
std::string docker_exec(const wire::ExecConfig& program, bool with_stdin);
// gunzip, zstd or cat of an artifact's file, for a shell.
std::string unpack(const std::string& file);

// The commands of a whole set for a shell, artifact by artifact. The first one's begin by stopping
// what has to stop, the last one's end by starting it again; a command that fails ends the rest,
// and what was moved aside is put back.
std::vector<std::vector<std::string>> shell_commands(
    const std::string& container, const std::vector<store::ArtifactRecord>& records,
    const std::vector<Restore>& restores);

}  // namespace bba::service
